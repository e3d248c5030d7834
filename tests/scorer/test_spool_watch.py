"""The background look at spools and store, on both engines."""

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import servers
from sqlalchemy import delete

from driftline.scorer.spool_watch import SpoolWatch, TeeState
from driftline.store import schema
from driftline.store.engine import open_engine, writing
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.migrate import upgrade
from driftline.store.records import Arm, Invocation, ModelIdentity, new_invocation_id
from driftline.store.spool.layout import Meta
from driftline.store.spool.reader import Position, SpoolReader
from driftline.store.spool.record import Framing, Kind
from driftline.store.spool.segment import Segment, segment_numbers
from driftline.store.spool.segment_file import PlainSegment
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool
from driftline.store.spool.upkeep import Upkeep

pytestmark = pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")  # MLflow's import, of itself
AT_US = 1_700_000_000_000_000


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    folder = tmp_path / "spool"
    folder.mkdir()
    spool = Spool.open(folder, SpoolSettings(min_free_bytes=0, ring_bytes=1 << 16))
    model = spool.declare_model(ModelIdentity("m", "1", "models:/m/1"))
    for _ in range(5):
        invocation = Invocation(new_invocation_id(AT_US), AT_US, 400, Arm.CHAMPION, 1, b"", b"", b"x", b"{}")
        spool.append(model, invocation.pack(), AT_US)
    yield spool
    spool.close()


def test_what_is_loaded_moves_from_pending_to_stored(store_url: str, spool: Spool) -> None:
    engine = open_engine(store_url)
    upgrade(engine)
    watch = SpoolWatch(store_url, spool.folder.parent, SpoolSettings())
    watch.look(engine)
    assert (watch.state.stored, watch.state.in_memory + watch.state.on_disk) == (0, 5)
    assert watch.state.oldest_pending_us == AT_US
    loader = Loader(engine, spool.folder.parent, LoaderSettings())

    def all_stored() -> bool:
        loader.load_once()
        watch.look(engine)
        return watch.state.stored == 5

    servers.wait_until(all_stored)
    assert (watch.state.in_memory, watch.state.on_disk, watch.state.oldest_pending_us) == (0, 0, 0)
    engine.dispose()


def test_a_database_that_does_not_answer_leaves_the_spools_in_sight(spool: Spool) -> None:
    url = f"postgresql+psycopg://nobody@127.0.0.1:{servers.free_port()}/nothing"
    watch = SpoolWatch(url, spool.folder.parent, SpoolSettings())
    engine = open_engine(url, probe=False)
    watch.look(engine)
    assert watch.state.in_memory + watch.state.on_disk == 5
    engine.dispose()


def test_a_scrape_reads_what_the_thread_found(tmp_path: Path, spool: Spool) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()
    watch = SpoolWatch(url, spool.folder.parent, SpoolSettings(max_bytes=10 << 20))
    with watch.running(0.05):
        servers.wait_until(lambda: watch.state.in_memory + watch.state.on_disk == 5, 60)
        servers.wait_until(lambda: watch.state.bytes > 0, 60)
    assert watch.state.limit_bytes == 10 << 20
    assert watch.state.available_bytes <= (10 << 20) - watch.state.bytes


def watch_of(url: str, spool: Spool) -> SpoolWatch:
    return SpoolWatch(url, spool.folder.parent, SpoolSettings())


def balanced(state: TeeState) -> bool:
    return state.answered == state.stored + state.in_memory + state.on_disk + sum(state.dropped.values())


def test_the_counts_go_on_where_they_were_after_a_restart(store_url: str, spool: Spool, tmp_path: Path) -> None:
    """Also those of spools that were loaded and removed before the new server looked for the first time."""
    engine = open_engine(store_url)
    upgrade(engine)
    spool.append(0, b"no invocation", AT_US)
    spool.close()
    Loader(engine, spool.folder.parent, LoaderSettings()).load_once()
    assert not spool.folder.exists()
    watch = watch_of(store_url, spool)
    watch.look(engine)
    assert (watch.state.answered, watch.state.stored, watch.state.on_disk) == (6, 6, 0)
    assert watch.state.quarantined == {"unreadable": 1}
    with writing(engine) as connection:
        connection.execute(delete(schema.dead_letter))
    watch.look(engine)
    assert watch.state.quarantined == {"pruned": 1}
    engine.dispose()


def test_spools_of_another_home_do_not_count(store_url: str, spool: Spool, tmp_path: Path) -> None:
    engine = open_engine(store_url)
    upgrade(engine)
    Loader(engine, spool.folder.parent, LoaderSettings()).load_once()
    (tmp_path / "other" / "spool").mkdir(parents=True)
    watch = SpoolWatch(store_url, tmp_path / "other" / "spool", SpoolSettings())
    watch.look(engine)
    assert (watch.state.books_known, watch.state.answered, watch.state.stored) == (True, 0, 0)
    engine.dispose()


