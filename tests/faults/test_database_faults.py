"""A database that crashes, is away for hours, is slow, falls silent, or takes a commit without saying so."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import faulty_network
import pytest
import servers
import store_traffic as traffic
from fault_oracle import Figures, settle
from sqlalchemy import Engine, select, text

from driftline.store import migrate, schema
from driftline.store.accounts import accounts
from driftline.store.engine import open_engine
from driftline.store.loader import loader as loader_module
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.references import save_reference
from driftline.store.spool.adoption import spools
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

pytestmark = [pytest.mark.postgresql, pytest.mark.thorough]
Note = Callable[[Figures], None]
HOURS = 12


@pytest.fixture
def database(own_postgresql: servers.PostgreSQL, request: pytest.FixtureRequest) -> str:
    """The URL of an upgraded store with a reference, on the cluster that may crash."""
    url = own_postgresql.create_database(f"d{abs(hash(request.node.name))}")
    engine = open_engine(url)
    migrate.upgrade(engine)
    with engine.begin() as connection:
        version = ensure_model_version(connection, traffic.CLF)
        save_reference(connection, version.id, traffic.clf_reference())
    engine.dispose()
    return url


@pytest.fixture
def watcher(database: str) -> Iterator[Engine]:
    """An engine that goes to the database directly."""
    engine = open_engine(database)
    yield engine
    engine.dispose()


def through(proxy: faulty_network.Proxy, url: str) -> Engine:
    head, _, tail = url.partition("@127.0.0.1:")
    return open_engine(f"{head}@127.0.0.1:{proxy.port}/{tail.partition('/')[2]}", probe=False)


@contextmanager
def loading(engine: Engine, folder: Path, batch_records: int = 50) -> Iterator[None]:
    """Load in the background until the end of the block, at which nothing may be left."""
    stop = threading.Event()
    settings = LoaderSettings(batch_records=batch_records, raw_bodies="all", poll_interval_seconds=0.02)
    runner = threading.Thread(target=Loader(engine, folder, settings).run, args=(stop,))
    runner.start()
    try:
        yield
        servers.wait_until(lambda: not spools(folder), 60, what="the loader is stuck")
    finally:
        stop.set()
        runner.join(60)
        engine.dispose()
    assert not runner.is_alive()


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM invocation")).scalar_one())


def test_a_database_that_crashes_again_and_again_takes_everything_once(
    own_postgresql: servers.PostgreSQL, database: str, watcher: Engine, folder: Path, note: Note
) -> None:
    sent = list(traffic.clf_traffic(12_000))
    traffic.fill(folder, sent)
    crashes = 0
    with loading(open_engine(database), folder, batch_records=40):
        for _ in range(3):
            before = count(watcher)
            servers.wait_until(lambda seen=before: count(watcher) > seen, every=0.01)  # type: ignore[misc]
            watcher.dispose()
            own_postgresql.stop("immediate")
            crashes += bool(spools(folder))
            own_postgresql.start()
    note(settle(watcher, folder, sent, tries=crashes))
    assert crashes == 3


@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before the commit"])
def test_a_connection_cut_around_a_commit_stores_everything_once(
    own_postgresql: servers.PostgreSQL, database: str, watcher: Engine, folder: Path, note: Note, committed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(loader_module, "_LONGEST_WAIT_SECONDS", 0.1)
    sent = list(traffic.clf_traffic(600))
    with faulty_network.proxy(own_postgresql.port) as proxy:
        turns = iter(range(10**9))
        proxy.after_forwarding = committed
        proxy.cut_at = lambda piece: b"COMMIT" in piece and proxy.cuts < 25 and next(turns) % 3 != 0
        traffic.fill(folder, sent)
        with loading(through(proxy, database), folder, batch_records=30):
            pass
        note(settle(watcher, folder, sent, tries=proxy.cuts))
        assert proxy.cuts >= 20


def test_a_slow_database_takes_everything_once(
    own_postgresql: servers.PostgreSQL, database: str, watcher: Engine, folder: Path, note: Note
) -> None:
    sent = list(traffic.clf_traffic(300))
    traffic.fill(folder, sent)
    with faulty_network.proxy(own_postgresql.port) as proxy:
        proxy.delay_seconds = 0.005
        with loading(through(proxy, database), folder, batch_records=100):
            pass
    note(settle(watcher, folder, sent))


@pytest.mark.parametrize("ending", ["answers again", "is cut"])
def test_a_database_that_falls_silent_takes_everything_once_when_that(
    own_postgresql: servers.PostgreSQL, database: str, watcher: Engine, folder: Path, note: Note, ending: str
) -> None:
    sent = list(traffic.clf_traffic(1500))
    traffic.fill(folder, sent)
    with faulty_network.proxy(own_postgresql.port) as proxy, loading(through(proxy, database), folder):
        for _ in range(2):
            before = count(watcher)
            servers.wait_until(lambda seen=before: count(watcher) > seen, every=0.01)  # type: ignore[misc]
            proxy.silent.set()
            time.sleep(0.5)
            assert spools(folder)
            if ending == "is cut":
                proxy.cut_all()
            proxy.silent.clear()
    note(settle(watcher, folder, sent, tries=2))


class Hours(threading.Event):
    """Waits in no time, and after so many hours of waiting lets the database come back."""

    def __init__(self, come_back: Callable[[], None]) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self._come_back = come_back

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        if sum(self.pauses) < HOURS * 3600:
            self.pauses.append(timeout)
            if sum(self.pauses) >= HOURS * 3600:
                self._come_back()
            return self.is_set()
        return super().wait(min(timeout, 0.2))


def test_twelve_hours_without_the_database_lose_only_what_the_budget_refused(
    own_postgresql: servers.PostgreSQL, database: str, watcher: Engine, folder: Path, tmp_path: Path, note: Note,
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sent = list(traffic.clf_traffic(4000))
    folder.mkdir()
    spool = Spool.open(folder, SpoolSettings(ring_bytes=1 << 16, overflow_bytes=1 << 16, segment_bytes=1 << 15,
                                             max_bytes=400_000, min_free_bytes=0))  # fmt: skip
    model = spool.declare_model(traffic.CLF)
    for i, one in enumerate(sent[:3500]):
        spool.append(model, one.pack(), one.received_at_us)
        if (
            i < 1000 and i % 100 == 0
        ):  # what memory holds; so many fit the budget, and are written however slow the disk is
            servers.wait_until(lambda: accounts(watcher, folder).in_memory == 0)
    dropped = sum(accounts(watcher, folder).dropped.values())
    assert 0 < dropped < 3000

    with faulty_network.proxy(own_postgresql.port) as proxy:
        engine, back = through(proxy, database), threading.Event()
        proxy.cut_at = lambda piece: not back.is_set()
        proxy.after_forwarding = False
        stop = Hours(back.set)
        monkeypatch.setattr(loader_module, "_ADOPTION_SECONDS", 0.0)
        runner = threading.Thread(target=Loader(engine, folder, LoaderSettings(raw_bodies="all")).run, args=(stop,))
        with caplog.at_level(logging.WARNING):
            runner.start()
            servers.wait_until(lambda: accounts(watcher, folder).spooled == 0, 60)
        for one in sent[3500:]:
            spool.append(model, one.pack(), one.received_at_us)
            time.sleep(0.0002)
        spool.close()
        servers.wait_until(lambda: not spools(folder), 60)
        stop.set()
        runner.join()
        engine.dispose()

    assert len(stop.pauses) > 1000
    assert max(stop.pauses) <= 30
    assert caplog.text.count("the store does not take rows") == 1
    assert caplog.text.count("the store takes rows again") == 1
    found = accounts(watcher, folder)
    assert found.balanced
    assert (found.answered, found.stored, found.spooled) == (4000, count(watcher), 0)
    assert set(found.dropped) <= {"ring_full", "disk_budget"}
    with watcher.connect() as connection:
        ids = set(connection.scalars(select(schema.invocation.c.id)))
    assert {one.id for one in sent[3500:]} <= ids
    note(Figures(len(stop.pauses), 4000, dropped=4000 - len(ids)))
