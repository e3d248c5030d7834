"""The committed JSON is what the code builds, and the SDK knows every key of it."""

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from driftline.dashboards import build


def keys(node: object, path: str = "") -> set[str]:
    """Return the paths of all keys below ``node``; list items share one path."""
    if isinstance(node, dict):
        return {f"{path}.{k}" for k in node} | {p for k, v in node.items() for p in keys(v, f"{path}.{k}")}
    return {p for v in node for p in keys(v, f"{path}[]")} if isinstance(node, list) else set()


def test_the_committed_files_are_up_to_date() -> None:
    assert build.main(["--check"]) == 0


def test_check_names_a_stale_and_a_foreign_file(tmp_path: Path, capsys: Any) -> None:
    assert build.main(["--folder", str(tmp_path)]) == 0
    assert build.main(["--check", "--folder", str(tmp_path)]) == 0
    (tmp_path / "driftline-model.json").write_text("{}")
    (tmp_path / "driftline-removed.json").write_text("{}")
    assert build.main(["--check", "--folder", str(tmp_path)]) == 1
    assert "stale: driftline-model.json, driftline-removed.json" in capsys.readouterr().err


def test_no_key_vanishes_when_the_sdk_reads_and_writes_a_dashboard(board: dict[str, Any]) -> None:
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
    assert keys(board) - keys(again) == set()


def test_a_mistyped_option_would_vanish() -> None:
    board = json.loads(next(iter(build.dashboards().values())))
    board["panels"][1]["fieldConfig"]["defaults"]["unitt"] = "s"
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
    assert keys(board) - keys(again) == {".panels[].fieldConfig.defaults.unitt"}
