"""One time limit for many tasks, kept by one timer.

``asyncio.timeout`` makes and cancels a timer for every task: 4 µs of the 40 that an answer takes here. These tasks may
all take equally long, so who began first is the first whose time is over, and one timer, set to the oldest, will do.

Invariants
----------
- A task is cancelled when its time is over, not before, and is told so by ``TimeoutError``, as by ``asyncio.timeout``.
- A cancellation that comes from elsewhere stays one.
- There is a timer only while tasks are under way, or for as long as the limit after that.
"""

import asyncio
from types import TracebackType


class TimeLimit:
    """How long each of the tasks of one event loop may stay within a block.

    Args:
        seconds: from the block's begin.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[Deadline, None] = {}  # in the order of their ends
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> "Deadline":
        """Return the limit of the current task, which begins now; to be entered at once by ``with``."""
        loop = asyncio.get_running_loop()
        deadline = Deadline(self._running, loop.time() + self._seconds)
        self._running[deadline] = None
        if self._timer is None:
            self._timer = loop.call_at(deadline.at, self._expire)
        return deadline

    def _expire(self) -> None:
        """End what is over, and wait for the oldest that is not."""
        loop = asyncio.get_running_loop()
        while (oldest := next(iter(self._running), None)) is not None and oldest.at <= loop.time():
            oldest.expire()
        self._timer = None if oldest is None else loop.call_at(oldest.at, self._expire)


class Deadline:
    """The limit of one task, made by ``TimeLimit.start``.

    Attributes:
        at: the end, by the event loop's clock.
        expired: whether the time was over before the block ended or the limit was lifted.
    """

    __slots__ = ("_cancelling", "_running", "_task", "at", "expired")

    def __init__(self, running: "dict[Deadline, None]", at: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._running = running
        self.at = at
        self.expired = False

    def __enter__(self) -> "Deadline":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lift()
        if self.expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def lift(self) -> None:
        """Let the task take as long as it likes from now on."""
        self._running.pop(self, None)

    def expire(self) -> None:
        self.lift()
        self.expired = True
        self._task.cancel()
