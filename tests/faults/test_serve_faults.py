"""The whole way, ``driftline serve`` under requests: its loader stopped and killed, its disk frozen, full and gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faulty_disks
import pytest
import servers
from fault_oracle import Figures, balanced, stored
from scoring_clients import Clients, scoring
from scoring_servers import DriftlineServer, driftline_server
from sqlalchemy import Engine

from driftline.store.accounts import Accounts, accounts
from driftline.store.engine import open_engine

Note = Callable[[Figures], None]
TRAIN = Path(__file__).parents[1] / "scorer" / "models" / "train.py"
SETTINGS = {
    "DRIFTLINE_SPOOL_MIN_FREE_BYTES": "0", "DRIFTLINE_SPOOL_RING_BYTES": str(1 << 20),
    "DRIFTLINE_LOADER_DRAIN_SECONDS": "20", "DRIFTLINE_LOADER_RAW_BODIES": "all",
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an MLflow store with the models of the scorer's tests."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, TRAIN, folder], check=True, capture_output=True, cwd=folder)
    return folder


def serving(models: Path, home: Path, store: str, *flags: str, **settings: str) -> DriftlineServer:
    """Start a server whose home is ``home``."""
    variables = {**SETTINGS, **settings}
    server = driftline_server(models, "models:/linear/1", home.name, "--store", store, *flags, **variables)
    server.home = home
    server.command = [str(home) if part == str(models / home.name) else part for part in server.command]
    server.start()
    server.wait_ready()
    return server


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[faulty_disks.Ext4]:
    """The disk of ``server``'s home."""
    with faulty_disks.ext4(tmp_path_factory.mktemp("frozen") / "disk", 256) as disk:
        yield disk


@pytest.fixture(scope="module")
def server(models: Path, disk: faulty_disks.Ext4) -> Iterator[DriftlineServer]:
    """One server that each test leaves well, with its home and its SQLite store on a disk of its own."""
    home = disk.folder / "home"
    home.mkdir()
    server = serving(models, home, f"sqlite:///{home / 'driftline.sqlite'}")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def engine(server: DriftlineServer) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{server.home / 'driftline.sqlite'}")
    yield engine
    engine.dispose()


def loader_of(server: DriftlineServer) -> int:
    """Return the loader's process id."""
    for pid in server.family():
        if b"driftline.store.loader.process" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise AssertionError("no loader runs")


def settled(engine: Engine, server: DriftlineServer, seconds: float = 30) -> Accounts:
    """Wait until nothing is pending and return the accounts."""
    servers.wait_until(
        lambda: accounts(engine, server.spool_folder).spooled == 0, seconds, what="the spool is not empty"
    )
    return balanced(engine, server.spool_folder)


def check(engine: Engine, clients: Clients, before: set[bytes], tries: int = 1) -> Figures:
    """Assert that what was answered is stored once and unaltered, and little else."""
    found = stored(engine)
    assert clients.answered.keys() <= found.keys(), "answered and lost"
    assert all(found[id_] in (None, hashed) for id_, hashed in clients.answered.items()), "altered"
    assert len(found.keys() - clients.answered.keys() - before) <= clients.failed, "stored and never sent"
    return Figures(tries, len(clients.answered))


def test_a_stopped_loader_delays_no_answer_and_catches_up(server: DriftlineServer, engine: Engine, note: Note) -> None:
    before = set(stored(engine))
    with scoring(server) as clients:
        for _ in range(3):
            os.kill(loader_of(server), signal.SIGSTOP)
            time.sleep(0.5)
            assert accounts(engine, server.spool_folder).balanced
            os.kill(loader_of(server), signal.SIGCONT)
            time.sleep(0.2)
    assert (clients.failed, clients.refused) == (0, 0)
    settled(engine, server)
    note(check(engine, clients, before, tries=3))


def test_a_killed_loader_is_started_again_and_stores_everything_once(
    server: DriftlineServer, engine: Engine, note: Note
) -> None:
    before = set(stored(engine))
    with scoring(server) as clients:
        time.sleep(0.3)
        first = loader_of(server)
        os.kill(first, signal.SIGKILL)
        time.sleep(0.5)
    assert (clients.failed, clients.refused) == (0, 0)
    settled(engine, server)
    assert loader_of(server) != first
    note(check(engine, clients, before))


