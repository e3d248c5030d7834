"""Batches over the real fast path of a real pyfunc: the answers of many requests, in one event loop."""

import asyncio
import logging
import random
import threading
from collections.abc import Awaitable, Callable

import mlflow
import pytest
import rowwise

from driftline.scorer.batching import Batcher
from driftline.scorer.fast_path import FastPath, Frame
from driftline.scorer.prediction_pool import BatchLimits, PredictionPool
from driftline.scorer.predictor import Predictor
from driftline.scorer.scored import Scored
from driftline.scorer.tally import TallySheet

pytestmark = pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")  # MLflow's import, of itself
_WAIT = 20.0  # longer than any test: a batch that starts by its wait alone is seen


class CountingPath(FastPath):
    """The fast path, the rows of each prediction, and a gate before all of them."""

    predicted: list[int]
    gate: threading.Event

    def predict(self, frame: Frame) -> object:
        self.predicted.append(frame.rows)
        assert self.gate.wait(60)
        return super().predict(frame)

    async def shut_gate_with(self, request: Awaitable[Scored | None]) -> "asyncio.Task[Scored | None]":
        """Return when this request's prediction has begun and stands before the gate."""
        self.gate.clear()
        task = asyncio.ensure_future(request)
        while not self.predicted:
            await asyncio.sleep(0.001)
        return task


@pytest.fixture(scope="module")
def fast_path(tmp_path_factory: pytest.TempPathFactory) -> CountingPath:
    model = mlflow.pyfunc.load_model(str(rowwise.save_rowwise(tmp_path_factory.mktemp("batching"))))
    found = FastPath.for_model(model)
    assert found is not None
    found.__class__ = CountingPath
    assert isinstance(found, CountingPath)
    return found


@pytest.fixture(autouse=True)
def _forget(fast_path: CountingPath, monkeypatch: pytest.MonkeyPatch) -> None:
    fast_path.predicted = []
    fast_path.gate = threading.Event()
    fast_path.gate.set()
    monkeypatch.setenv("ROWWISE_SLEEP_SECONDS", "0.3")


class Rig:
    """A predictor with batches in the running loop."""

    def __init__(self, fast_path: FastPath, rows: int = 64, wait_seconds: float = _WAIT) -> None:
        self.sheet = TallySheet.create(1)
        self.pool = PredictionPool(threads=4)
        limits = BatchLimits(rows, wait_seconds, 0.0)
        self.batcher = Batcher(fast_path, self.pool, limits, self.sheet.claim())
        self._predictor = Predictor(fast_path, self.pool, self.batcher)

    async def ask(self, body: bytes) -> Scored | None:
        place = self.pool.admit()
        assert place is not None
        try:
            return await self._predictor.answer(body, place)
        finally:
            place.release()


def run(fast_path: FastPath, main: Callable[[Rig], Awaitable[None]], rows: int = 64, wait: float = _WAIT) -> None:
    async def whole() -> None:
        await asyncio.wait_for(main(Rig(fast_path, rows, wait)), 60)

    asyncio.run(whole())


def test_rows_never_change_owner(fast_path: CountingPath) -> None:
    rng = random.Random(5)
    requests = [tuple(rng.uniform(-9, 9) for _ in range(rng.randint(1, 5))) for _ in range(300)]

    async def main(rig: Rig) -> None:
        found = await asyncio.gather(*(rig.ask(rowwise.request(*xs)) for xs in requests))
        for xs, scored in zip(requests, found, strict=True):
            assert scored is not None
            assert (scored.body, scored.rows) == (rowwise.answer(*xs), len(xs))

    run(fast_path, main, rows=50, wait=0.001)
    assert sum(fast_path.predicted) == sum(map(len, requests))
    assert len(fast_path.predicted) < len(requests) / 3


