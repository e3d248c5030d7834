"""One timer for many limits: each task ends at its own, and nothing else ends it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from driftline.scorer.time_limit import Deadline, TimeLimit

_LONG = 30.0


def _run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 60))


async def _held(limit: TimeLimit, seconds: float, seen: list[Deadline] | None = None) -> str:
    try:
        with limit.start() as deadline:
            if seen is not None:
                seen.append(deadline)
            await asyncio.sleep(seconds)
    except TimeoutError:
        return "over"
    return "done"


def test_a_task_is_ended_when_its_time_is_over_and_others_go_on() -> None:
    async def main() -> None:
        limit = TimeLimit(0.5)
        slow = asyncio.create_task(_held(limit, _LONG))
        await asyncio.sleep(0.1)
        later = asyncio.create_task(_held(limit, _LONG))
        quick = [asyncio.create_task(_held(limit, 0.01)) for _ in range(20)]
        assert await slow == "over"
        assert [await task for task in quick] == ["done"] * 20
        assert not later.done()
        assert await later == "over"

    _run(main())


def test_no_task_is_ended_before_its_time() -> None:
    async def main() -> None:
        limit, loop = TimeLimit(0.3), asyncio.get_running_loop()
        for _ in range(3):  # the timer of one that has ended is still set
            assert await _held(limit, 0.0) == "done"
            begin = loop.time()
            assert await _held(limit, _LONG) == "over"
            assert loop.time() - begin >= 0.29

    _run(main())


def test_a_limit_that_was_lifted_ends_nothing() -> None:
    async def main() -> None:
        limit = TimeLimit(0.05)
        with limit.start() as deadline:
            deadline.lift()
            await asyncio.sleep(0.3)
        assert not deadline.expired

    _run(main())


def test_a_cancellation_from_elsewhere_stays_one() -> None:
    async def main() -> None:
        seen: list[Deadline] = []
        task = asyncio.create_task(_held(TimeLimit(_LONG), _LONG, seen))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not seen[0].expired

    _run(main())


def test_an_error_of_the_block_stays_one_and_ends_the_limit() -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError), TimeLimit(0.05).start():
            raise ZeroDivisionError
        await asyncio.sleep(0.2)

    _run(main())
