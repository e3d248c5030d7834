"""`driftline store prune`, as a user types it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import store_traffic as traffic

from driftline.store.engine import open_engine
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.partitions import DAY_US
from driftline.store.records import now_us

pytestmark = pytest.mark.thorough

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(store_url: str, tmp_path: Path) -> Run:
    """Return a function that runs the command line on a store with one invocation of today and one five days old."""
    engine = open_engine(store_url)
    body = {"dataframe_split": {"columns": ["age", "visits", "plan"], "data": [[1.0, 2, "gold"]]}}
    times = (now_us(), now_us() - 5 * DAY_US)
    traffic.fill(tmp_path / "spool", [traffic.invocation(body, {"predictions": [1]}, at_us=at) for at in times])
    Loader(engine, tmp_path / "spool", LoaderSettings()).load_once()
    engine.dispose()
    environ = {key: value for key, value in os.environ.items() if not key.startswith("DRIFTLINE_")}
    environ |= {"DRIFTLINE_HOME": str(tmp_path), "DRIFTLINE_STORE": store_url}

    def invoke(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from driftline.cli.main import main; main()", "store", *arguments]
        return subprocess.run(
            program, env=environ | variables, capture_output=True, text=True, cwd=tmp_path, check=False
        )

    return invoke


def test_a_dry_run_names_the_days_and_takes_nothing(run: Run) -> None:
    said = run("prune", "--older-than", "3d", "--dry-run").stdout
    assert "1 invocation  1 row  about" in said
    assert "1 day would go, about" in said
    assert "for ever" not in said
    assert "2 invocations" in run("verify").stdout


def test_prune_takes_what_is_older_and_status_and_verify_agree(run: Run) -> None:
    assert "with 1 invocations and 1 rows" in run("prune", "--older-than", "3d").stdout
    assert "1 of the stored were pruned" in run("status").stdout
    verified = run("verify")
    assert "1 invocations, 0 dead letters, 1 pruned" in verified.stdout
    assert verified.returncode == 0


def test_without_a_flag_the_settings_say_what_goes(run: Run) -> None:
    assert "with 0 invocations" in run("prune").stdout
    assert "with 1 invocations" in run("prune", DRIFTLINE_RETENTION_KEEP_DAYS="2").stdout


def test_without_a_setting_it_says_what_to_set(run: Run) -> None:
    for said in (run("prune").stdout, run("prune", "--dry-run").stdout):
        for hint in ("kept for ever", "keep_days", "keep_bytes", "[retention]", "--older-than 30d"):
            assert hint in said
    assert "for ever" not in run("prune", DRIFTLINE_RETENTION_KEEP_BYTES="1000000000").stdout


def test_a_span_that_is_none_and_settings_that_contradict_say_so(run: Run) -> None:
    refused = run("prune", "--older-than", "soon")
    assert refused.returncode == 2
    assert "no span like 30d" in refused.stderr
    contradicting = run("prune", DRIFTLINE_RETENTION_KEEP_PROFILE_DAYS="20")
    assert (contradicting.returncode, contradicting.stderr.count("\n")) == (2, 1)
    assert "keep_profile_days should not be below keep_days" in contradicting.stderr
