"""The whole way, ``driftline serve`` under requests: its loader stopped and killed, its disk frozen, full and gone."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faulty_disks
import pytest
import servers
from fault_oracle import Figures, balanced, stored
from scoring_clients import scoring
from scoring_servers import DriftlineServer
from serve_rig import check, loader_of, serving, settled, stopped
from sqlalchemy import Engine

from driftline.store.accounts import accounts
from driftline.store.engine import open_engine
from driftline.store.loader.loader import Loader, LoaderSettings

pytestmark = pytest.mark.thorough
Note = Callable[[Figures], None]
_ONE = b'{"dataframe_records": [{"a": 1.0, "b": 2.0}]}'


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[faulty_disks.Ext4]:
    """The disk of ``server``'s home."""
    with faulty_disks.ext4(tmp_path_factory.mktemp("frozen") / "disk", 256) as disk:
        yield disk


@pytest.fixture(scope="module")
def server(models: Path, disk: faulty_disks.Ext4) -> Iterator[DriftlineServer]:
    """One server that each test leaves well, with its home and its SQLite store on a disk of its own."""
    home = disk.folder / "home"
    with serving(models, home, f"sqlite:///{home / 'driftline.sqlite'}") as server:
        yield server


@pytest.fixture(scope="module")
def engine(server: DriftlineServer) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{server.home / 'driftline.sqlite'}")
    yield engine
    engine.dispose()


def test_a_stopped_loader_delays_no_answer_and_catches_up(server: DriftlineServer, engine: Engine, note: Note) -> None:
    before = set(stored(engine))
    with scoring(server) as clients:
        loader = loader_of(server)
        assert loader is not None
        for _ in range(3):
            answered = len(clients.answered)
            with stopped(loader):  # it may hold the lock of the SQLite file: the store is not asked meanwhile
                servers.wait_until(lambda seen=answered: len(clients.answered) > seen + 20)
            time.sleep(0.2)
            assert accounts(engine, server.spool_folder).balanced
    assert (clients.failed, clients.refused) == (0, 0)
    settled(engine, server)
    note(check(engine, clients, before, tries=3))


def test_a_killed_loader_is_started_again_and_stores_everything_once(
    server: DriftlineServer, engine: Engine, note: Note
) -> None:
    before = set(stored(engine))
    with scoring(server) as clients:
        servers.wait_until(lambda: clients.answered and loader_of(server))
        first = loader_of(server)
        assert first is not None
        answered = len(clients.answered)
        os.kill(first, signal.SIGKILL)
        servers.wait_until(lambda: len(clients.answered) > answered + 20, what="answers stopped")
    assert (clients.failed, clients.refused) == (0, 0)
    settled(engine, server)
    assert loader_of(server) not in (None, first)
    note(check(engine, clients, before))


def test_a_disk_that_freezes_delays_no_answer(
    server: DriftlineServer, disk: faulty_disks.Ext4, engine: Engine, note: Note
) -> None:
    before = set(stored(engine))
    with scoring(server) as clients:
        servers.wait_until(lambda: len(clients.answered) > 20)
        since = time.monotonic()
        freezing = disk.freeze(4.0)
        assert freezing.wait(60) == 0
        frozen = [took for begin, took in clients.seconds if begin >= since]
    assert (clients.failed, clients.refused) == (0, 0)
    assert len(frozen) > 50
    assert max(frozen) < 3.0, "an answer waited for the disk"
    settled(engine, server)
    note(check(engine, clients, before))


def test_a_stopped_worker_goes_on_where_it_was(server: DriftlineServer, engine: Engine, note: Note) -> None:
    before = set(stored(engine))
    with scoring(server) as clients:
        (worker,) = server.workers()
        for _ in range(3):
            with stopped(worker):
                time.sleep(0.2)
                assert accounts(engine, server.spool_folder).balanced
            time.sleep(0.2)
    assert (clients.failed, clients.refused) == (0, 0)
    settled(engine, server)
    note(check(engine, clients, before, tries=3))


@pytest.mark.slow
@pytest.mark.parametrize(
    "failpoint",
    ["append.copied:100", "append.published:100", "segment.created", "segment.written:20", "segment.consumed:20",
     "segment.synced:2", "segment.left:2"],
)  # fmt: skip
def test_workers_that_die_at_a_step_lose_nothing_that_was_answered(
    models: Path, tmp_path: Path, note: Note, failpoint: str
) -> None:
    home = tmp_path / "home"
    store = f"sqlite:///{home / 'driftline.sqlite'}"
    settings = {"_DRIFTLINE_FAILPOINT": failpoint, "DRIFTLINE_SPOOL_SEGMENT_BYTES": "20000"}
    workers: set[int] = set()
    with serving(models, home, store, "-w", "2", **settings) as server, scoring(server, threads=4) as clients:
        begin = time.monotonic()
        while (took := time.monotonic() - begin) < 20 or (len(workers) <= 2 and took < 120):
            workers |= set(server.workers())
            time.sleep(0.2)
    assert clients.answered
    assert len(workers) > 2, "the step was not reached"
    engine = open_engine(store)
    Loader(engine, server.spool_folder, LoaderSettings(raw_bodies="all")).load_once()
    found = balanced(engine, server.spool_folder)
    assert (found.spooled, found.dropped) == (0, {})
    note(check(engine, clients, set(), tries=len(workers) - 2))
    engine.dispose()


