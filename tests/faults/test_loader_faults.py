"""The loader killed at every step, started many times, with little memory, stopped and told wrong times."""

import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import servers
import store_traffic as traffic
from fault_oracle import Figures, balanced, settle, stored
from sqlalchemy import Engine

from driftline.store import migrate, partitions
from driftline.store.engine import open_engine, writing
from driftline.store.loader import loader as loader_module
from driftline.store.loader import spool_loading
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.records import Invocation, now_us
from driftline.store.references import save_reference
from driftline.store.spool.adoption import spools
from driftline.store.spool.reader import SpoolReader
from driftline.store.spool.spool import Spool

pytestmark = pytest.mark.thorough
DYING = Path(__file__).with_name("dying_loader.py")
TESTS = str(Path(__file__).parents[1])
Note = Callable[[Figures], None]


def with_reference(engine: Engine) -> None:
    """Let the loader write profiles too."""
    with writing(engine) as connection:
        version = ensure_model_version(connection, traffic.CLF)
        save_reference(connection, version.id, traffic.clf_reference())


def in_segments(folder: Path, sent: list[Invocation]) -> None:
    """Put ``sent`` into a spool of several small segments."""
    folder.mkdir()
    spool = Spool.open(folder, traffic.SpoolSettings(ring_bytes=1 << 16, min_free_bytes=0, segment_bytes=1024,
                                                     flush_interval_seconds=0.001))  # fmt: skip
    model = spool.declare_model(traffic.CLF)
    for one in sent:
        spool.append(model, one.pack(), one.received_at_us)
    spool.close()


