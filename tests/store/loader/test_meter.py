"""What loaders count, in memory that outlives them."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import servers
from sqlalchemy import Engine
from store_traffic import clf_traffic, fill

from driftline.store.engine import open_engine
from driftline.store.loader.loader import Loader
from driftline.store.loader.meter import LoaderMeter
from driftline.store.loader.settings import LoaderSettings
from driftline.store.records import now_us

_COUNT_AND_DIE = """
import os, pathlib, sys
from driftline.store.loader.meter import LoaderMeter
meter = LoaderMeter.attach(pathlib.Path(sys.argv[1]))
meter.flushed(duration_us=2_000, at_us=int(sys.argv[2]))
meter.failed()
os.kill(os.getpid(), 9)
"""


def test_a_killed_loaders_counts_stay_and_the_next_one_goes_on() -> None:
    meter = LoaderMeter.create()
    for at_us in (5, 7):
        ended = subprocess.run([sys.executable, "-c", _COUNT_AND_DIE, meter.path, str(at_us)], check=False)
        assert ended.returncode == -signal.SIGKILL
    assert (meter.last_success_us, meter.errors) == (7, 2)
    assert (meter.durations.sum, meter.durations.counts[1], sum(meter.durations.counts)) == (4_000, 2, 2)


def test_nothing_is_left_behind() -> None:
    meter = LoaderMeter.create()
    assert not Path(os.readlink(meter.path)).exists()


def test_batches_are_counted_with_what_they_took_and_when(engine: Engine, tmp_path: Path) -> None:
    fill(tmp_path / "spool", list(clf_traffic(30)))
    meter = LoaderMeter.create()
    before = now_us()
    Loader(engine, tmp_path / "spool", LoaderSettings(batch_records=10), meter).load_once()
    assert sum(meter.durations.counts) == 3
    assert before <= meter.last_success_us <= now_us()
    assert 0 < meter.durations.sum < 60_000_000
    assert meter.errors == 0


def test_a_store_that_is_away_is_counted_and_nothing_as_stored(tmp_path: Path) -> None:
    fill(tmp_path / "spool", list(clf_traffic(1)))
    away = open_engine(f"postgresql+psycopg://nobody@127.0.0.1:{servers.free_port()}/nothing", probe=False)
    meter, stop = LoaderMeter.create(), threading.Event()
    loader = Loader(away, tmp_path / "spool", LoaderSettings(drain_seconds=0), meter)
    thread = threading.Thread(target=loader.run, args=(stop,))
    thread.start()
    servers.wait_until(lambda: meter.errors > 1, what="no failed try was counted")
    stop.set()
    thread.join(60)
    assert (sum(meter.durations.counts), meter.last_success_us) == (0, 0)
    away.dispose()