def test_what_is_told_at_one_look_adds_up(store_url: str, spool: Spool) -> None:
    """While another thread appends and a loader loads."""
    engine = open_engine(store_url)
    upgrade(engine)
    loader, watch = Loader(engine, spool.folder.parent, LoaderSettings()), watch_of(store_url, spool)
    model = spool.declare_model(ModelIdentity("m", "1", "models:/m/1"))
    ended = threading.Event()

    def append() -> None:
        while not ended.wait(0.0005):
            invocation = Invocation(new_invocation_id(AT_US), AT_US, 400, Arm.CHAMPION, 1, b"", b"", b"x", b"{}")
            spool.append(model, invocation.pack(), AT_US)

    thread = threading.Thread(target=append)
    thread.start()
    before = TeeState()
    for _ in range(15):
        watch.look(engine)
        assert balanced(watch.state), watch.state
        assert (watch.state.answered, watch.state.stored) >= (before.answered, before.stored)
        assert watch.state.dropped == {}
        before = watch.state
        loader.load_once()
    ended.set()
    thread.join()
    assert watch.state.stored > 0
    engine.dispose()


def test_before_the_database_has_answered_nothing_is_told_of_what_it_holds(tmp_path: Path) -> None:
    """A server that starts while the database is away, on a spool whose beginning was loaded and removed."""
    folder = tmp_path / "spool"
    folder.mkdir()
    spool = Spool.open(folder, SpoolSettings(min_free_bytes=0, ring_bytes=1 << 16, segment_bytes=4096))
    for _ in range(300):
        spool.append(0, bytes(100), AT_US)
    servers.wait_until(lambda: len(segment_numbers(spool.folder)) > 3)
    spool.close()
    reader = SpoolReader(spool.folder)
    reader.read(max_records=100)
    reader.delete_consumed(reader.position)
    url = f"postgresql+psycopg://nobody@127.0.0.1:{servers.free_port()}/nothing"
    engine = open_engine(url, probe=False)
    watch = watch_of(url, spool)
    watch.look(engine)
    assert (watch.state.books_known, watch.state.answered, watch.state.stored) == (False, 0, 0)
    assert watch.state.dropped == {}
    assert 200 <= watch.state.on_disk < 300
    engine.dispose()


def test_looking_takes_at_most_a_twentieth_of_the_time(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = watch_of("sqlite:///nowhere.sqlite", spool)
    looks: list[tuple[float, float]] = []

    def slow(engine: object) -> None:
        begin = time.monotonic()
        time.sleep(0.02)
        looks.append((begin, time.monotonic()))

    monkeypatch.setattr(watch, "look", slow)
    with watch.running(0.001):
        servers.wait_until(lambda: len(looks) >= 4)
    for (begin, end), (following, _) in pairwise(looks):
        assert end - begin <= (following - begin) / 20


def test_a_huge_backlog_is_not_read_to_be_told(spool: Spool, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of twenty counted segments two are read, whatever they hold."""
    engine = open_engine(store_url)
    upgrade(engine)
    spool.close()
    meta = Meta.read(spool.folder)
    framing = Framing(bytes.fromhex(meta.salt))
    for base in range(6, 2006, 100):
        segment = Segment.create(spool.folder, meta.uuid, base)
        raw = b"".join(framing.frame(Kind.INVOCATION, 0, seq, AT_US, bytes(1000)) for seq in range(base, base + 100))
        segment.write([memoryview(raw)], len(raw))
        segment.close()
    Upkeep(spool.folder.parent, SpoolSettings(compress_above_bytes=1 << 30)).look()
    read = []
    whole_read = PlainSegment.read

    def noting(self: PlainSegment, offset: int, size: int) -> bytes:
        read.append(raw := whole_read(self, offset, size))
        return raw

    monkeypatch.setattr(PlainSegment, "read", noting)
    watch = watch_of(store_url, spool)
    watch.look(engine)
    assert watch.state.on_disk == 2005
    assert sum(map(len, read)) < 3 * 104_000
    engine.dispose()


def test_what_a_loader_removes_unseen_is_not_taken_for_damage(store_url: str, spool: Spool) -> None:
    """The database answers the loader and not the watch; segments that the watch knows of are gone."""
    engine = open_engine(store_url)
    upgrade(engine)
    spool.close()
    watch = watch_of(store_url, spool)
    watch.look(engine)
    before = watch.state
    assert (before.answered, before.on_disk) == (5, 5)
    Segment.create(spool.folder, spool.uuid, 6).close()
    SpoolReader(spool.folder).delete_consumed(Position(2, 64, 5))
    nowhere = open_engine(f"postgresql+psycopg://nobody@127.0.0.1:{servers.free_port()}/nothing", probe=False)
    watch.look(nowhere)
    assert (watch.state.answered, watch.state.on_disk, watch.state.dropped) == (5, 5, {})
    engine.dispose()
    nowhere.dispose()
