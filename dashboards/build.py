"""Write the dashboards' JSON: ``python -m driftline.dashboards.build``; ``--check`` fails when it is stale."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from driftline.dashboards.drift_dashboard import drift_dashboard
from driftline.dashboards.fleet_dashboard import fleet_dashboard
from driftline.dashboards.model_dashboard import model_dashboard
from driftline.dashboards.pipeline_dashboard import pipeline_dashboard
from driftline.dashboards.runbook_dashboard import runbook_dashboard

FOLDER = Path(__file__).parent


def encode(board: Dashboard) -> str:
    """Return the JSON text of a dashboard, keys sorted, so that a diff shows only what changed."""
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def dashboards() -> dict[str, str]:
    """Return file name -> JSON text of all dashboards."""
    boards = (fleet_dashboard(), model_dashboard(), drift_dashboard(), pipeline_dashboard(), runbook_dashboard())
    return {f"{board.build().uid}.json": encode(board) for board in boards}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` compare them; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m driftline.dashboards.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is stale")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the files lie")
    chosen = parser.parse_args(arguments)
    built = dashboards()
    if not chosen.check:
        for name, content in built.items():
            (chosen.folder / name).write_text(content, encoding="utf-8")
        return 0
    found = {path.name: path.read_text(encoding="utf-8") for path in chosen.folder.glob("driftline-*.json")}
    stale = sorted(name for name in built.keys() | found.keys() if built.get(name) != found.get(name))
    if stale:
        print(f"stale: {', '.join(stale)}; run `python -m driftline.dashboards.build`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
