"""Pruning beside loaders, readers and other prunes, and under kill -9."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import servers
import store_traffic as traffic
from retention_rig import NOW, TODAY, a_day, assert_whole, days_there, keep, load
from sqlalchemy import Engine, text

from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.retention import partition_drop
from driftline.store.retention.bounded_deletes import Pace
from driftline.store.retention.prune import PruneReport, prune

pytestmark = pytest.mark.thorough


def test_the_loader_loads_while_prune_runs(engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(engine, home, TODAY - 6, TODAY - 5, TODAY - 4, count=2000)
    slowest, batches, turns, stop = 0.0, 0, 0, threading.Event()

    def go_on_loading() -> None:
        nonlocal slowest, batches
        loader = Loader(engine, home / "spool", LoaderSettings())
        while not stop.is_set():
            traffic.fill(home / "spool", a_day(TODAY, 20))
            began = time.monotonic()
            loader.load_once()
            slowest, batches = max(slowest, time.monotonic() - began), batches + 1

    def took(pace: Pace, seconds: float) -> None:
        """Wait for the loader's turn after the pause that is there for it."""
        nonlocal turns
        pace_took(pace, seconds)
        turns, before = turns + 1, batches
        servers.wait_until(lambda: batches > before, what="the loader is locked out between two transactions")

    pace_took = Pace.took
    monkeypatch.setattr(Pace, "took", took)
    thread = threading.Thread(target=go_on_loading)
    thread.start()
    report = prune(engine, keep(2), NOW)
    during = batches
    stop.set()
    thread.join()
    assert report.pruned.invocations == 6_000
    if engine.dialect.name == "sqlite":  # PostgreSQL drops the days before a batch is through
        assert during >= turns >= 3
    assert slowest < 10
    assert_whole(engine, home)


def test_a_day_whose_tables_are_in_use_waits_and_stays_whole(
    engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no partitions")
    monkeypatch.setattr(partition_drop, "_PAUSE_SECONDS", 0.01)
    load(engine, home, TODAY - 5)
    with engine.begin() as reader:
        reader.execute(text("LOCK TABLE invocation IN ACCESS SHARE MODE"))
        report = prune(engine, keep(2), NOW)
        assert TODAY - 5 in report.waiting
        assert "other sessions use the tables" in str(report)
    assert days_there(engine) == {-5: 40}
    assert prune(engine, keep(2), NOW).pruned.invocations == 40
    assert_whole(engine, home)


def test_a_killed_prune_leaves_nothing_half_and_the_next_one_ends_it(
    engine: Engine, store_url: str, home: Path
) -> None:
    load(engine, home, TODAY - 200, TODAY - 199, count=400)  # on PostgreSQL they lie in DEFAULT
    program = [sys.executable, str(Path(__file__).with_name("killed_prune.py")), store_url, "4"]
    assert subprocess.run(program, check=False).returncode == -9
    assert 0 < sum(days_there(engine).values()) < 800
    assert_whole(engine, home)
    prune(engine, keep(2), NOW)
    assert days_there(engine) == {}
    assert_whole(engine, home)


def test_two_prunes_at_a_time_count_nothing_twice(engine: Engine, home: Path) -> None:
    load(engine, home, *range(TODAY - 7, TODAY - 3), count=500)
    reports: list[PruneReport] = []
    threads = [threading.Thread(target=lambda: reports.append(prune(engine, keep(2), NOW))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.pruned.invocations for report in reports) == 2000
    assert_whole(engine, home)