def test_sigterm_under_load_answers_stores_and_ends(models: Path, tmp_path: Path, note: Note) -> None:
    home = tmp_path / "home"
    with serving(models, home, f"sqlite:///{home / 'driftline.sqlite'}") as server, scoring(server, 4) as clients:
        servers.wait_until(lambda: len(clients.answered) > 200)
        assert server.stop() == 0
    engine = open_engine(f"sqlite:///{home / 'driftline.sqlite'}")
    found = balanced(engine, server.spool_folder)
    assert (found.spooled, found.dropped, clients.refused) == (0, {}, 0)
    note(check(engine, clients, set()))
    engine.dispose()


def test_a_worker_that_starts_on_a_full_disk_answers_counts_and_keeps_again_when_there_is_space(
    models: Path, tmp_path: Path, note: Note
) -> None:
    dropped = "driftline_scorer_tee_dropped_records_total"
    with faulty_disks.tmpfs(tmp_path / "disk", "256m") as disk:  # room for all that a fast server answers meanwhile
        home = disk / "home"
        store = f"sqlite:///{home / 'driftline.sqlite'}"
        with serving(models, home, store, "-w", "2") as server:
            servers.wait_until(lambda: len(server.workers()) == 2)
            with scoring(server) as clients:
                ballast = faulty_disks.fill_up(disk)
                os.kill(server.workers()[0], signal.SIGKILL)

                def unspooled() -> float:
                    assert server.score(_ONE).status == 200, "a new connection, which may meet the new worker"
                    return server.metric(dropped, reason="no_spool")

                servers.wait_until(lambda: unspooled() > 0, 60, what="no drop is told")
                ballast.unlink()
                servers.wait_until(lambda: len(server.workers()) == 2, 60, what="the new worker has no spool")
            assert clients.answered
            lost = server.metric(dropped, reason="no_spool")
            engine = open_engine(store)
            found = settled(engine, server)
            assert server.stop() == 0
        in_store = stored(engine)
        engine.dispose()
    missing = clients.answered.keys() - in_store.keys()
    assert len(missing) <= lost + sum(found.dropped.values())
    note(Figures(1, len(clients.answered), dropped=len(missing)))


def test_a_full_disk_stops_no_answer_drops_are_counted_and_capture_goes_on_when_there_is_space(
    models: Path, tmp_path: Path, note: Note
) -> None:
    dropped = "driftline_scorer_tee_dropped_records_total"
    with faulty_disks.tmpfs(tmp_path / "disk", "8m") as disk:
        home = disk / "home"
        store = f"sqlite:///{home / 'driftline.sqlite'}"
        memory = {name: str(1 << 16) for name in ("DRIFTLINE_SPOOL_RING_BYTES", "DRIFTLINE_SPOOL_OVERFLOW_BYTES")}
        with serving(models, home, store, **memory) as server:
            engine = open_engine(store)
            with scoring(server, padding=2000) as clients:
                servers.wait_until(lambda: len(stored(engine)) > 50)
                ballast = faulty_disks.fill_up(disk)
                answered = len(clients.answered)
                servers.wait_until(lambda: len(clients.answered) > answered + 400, what="answers stopped")
                servers.wait_until(lambda: server.metric(dropped, reason="disk_full") > 0, what="no drop is told")
                since, before = time.monotonic(), set(clients.answered)
                ballast.unlink()
                servers.wait_until(lambda: stored(engine).keys() - before, what="capture does not go on")
                time.sleep(0.5)
            assert (clients.failed, clients.refused) == (0, 0)
            assert clients.slowest(since) < 10.0
            found = settled(engine, server)
            assert found.dropped.keys() <= {"disk_full", "ring_full"}
            assert server.stop() == 0
        in_store = stored(engine)
        engine.dispose()
    assert found.answered == len(clients.answered) == len(in_store) + sum(found.dropped.values())
    assert in_store.keys() <= clients.answered.keys()
    assert all(clients.answered[id_] == hashed for id_, hashed in in_store.items())
    note(Figures(1, len(clients.answered), dropped=sum(found.dropped.values())))
