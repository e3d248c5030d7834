"""Swaps, killed workers and malformed requests under traffic that never stops: no wrong answer, balanced books."""

import itertools
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
import servers
from scaled_models import BODY, Clients, ScaledModels, in_sync, product
from scoring_servers import DriftlineServer, driftline_server
from sqlalchemy import select

from driftline.store import migrate, schema
from driftline.store.accounts import accounts
from driftline.store.engine import open_engine
from driftline.store.records import Arm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SECONDS = float(os.environ.get("DRIFTLINE_SOAK_SECONDS", "90"))
SWAP_EVERY, KILL_EVERY = 6.0, 9.0
MALFORMED = (b"{", b"{}", b'{"dataframe_records": [{"y": 1}]}')


def _disturb(server: DriftlineServer, scaled: ScaledModels, until: float) -> tuple[int, int]:
    """Move aliases and kill workers until the time; return how often each happened."""
    rng = random.Random(11)
    swaps = kills = 0
    names = itertools.cycle(("second", "first"))
    next_swap, next_kill = time.monotonic() + SWAP_EVERY, time.monotonic() + KILL_EVERY
    while time.monotonic() < until:
        now = time.monotonic()
        if now >= next_swap:
            scaled.point(next(names), rng.choice(("champion", "challenger")))
            swaps, next_swap = swaps + 1, now + SWAP_EVERY
        workers = server.workers()
        if now >= next_kill and len(workers) == 2:
            os.kill(rng.choice(workers), signal.SIGKILL)
            kills, next_kill = kills + 1, now + KILL_EVERY
        time.sleep(0.1)
    return swaps, kills


def test_a_soak_of_swaps_and_kills_gives_no_wrong_answer_and_balances(
    scaled: ScaledModels, tmp_path: Path, postgresql_url: str
) -> None:
    engine = open_engine(postgresql_url)
    migrate.upgrade(engine)
    scaled.point("first")
    scaled.point("first", "challenger")
    flags = (
        "--registry-poll-seconds",
        "1",
        "-w",
        "2",
        "--store",
        postgresql_url,
        "--shadow",
        "models:/scaled@challenger",
    )
    server = driftline_server(scaled.folder, "models:/scaled@champion", tmp_path.name, *flags)
    server.start()
    try:
        server.wait_ready()
        servers.wait_until(lambda: len(server.workers()) == 2, 60)
        refused: list[int] = []
        stop = threading.Event()

        def misbehave() -> None:
            for body in itertools.cycle(MALFORMED):
                if stop.is_set():
                    return
                try:
                    refused.append(server.score(body).status)
                except OSError:
                    time.sleep(0.05)
                time.sleep(0.02)

        vandal = threading.Thread(target=misbehave)
        vandal.start()
        with Clients(server).sending(16) as clients:
            swaps, kills = _disturb(server, scaled, time.monotonic() + SECONDS)
        stop.set()
        vandal.join()
        servers.wait_until(lambda: in_sync(server) and len(server.workers()) == 2, 120, what=server.log.read_text())
        assert product(server.score((BODY % 7).encode())) in (7.0, 14.0)
    finally:
        assert server.stop(90) == 0
    print(f"{len(clients.answers)} answers, {len(clients.failures)} lost with {kills} killed workers, {swaps} swaps")
    assert set(refused) == {400}
    assert all(product(a) == n * float(a.headers["x-driftline-model-version"]) for n, a in clients.answers)
    assert len({a.headers["x-driftline-invocation-id"] for _, a in clients.answers}) == len(clients.answers)
    assert len(clients.failures) <= kills * 17, "only what a killed worker had under way may fail"

    i, v = schema.invocation, schema.model_version
    with engine.connect() as connection:
        query = select(i.c.id, i.c.status, v.c.version).join(v, v.c.id == i.c.model_version_id)
        rows = connection.execute(query.where(i.c.arm == Arm.CHAMPION)).all()
    stored = {row.id.hex(): row.version for row in rows if row.status == 200}
    for _, answer in clients.answers:
        id_ = answer.headers["x-driftline-invocation-id"].replace("-", "")
        assert stored[id_] == answer.headers["x-driftline-model-version"]
    found = accounts(engine, server.spool_folder)
    engine.dispose()
    assert found.spooled == 0
    assert found.answered == found.stored + sum(found.dropped.values())
