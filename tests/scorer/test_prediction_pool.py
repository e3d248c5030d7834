"""The pool's invariants, in a running event loop with real threads."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest
import servers

from driftline.scorer.prediction_pool import Place, PredictionPool
from driftline.scorer.settings import ScorerSettings


def _run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 60))


def _admitted(pool: PredictionPool) -> Place:
    place = pool.admit()
    assert place is not None
    return place


async def _until(holds: Any) -> None:
    for _ in range(3000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true within 30 s")


def test_no_more_predictions_run_at_a_time_than_there_are_threads() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def predict() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    async def main() -> None:
        pool = PredictionPool(threads=3)
        pool.install()
        fast = [pool.run(_admitted(pool), predict) for _ in range(15)]
        mlflows = [asyncio.to_thread(predict) for _ in range(15)]
        await asyncio.gather(*fast, *mlflows)

    _run(main())
    assert most <= 3


def test_threads_are_started_as_they_are_needed() -> None:
    async def main() -> None:
        pool = PredictionPool(threads=8)
        before = threading.active_count()
        for _ in range(20):
            await pool.run(_admitted(pool), time.sleep, 0)
        assert threading.active_count() == before + 1

    _run(main())


def test_what_a_function_returns_or_raises_reaches_who_waits() -> None:
    async def main() -> None:
        pool = PredictionPool(threads=1)
        assert await pool.run(_admitted(pool), divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await pool.run(_admitted(pool), divmod, 7, 0)
        assert await asyncio.to_thread(divmod, 9, 2) == (4, 1)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 9, 0)

    _run(main())


def test_one_request_beyond_the_places_is_refused() -> None:
    pool = PredictionPool(threads=2, queued=1)
    places = [_admitted(pool) for _ in range(3)]
    assert pool.admit() is None
    places[1].release()
    assert pool.admit() is not None
    assert pool.admit() is None


def test_a_place_is_given_back_when_its_work_is_done_not_when_its_request_is_answered() -> None:
    async def main() -> None:
        pool = PredictionPool(threads=1, queued=0)
        begun, go_on = threading.Event(), threading.Event()

        def predict() -> None:
            begun.set()
            go_on.wait(60)

        place = _admitted(pool)
        request = asyncio.create_task(pool.run(place, predict))
        await _until(begun.is_set)
        request.cancel()  # as a timeout does
        await asyncio.wait([request])
        place.release()
        assert pool.admit() is None
        go_on.set()
        await _until(lambda: pool.admit() is not None)

    _run(main())


def test_a_place_that_was_lent_is_held_by_mlflows_own_work() -> None:
    async def main() -> None:
        pool = PredictionPool(threads=1, queued=0)
        pool.install()
        begun, go_on = threading.Event(), threading.Event()

        def invocations() -> None:
            begun.set()
            go_on.wait(60)

        async def exchange() -> None:
            place = _admitted(pool)
            try:
                place.lend()
                await asyncio.create_task(asyncio.to_thread(invocations))
            finally:
                place.release()

        request = asyncio.create_task(exchange())
        await _until(begun.is_set)
        request.cancel()
        await asyncio.wait([request])
        assert pool.admit() is None
        go_on.set()
        await _until(lambda: pool.admit() is not None)

    _run(main())


def test_work_whose_request_has_gone_is_not_begun() -> None:
    done: list[str] = []

    async def main() -> None:
        pool = PredictionPool(threads=1, queued=5)
        pool.install()
        go_on = threading.Event()
        first = asyncio.create_task(pool.run(_admitted(pool), go_on.wait, 30))
        ours, theirs = _admitted(pool), _admitted(pool)
        gone = [
            asyncio.create_task(pool.run(ours, done.append, "ours")),
            asyncio.create_task(asyncio.to_thread(done.append, "theirs")),
        ]
        last = asyncio.create_task(pool.run(theirs, done.append, "last"))
        await asyncio.sleep(0)
        for request in gone:
            request.cancel()
        await asyncio.wait(gone)
        go_on.set()
        await asyncio.gather(first, last)

    _run(main())
    assert done == ["last"]


def test_the_event_loop_goes_on_while_all_threads_compute() -> None:
    """``benchmarks/responsiveness.py`` has the figures; the margin here is for busy machines."""
    stop = threading.Event()
    turns: list[float] = []

    def compute() -> None:
        while not stop.is_set():
            sum(range(1000))

    async def main() -> None:
        pool = PredictionPool(threads=4)
        computing = [asyncio.create_task(pool.run(_admitted(pool), compute)) for _ in range(4)]
        for _ in range(50):
            begin = time.perf_counter()
            await asyncio.sleep(0.001)
            turns.append(time.perf_counter() - begin)
        stop.set()
        await asyncio.gather(*computing)

    _run(main())
    assert sorted(turns)[len(turns) // 2] < 1


def test_the_pool_ends_with_its_loop_after_what_it_had_begun() -> None:
    done: list[int] = []

    async def main() -> None:
        pool = PredictionPool(threads=2)
        pool.install()
        for number in range(6):
            pool.start(lambda number=number: done.append(number))

    before = threading.active_count()
    _run(main())
    assert sorted(done) == list(range(6))
    servers.wait_until(lambda: threading.active_count() == before, 60, 0.01, "the threads' end")


def test_the_settings_describe_the_pool() -> None:
    pool = PredictionPool.open(ScorerSettings(prediction_threads=3, max_queued_requests=0, max_batch_rows=8))
    assert pool.threads == 3
    assert [pool.admit() is not None for _ in range(4)] == [True, True, True, False]
    assert pool.batches is not None
    assert (pool.batches.rows, pool.batches.wait_seconds, pool.batches.tolerance) == (8, 0.005, 0.0)
    assert PredictionPool.open(ScorerSettings()).batches is None


def test_two_threads_begin_and_where_nothing_gets_done_all_take_part() -> None:
    async def main() -> None:
        pool = PredictionPool(threads=6)
        before = threading.active_count()
        meeting = threading.Barrier(6, timeout=60)
        all_six = [pool.start(meeting.wait) for _ in range(6)]
        assert threading.active_count() == before + 2
        await asyncio.gather(*all_six)

    _run(main())
