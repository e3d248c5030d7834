"""Versions promoted and workers killed under mixed traffic that never stops: no wrong answer, balanced books."""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import servers
import zstandard
from fault_oracle import stored
from mixed_traffic import MAX_BODY_BYTES, MixedTraffic, factor
from scaled_models import ScaledModels, in_sync
from scoring_servers import DriftlineServer, driftline_server, running
from serve_rig import kill_with_connections, settled
from sqlalchemy import Engine, select

from driftline.store import schema
from driftline.store.engine import open_engine
from driftline.store.records import Arm

pytestmark = pytest.mark.thorough

_ARMS = ("--canary", "models:/scaled@next=20%", "--shadow", "models:/scaled@challenger")
_WORKERS = 2
_FEWEST_KILLS = 2
_PATIENCE_SECONDS = 90


@dataclass
class Disturbance:
    """What happens to the server meanwhile; ``factors`` has all versions that were ever to serve.

    Attributes:
        promote_every, kill_every: in seconds.
        dead_ports: of the connections that killed workers held.
    """

    server: DriftlineServer
    scaled: ScaledModels
    aliases: tuple[str, ...]
    promote_every: float
    kill_every: float
    factors: dict[str, float]
    promotions: int = 0
    kills: int = 0
    dead_ports: set[int] = field(default_factory=set)
    _names: Iterator[str] = field(default_factory=lambda: itertools.cycle(("second", "first")))

    def last(self, seconds: float) -> None:
        """Disturb for so long, and on a slow machine until ``_FEWEST_KILLS`` workers were replaced."""
        rng = random.Random(11)
        end = time.monotonic() + seconds
        next_promotion, next_kill = time.monotonic() + self.promote_every, time.monotonic() + self.kill_every
        while (now := time.monotonic()) < end or (self.kills < _FEWEST_KILLS and now < end + _PATIENCE_SECONDS):
            if time.monotonic() >= next_promotion:
                self.promote(rng.choice(self.aliases))
                next_promotion += self.promote_every
            if time.monotonic() >= next_kill and len(workers := self.server.workers()) == _WORKERS:
                self.dead_ports |= kill_with_connections(rng.choice(workers), self.server.port)
                self.kills, next_kill = self.kills + 1, time.monotonic() + self.kill_every
            time.sleep(0.05)

    def promote(self, alias: str) -> None:
        """Register a new version and let the alias mean it."""
        name = next(self._names)
        version = self.scaled.copy(name)
        self.factors[version] = self.factors[self.scaled.versions[name]]
        self.scaled.client.set_registered_model_alias("scaled", alias, version)
        self.promotions += 1