def start_loader(home: Path, url: str, **variables: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "DRIFTLINE_HOME": str(home), "DRIFTLINE_STORE": url,
                   "DRIFTLINE_LOADER_RAW_BODIES": "all", **variables}  # fmt: skip
    with (home / "loader.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "driftline.store.loader.process"], env=environment, stderr=log)


def kill_at_each_step(engine: Engine, store_url: str, folder: Path, stride: int) -> tuple[Figures, set[str]]:
    """Run ``dying_loader``; return the figures and the names of the steps at which loaders died."""
    sent = list(traffic.clf_traffic(1400))
    folder.mkdir()
    packed = folder.with_name("packed.json")
    packed.write_bytes(orjson.dumps([one.pack().hex() for one in sent]))
    dying = subprocess.run(
        [sys.executable, DYING, folder, store_url, packed, str(stride)], capture_output=True, text=True, timeout=250,
        check=False, env={**os.environ, "PYTHONPATH": TESTS},
    )  # fmt: skip
    assert dying.returncode == 0, dying.stderr
    told = json.loads(dying.stdout)
    assert spools(folder) == []
    return settle(engine, folder, sent[: told["sent"]], tries=told["died"]), set(dying.stderr.splitlines())


def test_a_loader_killed_at_any_step_stores_everything_once_and_leaves_no_segment(
    engine: Engine, store_url: str, folder: Path, note: Note
) -> None:
    figures, steps = kill_at_each_step(engine, store_url, folder, 1 if engine.dialect.name == "sqlite" else 4)
    note(figures)
    assert figures.tries > 40
    assert {"begin", "before_cursor_execute", "after_cursor_execute", "before commit", "after commit"} <= steps
    if engine.dialect.name == "sqlite":
        assert {"os.remove", "os.rename", "os.rmdir"} <= steps


@pytest.mark.slow
def test_a_loader_killed_at_every_single_step_stores_everything_once(
    postgresql_url: str, folder: Path, note: Note
) -> None:
    engine = open_engine(postgresql_url)
    migrate.upgrade(engine)
    figures, steps = kill_at_each_step(engine, postgresql_url, folder, 1)
    note(figures)
    engine.dispose()
    assert {"before commit", "after commit", "os.remove", "os.rename", "os.rmdir"} <= steps


def test_segments_of_a_loader_that_died_after_its_commit_are_removed(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch, note: Note
) -> None:
    sent = list(traffic.clf_traffic(20))
    in_segments(folder, sent)
    settings = LoaderSettings(batch_records=10, raw_bodies="all")
    with monkeypatch.context() as dead:
        dead.setattr(SpoolReader, "delete_consumed", lambda reader, position: 0)
        Loader(engine, folder, settings).load_once()
    assert len(list(next(iter(spools(folder))).glob("*.seg"))) > 3
    Loader(engine, folder, settings).load_once()
    assert list(folder.iterdir()) == []
    note(settle(engine, folder, sent))


def _load(url: str, folder: Path, start: float) -> None:
    engine = open_engine(url)
    time.sleep(max(0.0, start - time.time()))
    Loader(engine, folder, LoaderSettings(batch_records=20, raw_bodies="all")).load_once()
    engine.dispose()


def test_four_loaders_at_once_on_one_spool_store_everything_once(
    engine: Engine, store_url: str, folder: Path, note: Note
) -> None:
    sent = list(traffic.clf_traffic(1500))
    with_reference(engine)
    in_segments(folder, sent)
    start = time.time() + 0.3
    context = multiprocessing.get_context("fork")
    loaders = [context.Process(target=_load, args=(store_url, folder, start)) for _ in range(4)]
    for one in loaders:
        one.start()
    for one in loaders:
        one.join(90)
    assert [one.exitcode for one in loaders] == [0] * 4
    assert spools(folder) == []
    note(settle(engine, folder, sent))


def test_a_spool_that_is_put_back_as_it_was_stores_nothing_twice(engine: Engine, folder: Path, note: Note) -> None:
    sent = list(traffic.clf_traffic(200))
    in_segments(folder, sent)
    backup = folder.with_name("backup")
    shutil.copytree(folder, backup)
    settings = LoaderSettings(batch_records=50, raw_bodies="all")
    half = Loader(engine, folder, settings)._load_round()
    assert 0 < half.records < 200
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    Loader(engine, folder, settings).load_once()
    shutil.copytree(backup, folder, dirs_exist_ok=True)
    assert Loader(engine, folder, settings).load_once().records == 0
    note(settle(engine, folder, sent, tries=2))


def test_a_stopped_loader_goes_on_where_it_was(engine: Engine, store_url: str, tmp_path: Path, note: Note) -> None:
    sent = list(traffic.clf_traffic(4000))
    traffic.fill(tmp_path / "spool", sent)
    process = start_loader(tmp_path, store_url, DRIFTLINE_LOADER_BATCH_RECORDS="10")
    stops = 0
    try:
        servers.wait_until(lambda: len(stored(engine)) > 0)
        for _ in range(3):
            process.send_signal(signal.SIGSTOP)
            stops += bool(spools(tmp_path / "spool"))
            time.sleep(0.2)
            process.send_signal(signal.SIGCONT)
            time.sleep(0.1)
        servers.wait_until(lambda: not spools(tmp_path / "spool"), 120)  # 400 commits: a busy disk is slow
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    note(settle(engine, tmp_path / "spool", sent, tries=stops))
    assert stops > 0


def test_a_stopped_loader_that_is_replaced_writes_nothing_when_it_goes_on(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch, note: Note
) -> None:
    sent = list(traffic.clf_traffic(300))
    in_segments(folder, sent)
    settings = LoaderSettings(batch_records=100, raw_bodies="all")
    prepare, others = spool_loading.prepare, []

    def meanwhile(*arguments: object) -> object:
        """Between reading and the transaction another loader loads everything."""
        prepared = prepare(*arguments)  # type: ignore[arg-type]
        if not others:
            others.append(True)
            Loader(engine, folder, settings).load_once()
        return prepared

    monkeypatch.setattr(spool_loading, "prepare", meanwhile)
    assert Loader(engine, folder, settings).load_once().records == 0
    note(settle(engine, folder, sent))


JUMPS = [0, 1_000_000, now_us() - 86_400_000_000, now_us(), now_us() - 3_600_000_000, 4_102_444_800_000_000, now_us()]


def test_a_clock_that_jumps_loses_nothing_and_rows_find_a_partition(engine: Engine, folder: Path, note: Note) -> None:
    body = {"dataframe_split": {"columns": ["age", "visits", "plan"], "data": [[1.0, 2, "a"]]}}
    sent = [traffic.invocation(body, {"predictions": [i]}, at_us=at) for i, at in enumerate(JUMPS)]
    with_reference(engine)
    traffic.fill(folder, sent)
    Loader(engine, folder, LoaderSettings(batch_records=2, raw_bodies="all")).load_once()
    note(settle(engine, folder, sent, tries=len(JUMPS)))


@pytest.mark.parametrize("clock", [0, 4_102_444_800_000_000], ids=["1970", "2099"])
def test_a_loader_whose_own_clock_is_wrong_loads_and_its_rows_move_when_it_is_right_again(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch, clock: int, note: Note
) -> None:
    body = {"dataframe_split": {"columns": ["age", "visits", "plan"], "data": [[1.0, 2, "a"]]}}
    sent = [traffic.invocation(body, {"predictions": [i]}, at_us=now_us()) for i in range(20)]
    settings = LoaderSettings(raw_bodies="all")
    for module in (loader_module, spool_loading):
        monkeypatch.setattr(module, "now_us", lambda: clock)
    traffic.fill(folder, sent[:10])
    Loader(engine, folder, settings).load_once()
    monkeypatch.undo()
    traffic.fill(folder, sent[10:])
    Loader(engine, folder, settings).load_once()
    note(settle(engine, folder, sent, tries=2))
    if engine.dialect.name == "postgresql":
        day = partitions.partition_name("invocation", partitions.day_of(sent[0].received_at_us))
        with engine.connect() as connection:
            assert connection.exec_driver_sql(f'SELECT count(*) FROM "{day}"').scalar_one() == 20


def test_a_spool_whose_owners_number_another_process_has_now_is_adopted(
    engine: Engine, folder: Path, note: Note
) -> None:
    sent = list(traffic.clf_traffic(30))
    script = (
        "import os, sys; from pathlib import Path; import store_traffic as traffic; "
        "from driftline.store.spool.spool import Spool; Path(sys.argv[1]).mkdir(); "
        "spool = Spool.open(Path(sys.argv[1]), traffic.SETTINGS); model = spool.declare_model(traffic.CLF)\n"
        "for raw in sys.stdin.buffer.read().split(b'<end>')[:-1]: spool.append(model, raw, 1)\n"
        "os.kill(os.getpid(), 9)"
    )
    raw = b"".join(one.pack() + b"<end>" for one in sent)
    died = subprocess.run([sys.executable, "-c", script, folder], input=raw, check=False,
                          env={**os.environ, "PYTHONPATH": TESTS})  # fmt: skip
    assert died.returncode == -signal.SIGKILL
    meta = next(iter(spools(folder))) / "META.json"
    text = meta.read_text()
    number = text.split('"pid": ')[1].split(",")[0]
    meta.write_text(text.replace(f'"pid": {number},', f'"pid": {os.getpid()},'))
    Loader(engine, folder, LoaderSettings(raw_bodies="all")).load_once()
    assert spools(folder) == []
    note(settle(engine, folder, sent))


@pytest.mark.slow
def test_two_hundred_kills_of_the_loader_store_everything_once(
    engine: Engine, store_url: str, folder: Path, note: Note
) -> None:
    total = Figures()
    chance = random.Random(3)
    sent: list[Invocation] = []
    kills = 0
    while kills < 200:
        part = list(traffic.clf_traffic(chance.randrange(500, 3000), seed=kills))
        sent += part
        traffic.fill(folder, part)
        while spools(folder) and kills < 200:
            loader = multiprocessing.get_context("fork").Process(target=_load, args=(store_url, folder, 0.0))
            loader.start()
            loader.join(chance.uniform(0.02, 0.4))
            kills += loader.is_alive()
            loader.kill()
            loader.join()
    Loader(engine, folder, LoaderSettings(raw_bodies="all")).load_once()
    total += settle(engine, folder, sent, tries=kills)
    note(total)
    assert balanced(engine, folder).dropped == {}


def test_a_loader_with_little_memory_loads_a_long_backlog(
    engine: Engine, store_url: str, tmp_path: Path, note: Note
) -> None:
    sent = list(traffic.clf_traffic(20_000))
    traffic.fill(tmp_path / "spool", sent)
    limit = 512 << 20  # of address space, shared libraries included
    process = start_loader(tmp_path, store_url, PYTHONFAULTHANDLER="1")
    resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))
    try:
        servers.wait_until(lambda: process.poll() is not None or not spools(tmp_path / "spool"), 60)
        process.send_signal(signal.SIGTERM)
        try:
            ended = process.wait(60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # it writes where each thread is
            ended = process.wait(60)
        assert ended == 0, (tmp_path / "loader.log").read_text()[-5000:]
    finally:
        process.kill()
        process.wait()
    note(settle(engine, tmp_path / "spool", sent))
