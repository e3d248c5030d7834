"""The loader's process: killed, stopped, started twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import servers
import store_traffic as traffic
from sqlalchemy import Engine, select, text

from driftline.store import schema
from driftline.store.accounts import accounts
from driftline.store.spool.spool import Spool
from driftline.store.verify import verify


def start(home: Path, store_url: str, **variables: str) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "DRIFTLINE_HOME": str(home), "DRIFTLINE_STORE": store_url, **variables}
    with (home / "loader.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "driftline.store.loader.process"], env=environ, stderr=log)


@contextmanager
def loader(home: Path, store_url: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    process = start(home, store_url, **variables)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stored(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM invocation")).scalar_one())


def test_a_loader_killed_at_random_times_stores_everything_once(engine: Engine, store_url: str, tmp_path: Path) -> None:
    rng = random.Random(7)
    sent = list(traffic.clf_traffic(15_000))
    traffic.fill(tmp_path / "spool", sent)
    settings = {"DRIFTLINE_LOADER_BATCH_RECORDS": "20"}
    kills = 0
    for _ in range(6):
        before = stored(engine)
        with loader(tmp_path, store_url, **settings):
            servers.wait_until(lambda seen=before: stored(engine) > seen or not _spools(tmp_path))
            time.sleep(rng.uniform(0, 0.15))
        kills += bool(_spools(tmp_path))
    assert kills >= 3
    with loader(tmp_path, store_url) as process:
        servers.wait_until(lambda: not _spools(tmp_path))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    with engine.connect() as connection:
        ids = list(connection.scalars(select(schema.invocation.c.id)))
    assert sorted(ids) == sorted(one.id for one in sent)
    assert accounts(engine, tmp_path / "spool").balanced
    assert all(check.agrees for check in verify(engine))


def test_sigterm_drains_what_is_left(engine: Engine, store_url: str, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    spool = Spool.open(tmp_path / "spool", traffic.SETTINGS)
    model = spool.declare_model(traffic.CLF)
    with loader(tmp_path, store_url, DRIFTLINE_LOADER_POLL_INTERVAL_SECONDS="60") as process:
        first, *rest = traffic.clf_traffic(500)
        spool.append(model, first.pack(), traffic.START_US)
        servers.wait_until((tmp_path / "spool" / "LOADER.lock").exists)
        time.sleep(1)
        for one in rest:
            spool.append(model, one.pack(), traffic.START_US)
        spool.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert stored(engine) == 500


HOLDS_THE_LOCK = """
import sys, time
from driftline.store.loader import process

def run(loader, stop):
    with stop._cond:  # as within stop.wait, for some microseconds each time
        print("holds it", flush=True)
        time.sleep(1)
    sys.exit(0 if stop.wait(30) else 1)

process.Loader.run = run
process.main()
"""


def test_a_signal_in_the_moment_in_which_the_loader_begins_to_wait_stops_it(store_url: str, tmp_path: Path) -> None:
    environ = {**os.environ, "DRIFTLINE_HOME": str(tmp_path), "DRIFTLINE_STORE": store_url}
    with subprocess.Popen([sys.executable, "-c", HOLDS_THE_LOCK], env=environ, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"holds it\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    traffic.fill(tmp_path / "spool", list(traffic.clf_traffic(5)))
    away = f"postgresql+psycopg://driftline@127.0.0.1:{servers.free_port()}/x"
    with loader(tmp_path, away, DRIFTLINE_LOADER_DRAIN_SECONDS="600") as process:
        servers.wait_until(lambda: "does not take rows" in (tmp_path / "loader.log").read_text())
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert len(_spools(tmp_path)) == 1


def test_one_loader_per_folder_and_the_second_takes_over(engine: Engine, store_url: str, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    with loader(tmp_path, store_url) as first:
        servers.wait_until((tmp_path / "spool" / "LOADER.lock").exists)
        with loader(tmp_path, store_url) as second:
            servers.wait_until(lambda: "another loader" in (tmp_path / "loader.log").read_text())
            first.kill()
            first.wait()
            traffic.fill(tmp_path / "spool", list(traffic.clf_traffic(10)))
            servers.wait_until(lambda: stored(engine) == 10)
            assert second.poll() is None


def test_it_starts_while_the_database_is_away_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    traffic.fill(tmp_path / "spool", list(traffic.clf_traffic(5)))
    port = servers.free_port()
    with loader(tmp_path, f"postgresql+psycopg://driftline:geheim@127.0.0.1:{port}/x") as process:
        servers.wait_until(lambda: "does not take rows" in (tmp_path / "loader.log").read_text())
        time.sleep(1.5)
        assert process.poll() is None
        assert (tmp_path / "loader.log").read_text().count("does not take rows") == 1
    log = (tmp_path / "loader.log").read_text()
    for told in (f"driftline:***@127.0.0.1:{port}/x", "Connection refused", "start the database", "DRIFTLINE_STORE"):
        assert told in log
    assert "geheim" not in log
    assert len(_spools(tmp_path)) == 1


def test_a_wrong_setting_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    process = start(tmp_path, "", DRIFTLINE_LOADER_BATCH_RECORD="3")
    assert process.wait(60) == 2
    assert "did you mean" in (tmp_path / "loader.log").read_text()


def _spools(home: Path) -> list[Path]:
    return [path for path in (home / "spool").iterdir() if path.is_dir()]