def test_a_batch_has_no_more_rows_than_it_may(fast_path: CountingPath) -> None:
    async def main(rig: Rig) -> None:
        await asyncio.gather(*(rig.ask(rowwise.request(*[1.0] * (1 + i % 3))) for i in range(100)))

    run(fast_path, main, rows=7, wait=0.001)
    assert max(fast_path.predicted) <= 7


def test_a_request_with_more_rows_than_a_batch_is_predicted_alone(fast_path: CountingPath) -> None:
    async def main(rig: Rig) -> None:
        xs = [float(i) for i in range(9)]
        scored = await rig.ask(rowwise.request(*xs))
        assert scored is not None
        assert scored.body == rowwise.answer(*xs)

    run(fast_path, main, rows=4)
    assert fast_path.predicted == [9]


def test_a_request_alone_never_waits(fast_path: CountingPath) -> None:
    async def main(rig: Rig) -> None:
        for x in range(5):
            async with asyncio.timeout(_WAIT / 2):
                assert await rig.ask(rowwise.request(float(x))) is not None

    run(fast_path, main)
    assert fast_path.predicted == [1] * 5


def test_what_comes_while_a_batch_runs_starts_when_it_is_done(fast_path: CountingPath) -> None:
    async def main(rig: Rig) -> None:
        first = await fast_path.shut_gate_with(rig.ask(rowwise.request(0.0)))
        others = [asyncio.ensure_future(rig.ask(rowwise.request(float(x)))) for x in range(10)]
        await asyncio.sleep(0.01)
        fast_path.gate.set()
        async with asyncio.timeout(_WAIT / 2):
            rest = await asyncio.gather(*others)
        assert [scored.body for scored in rest if scored] == [rowwise.answer(float(x)) for x in range(10)]
        assert await first is not None

    run(fast_path, main)
    assert fast_path.predicted == [1, 10]


def test_a_request_waits_no_longer_than_it_may_for_a_batch_that_runs(fast_path: CountingPath) -> None:
    async def main(rig: Rig) -> None:
        slow = await fast_path.shut_gate_with(rig.ask(rowwise.request(0.0)))
        waiting = asyncio.ensure_future(rig.ask(rowwise.request(1.0)))
        while len(fast_path.predicted) < 2:
            await asyncio.sleep(0.001)
        assert not slow.done()
        fast_path.gate.set()
        assert await waiting is not None
        assert await slow is not None

    run(fast_path, main, wait=0.01)


def test_those_who_come_again_are_predicted_together_again(fast_path: CountingPath) -> None:
    async def client(rig: Rig, x: float) -> None:
        for turn in range(20):
            scored = await rig.ask(rowwise.request(x + turn, act="sleep" if turn == 0 else ""))
            assert scored is not None
            assert scored.body == rowwise.answer(x + turn)

    async def main(rig: Rig) -> None:
        await asyncio.gather(*(client(rig, 100.0 * i) for i in range(8)))

    run(fast_path, main)
    assert sum(fast_path.predicted) == 160
    assert len(fast_path.predicted) < 80


def test_an_error_in_one_request_is_only_that_requests(fast_path: CountingPath) -> None:
    async def main(rig: Rig) -> None:
        bodies = [rowwise.request(float(i), act="fail" if i in (3, 11) else "") for i in range(20)]
        found = await asyncio.gather(*map(rig.ask, bodies))
        assert [i for i, scored in enumerate(found) if scored is None] == [3, 11]
        assert all(scored.body == rowwise.answer(float(i)) for i, scored in enumerate(found) if scored)
        assert rig.batcher.active

    run(fast_path, main)
    assert fast_path.predicted == [20] + [1] * 20


