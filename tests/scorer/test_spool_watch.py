"""The background look at spools and store, on both engines."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import servers

from driftline.scorer.spool_watch import SpoolWatch
from driftline.store.engine import open_engine
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.migrate import upgrade
from driftline.store.records import Arm, Invocation, ModelIdentity, new_invocation_id
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

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
        servers.wait_until(lambda: watch.state.in_memory + watch.state.on_disk == 5, 10)
        servers.wait_until(lambda: watch.state.bytes > 0, 10)
    assert watch.state.limit_bytes == 10 << 20
    assert watch.state.available_bytes <= (10 << 20) - watch.state.bytes
