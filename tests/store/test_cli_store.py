"""``driftline store``: what it prints, and its one-line errors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import servers
import store_traffic as traffic
from sqlalchemy import Engine, insert, text

from driftline.store import schema
from driftline.store.engine import open_engine, writing


def run(home: Path, *arguments: str, store: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("DRIFTLINE_")}
    environ |= {"DRIFTLINE_HOME": str(home), **({"DRIFTLINE_STORE": store} if store else {}), **variables}
    program = [sys.executable, "-c", "from driftline.cli.main import main; main()", "store", *arguments]
    return subprocess.run(program, env=environ, capture_output=True, text=True, cwd=home, check=False)


def test_upgrade_load_status_and_verify_agree(empty_store_url: str, tmp_path: Path) -> None:
    sent = list(traffic.clf_traffic(60))
    traffic.fill(tmp_path / "spool", sent)
    assert run(tmp_path, "upgrade", store=empty_store_url).returncode == 0
    before = json.loads(run(tmp_path, "status", "--json", store=empty_store_url).stdout)
    assert (before["answered"], before["stored"], before["spooled"]) == (60, 0, 60)
    assert before["oldest_pending_at"].startswith("2026-11-18T")
    loaded = run(tmp_path, "load", store=empty_store_url)
    assert "loaded 60 records" in loaded.stdout
    after = json.loads(run(tmp_path, "status", "--json", store=empty_store_url).stdout)
    assert {key: after[key] for key in ("answered", "stored", "spooled", "dropped", "quarantined", "balanced")} == {
        "answered": 60, "stored": 60, "spooled": 0, "dropped": {"total": 0}, "quarantined": 0, "balanced": True,
    }  # fmt: skip
    assert after["oldest_pending_at"] is None
    assert [(m["name"], m["version"], m["invocations"]) for m in after["models"]] == [("clf", "1", 60)]
    assert [(s["answered"], s["balanced"]) for s in after["spools"]] == [(60, True)]
    keys = ("answered", "stored", "spooled", "in_memory", "on_disk", "quarantined", "quarantined_by_reason")
    assert [[s[key] for key in keys] for s in before["spools"]] == [[60, 0, 60, 0, 60, 0, {}]]
    verified = run(tmp_path, "verify", store=empty_store_url)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert "60 invocations" in verified.stdout
    assert "answered 60 = stored 60 + spooled 0 + dropped 0" in run(tmp_path, "status", store=empty_store_url).stdout


def test_status_tells_why_something_is_quarantined_and_that_it_was_pruned(engine: Engine, tmp_path: Path) -> None:
    store = engine.url.render_as_string(hide_password=False)
    traffic.fill(tmp_path / "spool", list(traffic.clf_traffic(5)))
    run(tmp_path, "load", store=store)
    with writing(engine) as connection:
        connection.execute(text("UPDATE spool_position SET quarantined = 3"))
        for seq, reason in enumerate(("unreadable", "refused")):
            connection.execute(insert(schema.dead_letter).values(
                spool_id=1, seq=seq, reason=reason, error="e", payload=b"x", at=1
            ))  # fmt: skip
    told = json.loads(run(tmp_path, "status", "--json", store=store).stdout)
    assert told["quarantined_by_reason"] == {"refused": 1, "unreadable": 1, "pruned": 1}
    assert told["quarantined"] == 3
    assert "1 of the stored lie in dead_letter, refused" in run(tmp_path, "status", store=store).stdout


def test_a_large_store_is_counted_only_where_that_is_asked_for(engine: Engine, tmp_path: Path) -> None:
    store = engine.url.render_as_string(hide_password=False)
    traffic.fill(tmp_path / "spool", list(traffic.clf_traffic(5)))
    run(tmp_path, "load", store=store)
    with writing(engine) as connection:
        connection.execute(text("UPDATE spool_position SET stored = 1000001, seq = 1000001"))
    told = json.loads(run(tmp_path, "status", "--json", store=store).stdout)
    assert (told["stored"], "invocations" in told["models"][0], "rows" in told["models"][0]) == (
        1_000_001,
        False,
        False,
    )
    assert "driftline store status --count" in run(tmp_path, "status", store=store).stdout
    counted = json.loads(run(tmp_path, "status", "--json", "--count", store=store).stdout)
    assert (counted["models"][0]["invocations"], counted["models"][0]["rows"] > 0) == (5, True)


def test_status_tells_what_lies_in_the_spools_where_the_database_does_not_answer(tmp_path: Path) -> None:
    store = f"postgresql://user:geheim@127.0.0.1:{servers.free_port()}/x"
    traffic.fill(tmp_path / "spool", list(traffic.clf_traffic(5)))
    (spool,) = (path for path in (tmp_path / "spool").iterdir() if path.is_dir())
    told = run(tmp_path, "status", store=store)
    assert (told.returncode, told.stderr.count("\n")) == (1, 1)
    assert "does not answer" in told.stderr
    first, oldest, last = told.stdout.splitlines()
    assert first.startswith("in the spools of this host: 5 requests (")
    assert first.endswith("), loaded or not: the store would tell")
    assert oldest.startswith("  the oldest of them: 2026-11-18T")
    assert last.startswith(f"  spool {spool.name} of process {os.getpid()}, which has ended: 5 requests, ")
    as_json = run(tmp_path, "status", "--json", store=store)
    assert (as_json.returncode, as_json.stderr) == (1, told.stderr)
    found = json.loads(as_json.stdout)
    assert (found["answered"], found["stored"], found["spooled"], found["on_disk"]) == (None, None, 5, 5)
    assert [(s["uuid"], s["spooled"], s["stored"], s["bytes"] > 0) for s in found["spools"]] == [
        (spool.name, 5, None, True)
    ]
    assert found["oldest_pending_at"].startswith("2026-11-18T")


def test_verify_exits_with_1_where_a_row_is_missing(engine: Engine, store_url: str, tmp_path: Path) -> None:
    traffic.fill(tmp_path / "spool", list(traffic.clf_traffic(20)))
    run(tmp_path, "load", store=store_url)
    with writing(engine) as connection:
        connection.execute(text(f"DELETE FROM prediction_clf_{traffic.CLF.fingerprint} WHERE row_index = 0"))
    verified = run(tmp_path, "verify", store=store_url)
    assert verified.returncode == 1
    assert "DIFFERS" in verified.stdout


def test_a_store_without_a_schema_names_the_command(empty_engine: Engine, empty_store_url: str, tmp_path: Path) -> None:
    for command in ("status", "verify", "load"):
        done = run(tmp_path, command, store=empty_store_url)
        assert done.returncode == 1
        assert done.stderr.startswith("driftline: ")
        assert done.stderr.count("\n") == 1
        assert "driftline store upgrade" in done.stderr


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("postgresql://user:geheim@127.0.0.1:{port}/x", ["does not answer", "127.0.0.1", "start the database"]),
        ("postgresql+nosuch://127.0.0.1/driftline", ["not installed", "driftline[postgresql]"]),
        ("mysql://127.0.0.1/driftline", ["mysql", "sqlite:///"]),
        ("this is no URL", ["malformed"]),
        ("sqlite://", ["must be a file"]),
        ("sqlite:////nonexistent/folder/store.sqlite", ["/nonexistent/folder", "does not exist"]),
        ("sqlite:////proc/store.sqlite", ["/proc"]),
    ],
)  # fmt: skip
def test_an_unusable_store_is_one_line_and_an_exit_code(tmp_path: Path, store: str, words: list[str]) -> None:
    done = run(tmp_path, "upgrade", store=store.format(port=servers.free_port()))
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert done.stderr.startswith("driftline: ")
    assert done.stderr.count("\n") == 1
    assert "geheim" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_wrong_database_name_is_one_line(postgresql_url: str, tmp_path: Path) -> None:
    done = run(tmp_path, "upgrade", store=postgresql_url.rsplit("/", 1)[0] + "/nosuch")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert 'database "nosuch" does not exist' in done.stderr


def test_upgrade_makes_the_home_of_a_store_that_is_not_named(tmp_path: Path) -> None:
    assert run(tmp_path, "upgrade", DRIFTLINE_HOME=str(tmp_path / "new")).returncode == 0
    assert (tmp_path / "new" / "driftline.sqlite").exists()


def test_load_leaves_a_folder_alone_that_a_loader_works_on(tmp_path: Path) -> None:
    import fcntl

    assert run(tmp_path, "upgrade").returncode == 0
    (tmp_path / "spool").mkdir()
    with (tmp_path / "spool" / "LOADER.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run(tmp_path, "load")
    assert done.returncode == 1
    assert "a loader works on" in done.stderr


def test_the_password_is_in_no_representation(tmp_path: Path) -> None:
    engine = open_engine("postgresql://user:geheim@127.0.0.1:1/x", probe=False)
    assert "geheim" not in repr(engine)
    engine.dispose()