@pytest.fixture
def engine(postgresql_url: str) -> Iterator[Engine]:
    engine = open_engine(postgresql_url)
    yield engine
    engine.dispose()


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("seconds", "promote_every", "kill_every", "arms"),
    [
        pytest.param(20.0, 4.0, 6.0, (), id="20 s"),
        pytest.param(600.0, 20.0, 30.0, (), id="10 min", marks=[pytest.mark.slow, pytest.mark.timeout(1500)]),
        pytest.param(600.0, 20.0, 30.0, _ARMS, id="10 min, arms", marks=[pytest.mark.slow, pytest.mark.timeout(1500)]),
    ],
)
def test_a_soak_of_swaps_and_kills_gives_no_wrong_answer_and_balances(
    scaled: ScaledModels, tmp_path: Path, engine: Engine, postgresql_url: str,
    seconds: float, promote_every: float, kill_every: float, arms: tuple[str, ...],
) -> None:  # fmt: skip
    aliases = ("champion", "next", "challenger") if arms else ("champion",)
    for alias in aliases:
        scaled.point("first", alias)
    server = driftline_server(
        scaled.folder, "models:/scaled@champion", tmp_path.name, "-w", str(_WORKERS), "--store", postgresql_url,
        "--registry-poll-seconds", "1", "--max-body-bytes", str(MAX_BODY_BYTES), "--max-batch-rows", "64", *arms,
        DRIFTLINE_LOADER_DRAIN_SECONDS="60",
    )  # fmt: skip
    factors = {scaled.versions["first"]: 1.0, scaled.versions["second"]: 2.0}
    disturbance = Disturbance(server, scaled, aliases, promote_every, kill_every, factors)
    with running(server):
        servers.wait_until(lambda: len(server.workers()) == _WORKERS, 60)
        assert server.metric("driftline_scorer_batching_workers", state="on") >= _WORKERS
        with MixedTraffic(server, factors).flowing() as traffic:
            disturbance.last(seconds)
            disturbance.promote("champion")
            servers.wait_until(
                lambda: in_sync(server) and len(server.workers()) == _WORKERS,
                60,
                what="the last version does not serve",
            )
        account = settled(engine, server, 120)
        assert server.metric("driftline_scorer_batching_workers", state="stopped") == 0
        assert server.stop(90) == 0
    print(f"{len(traffic.answered)} answers, {len(traffic.failed)} failed with {disturbance.kills} killed workers, "
          f"{disturbance.promotions} promotions, {dict(traffic.seen)}")  # fmt: skip
    _assert_answers(traffic, disturbance, server.log.read_text())
    assert (account.dropped, account.quarantined) == ({}, 0)
    _assert_stored(engine, traffic)
    if arms:
        _assert_shadowed(engine, traffic, factors)


def _assert_answers(traffic: MixedTraffic, disturbance: Disturbance, log: str) -> None:
    assert traffic.wrong == []
    assert set(traffic.failed) <= disturbance.dead_ports, "only what a killed worker had under way may fail"
    assert disturbance.kills >= _FEWEST_KILLS
    arms = [arm for _, arm in traffic.seen if arm != "kind"]
    assert arms.count("champion") >= 3, "versions that answered"
    assert "canary" not in disturbance.aliases or arms.count("canary") >= 3
    assert len([kind for kind, what in traffic.seen if what == "kind"]) == 9
    told = [line for line in log.splitlines() if "cannot serve" in line]
    assert all("the worker that loaded it ended" in line for line in told), told
    assert "Traceback" not in log


def _assert_stored(engine: Engine, traffic: MixedTraffic) -> None:
    """Each answered invocation is there once and unaltered; what else is there was under way when its client went."""
    found = stored(engine, without=Arm.SHADOW)
    assert not traffic.answered.keys() - found.keys(), "answered and lost"
    assert not [id_ for id_, hashed in traffic.answered.items() if found[id_] != hashed], "altered"
    assert len(found) - len(traffic.answered) <= len(traffic.failed) + traffic.left
    i = schema.invocation.c
    with engine.connect() as connection:
        rows = connection.execute(select(i.id, i.client_request_id).where(i.client_request_id.is_not(None)))
        own_ids = {bytes(row.id): row.client_request_id for row in rows}
    assert all(own_ids[id_] in (own, own.decode()) for id_, own in traffic.own_ids.items())


def _assert_shadowed(engine: Engine, traffic: MixedTraffic, factors: dict[str, float]) -> None:
    """The challenger's answers are its own version's, under the ids of invocations that were answered."""
    i, v = schema.invocation.c, schema.model_version.c
    unpack: Callable[[bytes], bytes] = zstandard.ZstdDecompressor().decompress
    query = select(i.id, i.request_body, i.response_body, v.version).join(v.id.table, v.id == i.model_version_id)
    seen = 0
    with engine.connect().execution_options(yield_per=1000) as connection:
        for row in connection.execute(query.where(i.arm == Arm.SHADOW, i.status == 200)):
            seen += bytes(row.id) in traffic.answered
            assert factor(unpack(row.request_body), unpack(row.response_body)) == factors[row.version]
    assert seen > len(traffic.answered) / 10