def test_a_disk_that_freezes_delays_no_answer(
    server: DriftlineServer, disk: faulty_disks.Ext4, engine: Engine, note: Note
) -> None:
    before = set(stored(engine))
    with scoring(server) as clients:
        time.sleep(0.3)
        since = time.monotonic()
        freezing = disk.freeze(1.5)
        assert freezing.wait(20) == 0
        frozen = [took for begin, took in clients.seconds if begin >= since]
    assert (clients.failed, clients.refused) == (0, 0)
    assert len(frozen) > 50
    assert max(frozen) < 1.0, "an answer waited for the disk"
    settled(engine, server)
    note(check(engine, clients, before))


def test_a_stopped_worker_goes_on_where_it_was(server: DriftlineServer, engine: Engine, note: Note) -> None:
    before = set(stored(engine))
    with scoring(server) as clients:
        (worker,) = server.workers()
        for _ in range(3):
            os.kill(worker, signal.SIGSTOP)
            time.sleep(0.2)
            assert accounts(engine, server.spool_folder).balanced
            os.kill(worker, signal.SIGCONT)
            time.sleep(0.2)
    assert (clients.failed, clients.refused) == (0, 0)
    settled(engine, server)
    note(check(engine, clients, before, tries=3))


def _counts_no_more(server: DriftlineServer, name: str) -> bool:
    """Return whether a counter stands still although requests come."""
    before = server.metric(name)
    time.sleep(0.6)
    return server.metric(name) == before


def test_sigterm_under_load_answers_stores_and_ends(models: Path, tmp_path: Path, note: Note) -> None:
    home = tmp_path / "home"
    home.mkdir()
    server = serving(models, home, f"sqlite:///{home / 'driftline.sqlite'}", "-w", "2")
    with scoring(server, threads=4) as clients:
        servers.wait_until(lambda: len(clients.answered) > 200)
        assert server.stop() == 0
    engine = open_engine(f"sqlite:///{home / 'driftline.sqlite'}")
    found = balanced(engine, server.spool_folder)
    assert (found.spooled, found.dropped, clients.refused) == (0, {}, 0)
    note(check(engine, clients, set()))
    engine.dispose()


def test_a_full_disk_stops_no_answer_drops_are_counted_and_capture_goes_on_when_there_is_space(
    models: Path, tmp_path: Path, note: Note
) -> None:
    dropped = "driftline_scorer_tee_dropped_records_total"
    with faulty_disks.tmpfs(tmp_path / "disk", "8m") as disk:
        home = disk / "home"
        home.mkdir()
        store = f"sqlite:///{home / 'driftline.sqlite'}"
        server = serving(models, home, store, DRIFTLINE_SPOOL_RING_BYTES=str(1 << 16),
                         DRIFTLINE_SPOOL_OVERFLOW_BYTES=str(1 << 16))  # fmt: skip
        engine = open_engine(store)
        try:
            with scoring(server, padding=2000) as clients:
                servers.wait_until(lambda: len(stored(engine)) > 50)
                ballast = faulty_disks.fill_up(disk)
                answered = len(clients.answered)
                servers.wait_until(lambda: len(clients.answered) > answered + 400, what="answers stopped")
                servers.wait_until(lambda: server.metric(dropped, reason="disk_full") > 0, what="no drop is told")
                since = time.monotonic()
                ballast.unlink()
                servers.wait_until(lambda: _counts_no_more(server, dropped), what="capture does not go on")
                before = set(clients.answered)
                time.sleep(0.5)
                late = set(clients.answered) - before
            assert (clients.failed, clients.refused) == (0, 0)
            assert clients.slowest(since) < 1.0
            found = settled(engine, server)
            assert found.dropped.keys() <= {"disk_full", "ring_full"}
        finally:
            code = server.stop()
        assert code == 0
        in_store = stored(engine)
        assert found.answered == len(clients.answered) == len(in_store) + sum(found.dropped.values())
        assert in_store.keys() <= clients.answered.keys()
        assert late <= in_store.keys(), "capture did not go on"
        assert all(clients.answered[id_] == hashed for id_, hashed in in_store.items())
        note(Figures(1, len(clients.answered), dropped=sum(found.dropped.values())))
        engine.dispose()
