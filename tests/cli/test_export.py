"""`driftline store export`, as a user types it."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import store_traffic as traffic

from driftline.store.engine import open_engine
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.partitions import DAY_US
from driftline.store.records import now_us

Run = Callable[..., subprocess.CompletedProcess[str]]
WITHOUT_PYARROW = "import sys; sys.modules['pyarrow'] = None; sys.modules['pyarrow.parquet'] = None; "


@pytest.fixture
def run(sqlite_url: str, tmp_path: Path) -> Run:
    """Return a function that runs the command line on a store with an invocation of today and one nine days old."""
    engine = open_engine(sqlite_url)
    body = {"dataframe_split": {"columns": ["age", "visits", "plan"], "data": [[1.0, 2, "gold"]]}}
    times = (now_us(), now_us() - 9 * DAY_US)
    traffic.fill(tmp_path / "spool", [traffic.invocation(body, {"predictions": [1]}, at_us=at) for at in times])
    Loader(engine, tmp_path / "spool", LoaderSettings()).load_once()
    engine.dispose()
    environ = {key: value for key, value in os.environ.items() if not key.startswith("DRIFTLINE_")}
    environ |= {"DRIFTLINE_HOME": str(tmp_path), "DRIFTLINE_STORE": sqlite_url}

    def invoke(*arguments: str, before: str = "", stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", f"{before}from driftline.cli.main import main; main()", "store", *arguments]
        return subprocess.run(
            program, env=environ, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=tmp_path, check=False
        )

    return invoke


def test_export_says_what_it_wrote_and_the_same_command_resumes(run: Run, tmp_path: Path) -> None:
    assert "wrote 1 row to 1 file in out; finished already: 0" in run("export", "out", "--since", "3d").stdout
    assert "wrote 2 rows to 2 files in out; finished already: 0" in run("export", "out").stdout  # today is open
    assert "finished already: 1" in run("export", "out", "--model", "clf").stdout
    assert pq.read_table(tmp_path / "out", partitioning="hive").num_rows == 2


def test_a_terminal_sees_a_progress_bar(run: Run) -> None:
    ours, theirs = pty.openpty()
    done = run("export", "out", stderr=theirs)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "rows" in shown
    assert "100%" in shown


def test_without_a_terminal_there_is_no_trace_of_the_bar(run: Run) -> None:
    assert run("export", "out").stderr == ""


def test_an_unknown_model_is_one_line(run: Run) -> None:
    done = run("export", "out", "--model", "absent")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "driftline store status" in done.stderr


def test_without_pyarrow_one_line_names_the_extra(run: Run) -> None:
    done = run("export", "out", before=WITHOUT_PYARROW)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "pip install 'driftline[monitor]'" in done.stderr
    assert run("status", before=WITHOUT_PYARROW).returncode == 0