def test_a_request_that_is_gone_leaves_its_neighbours_alone(fast_path: CountingPath) -> None:
    async def main(rig: Rig) -> None:
        first = await fast_path.shut_gate_with(rig.ask(rowwise.request(0.0)))
        waiting = [asyncio.create_task(rig.ask(rowwise.request(float(i)))) for i in range(6)]
        await asyncio.sleep(0.01)
        waiting[2].cancel()
        first.cancel()
        fast_path.gate.set()
        await asyncio.wait(waiting)
        assert waiting[2].cancelled()
        left = [(i, task.result()) for i, task in enumerate(waiting) if i != 2]
        assert all(scored is not None and scored.body == rowwise.answer(float(i)) for i, scored in left)

    run(fast_path, main)
    assert fast_path.predicted == [1, 5]


def test_batches_end_for_good_where_an_answer_cannot_be_cut(
    fast_path: CountingPath, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(rig: Rig) -> None:
        bodies = [rowwise.request(float(i), act="short" if i == 1 else "") for i in range(4)]
        for _ in range(2):
            found = await asyncio.gather(*map(rig.ask, bodies))
            expected = [rowwise.answer(0.0), b'{"predictions": [0.0]}', rowwise.answer(2.0), rowwise.answer(3.0)]
            assert [scored and scored.body for scored in found] == expected
        assert not rig.batcher.active
        assert rig.sheet.totals().batching["stopped"] == 1

    with caplog.at_level(logging.WARNING, "driftline.scorer"):
        run(fast_path, main)
    assert fast_path.predicted == [4] + [1] * 8
    assert len(caplog.records) == 1
    assert caplog.records[0].message.startswith("requests are predicted one by one from now on: ")


def test_what_is_not_for_the_fast_path_is_left_to_mlflow(fast_path: CountingPath) -> None:
    async def main(rig: Rig) -> None:
        for body in (b"nonsense", b'{"dataframe_split": {"columns": ["x"], "data": [[1]]}}', b"[" * 20_000):
            assert await rig.ask(body) is None

    run(fast_path, main)
    assert fast_path.predicted == []


def test_the_stages_of_a_request_in_a_batch_are_measured(fast_path: CountingPath) -> None:
    async def main(rig: Rig) -> None:
        bodies = [rowwise.request(0.0, act="sleep"), rowwise.request(1.0)]
        for scored in await asyncio.gather(*map(rig.ask, bodies)):
            assert scored is not None
            assert scored.predict_us >= 300_000
            assert scored.parse_us >= 0
            assert scored.encode_us >= 0

    run(fast_path, main)


def test_large_bodies_are_joined_too(fast_path: CountingPath) -> None:
    async def main(rig: Rig) -> None:
        bodies = [rowwise.request(float(i)) + b" " * 40_000 for i in range(8)]
        found = await asyncio.gather(*map(rig.ask, bodies))
        assert [scored and scored.body for scored in found] == [rowwise.answer(float(i)) for i in range(8)]

    run(fast_path, main)


def test_every_place_comes_back(fast_path: CountingPath) -> None:
    async def main(rig: Rig) -> None:
        free = rig.pool._free_places
        acts = ["", "fail", "short", "sleep"]
        await asyncio.gather(*(rig.ask(rowwise.request(float(i), act=acts[i % 4])) for i in range(24)))
        assert rig.pool._free_places == free

    run(fast_path, main)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_no_answer_is_of_another_request(fast_path: CountingPath, seed: int) -> None:
    rng = random.Random(seed)

    async def one(rig: Rig, x: float) -> None:
        await asyncio.sleep(rng.uniform(0, 0.2))
        act = rng.choice(["", "", "", "", "", "fail", "sleep"])
        try:
            async with asyncio.timeout(rng.choice([0.05, 30, 30])):
                scored = await rig.ask(rowwise.request(x, x + 1, act=act))
        except TimeoutError:
            return
        assert (scored.body if scored else None) == (None if act == "fail" else rowwise.answer(x, x + 1))

    async def main(rig: Rig) -> None:
        await asyncio.gather(*(one(rig, float(i)) for i in range(200)))

    run(fast_path, main, rows=16, wait=0.005)
