"""`driftline labels`: files, databases, what became of them."""

import csv
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from label_rig import load_requests, request

from driftline.store.engine import open_engine
from driftline.store.records import Invocation, invocation_id_text

Rows = list[dict[str, object]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def requests(home: Path, sqlite_template: Path) -> list[Invocation]:
    """Four requests in a store in the home."""
    home.mkdir()
    engine = open_engine(f"sqlite:///{shutil.copy(sqlite_template, home)}")
    made = [request((i, "a"), client_id=f"c{i}") for i in range(4)]
    load_requests(engine, home, *made)
    engine.dispose()
    return made


def driftline(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "driftline.cli", "labels", *arguments, "--home", str(home)]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=home.parent, timeout=120)


def records(made: list[Invocation]) -> Rows:
    return [{"request_id": invocation_id_text(one.id), "row": 0, "label": i % 2} for i, one in enumerate(made)]


def write(path: Path, rows: Rows) -> None:
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        frame = pd.DataFrame(rows)
        frame["event_time"] = pd.Timestamp("2026-01-01", tz="Europe/Berlin")
        frame.to_parquet(path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows))


def test_files_of_every_form_say_the_same_and_status_and_rejects_tell_it(
    home: Path, requests: list[Invocation], tmp_path: Path
) -> None:
    for suffix, fate in ((".parquet", "stored"), (".csv", "repeated"), (".jsonl", "repeated"), (".json", "repeated")):
        path = tmp_path / f"labels{suffix}"
        write(path, records(requests))
        found = driftline(home, "load", str(path))
        assert found.stdout == f"4 labels: 4 {fate}\n", found.stderr
    bad = tmp_path / "bad.csv"
    bad.write_text("id,truth\nc1,[]\nc2,\n")
    found = driftline(home, "load", str(bad), "--id-field", "id", "--label-field", "truth")
    assert found.stdout.splitlines()[0] == "2 labels: 2 wrong_type"
    status = json.loads(driftline(home, "status", "--json").stdout)
    assert (status["in_force"], status["pending"], status["rejects_kept"]) == (4, 0, {"wrong_type": 2})
    assert status["ever"]["buys"] == {"repeated": 12, "stored": 4, "wrong_type": 1}
    listed = driftline(home, "rejects", "--reason", "wrong_type", "--json").stdout.splitlines()
    assert {json.loads(line)["reason"] for line in listed} == {"wrong_type"}
    assert driftline(home, "rejects", "--reason", "nonsense").returncode == 2


def test_a_key_of_several_rows_names_the_option_that_takes_one_of_them_and_the_reason_in_words(
    home: Path, sqlite_template: Path, tmp_path: Path
) -> None:
    home.mkdir()
    engine = open_engine(f"sqlite:///{shutil.copy(sqlite_template, home)}")
    load_requests(engine, home, request((1, "a")), request((1, "b")))
    engine.dispose()
    path = tmp_path / "keys.csv"
    path.write_text("customer_id,label\n1,1\n")
    keyed = ("load", str(path), "--key-column", "customer_id")
    found = driftline(home, *keyed).stdout
    assert found.startswith("1 labels: 1 ambiguous\n")
    assert "`--repeated-keys newest`" in found
    listed = driftline(home, "rejects").stdout.splitlines()
    assert listed[1].startswith("ambiguous: the client's id, or the key, is that of several requests; of a key `--rep")
    assert driftline(home, *keyed, "--repeated-keys", "newest").stdout == "1 labels: 1 stored\n"
    assert driftline(home, "status").stdout.splitlines() == [
        "1 row with a label, 0 labels pending",
        "what became of all labels that were ever loaded, each time anew:",
        "  buys: 1 ambiguous",
        "  buys: 1 stored",
        "1 reject kept, also where the label was loaded again since and stored: `driftline labels rejects`",
    ]


def test_a_database_is_asked_by_a_query(home: Path, requests: list[Invocation], tmp_path: Path) -> None:
    path = tmp_path / "outcomes.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE outcomes (customer INTEGER, bought INTEGER)")
        database.executemany("INSERT INTO outcomes VALUES (?, ?)", [(i, i % 2) for i in range(5)])
    database.close()
    query = "SELECT customer AS customer_id, bought AS label FROM outcomes"
    found = driftline(home, "load", f"sqlite:///{path}", "--query", query, "--key-column", "customer_id")
    assert found.stdout == "5 labels: 4 stored, 1 pending\n", found.stderr
    assert driftline(home, "match").stdout == "0 labels\n"
    for arguments in (
        (f"sqlite:///{path}",), (f"sqlite:///{path}", "--query", "SELECT nothing"),
        (f"sqlite:///{tmp_path / 'none'}", "--query", "SELECT 1"), ("nonsense://x", "--query", "SELECT 1"),
        (str(tmp_path / "labels.txt"),), (str(tmp_path / "none.csv"),), (str(path), "--query", "x"),
    ):  # fmt: skip
        refused = driftline(home, "load", *arguments)
        assert refused.returncode in (1, 2), arguments
        assert refused.stderr.startswith("driftline: "), refused.stderr
        assert refused.stderr.count("\n") == 1
