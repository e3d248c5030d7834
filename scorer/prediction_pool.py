"""The threads that predict, and how many requests may be under way.

Invariants
----------
- The event loop never predicts: MLflow's own function and the fast path both run in these threads, and no more of
  them run at a time than there are threads.
- At most ``threads + queued`` requests hold a place; one more is refused, not kept waiting.
- A place is given back when its request is answered and no work of it is left in a thread or in the queue: a
  prediction that outlives its timeout keeps the place.
- Work whose request has gone before a thread took it is not begun.
- The event loop waits for threads that compute in Python about a millisecond, however many there are.
- Work waits for a thread that is not at work only while work gets done: where nothing was finished for
  ``_PATIENCE_SECONDS``, one thread more takes part, until all of them do.

Why not all threads at once: those that compute in Python take its lock from one another, which costs a short
prediction a third of its time. Two keep it busy; whatever waits for something else is not short.
"""

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, ParamSpec, Self, TypeVar

from driftline.scorer.settings import ScorerSettings

P = ParamSpec("P")
T = TypeVar("T")

# As many as asyncio, and so MLflow's server, would start.
DEFAULT_THREADS = min(32, (os.cpu_count() or 1) + 4)
DEFAULT_QUEUED = 1000
# Python lends its lock for 5 ms at a time and knows no precedence: the event loop would wait that long for each thread
# that computes, whenever it comes back from the system. This is what all threads together may keep it waiting.
_LONGEST_TURN_SECONDS, _SHORTEST_SWITCH_SECONDS = 0.001, 0.00005
_FIRST_WIDTH = 2
_PATIENCE_SECONDS = 0.003
_NARROWING_TURNS = 30  # so many patiences after each other without a stall let one thread rest


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What one prediction for several requests may hold.

    Attributes:
        rows: at most so many, but for a request that has more of its own.
        wait_seconds: the longest that a request waits for others while an earlier prediction runs.
        tolerance: how far a prediction in a batch may differ from the same alone, absolutely or relatively; 0 is
            not at all.
    """

    rows: int
    wait_seconds: float
    tolerance: float


class Place:
    """A request's right to be worked on; made by ``PredictionPool.admit``, ended by ``release``."""

    __slots__ = ("_holds", "_pool")

    def __init__(self, pool: "PredictionPool") -> None:
        self._pool = pool
        self._holds = 1

    def hold(self) -> None:
        self._holds += 1

    def release(self) -> None:
        self._holds -= 1
        if not self._holds:
            self._pool._free_places += 1

    def lend(self) -> None:
        """Let what this task and its children give to ``asyncio.to_thread`` from now on hold the place as well."""
        _lent.set(self)


_lent: ContextVar[Place | None] = ContextVar("_lent", default=None)


class PredictionPool:
    """Threads of one worker, started as they are needed; for the event loop's thread.

    ``concurrent.futures`` takes two locks, a condition and three hops for what a queue does in one: at a tenth of a
    millisecond per request that is most of it.

    Args:
        threads: predictions at a time.
        queued: requests that may wait for a thread.
        batches: None where each request is predicted alone.
    """

    def __init__(
        self, threads: int = DEFAULT_THREADS, queued: int = DEFAULT_QUEUED, batches: BatchLimits | None = None
    ) -> None:
        self.threads = threads
        self.batches = batches
        self._free_places = threads + queued
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = Lock()  # of what follows
        self._waiting: deque[_Work] = deque()
        self._threads: list[_PredictionThread] = []
        self._idle: list[_PredictionThread] = []
        self._busy = 0
        self._width = min(_FIRST_WIDTH, threads)
        self._watched = False
        self._finished = self._good_turns = 0

    @classmethod
    def open(cls, settings: ScorerSettings) -> Self:
        """Return the pool that the settings describe."""
        wait_seconds = settings.max_batch_wait_ms / 1000
        batches = BatchLimits(settings.max_batch_rows, wait_seconds, settings.batch_tolerance)
        return cls(
            settings.prediction_threads or DEFAULT_THREADS,
            settings.max_queued_requests,
            batches if settings.max_batch_rows else None,
        )

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that is served; the running one where nothing was installed."""
        if self._loop is None:
            self.install()
        assert self._loop is not None
        return self._loop

    def install(self) -> None:
        """Serve the running event loop; its ``asyncio.to_thread``, which MLflow's server calls, gets these threads."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(_Executor(self))
        self._set_width(self._width)

    def admit(self) -> Place | None:
        """Return a place, None when all are taken. Who was admitted releases it."""
        if not self._free_places:
            return None
        self._free_places -= 1
        return Place(self)

    def start(
        self, function: Callable[..., T], *arguments: object, places: Sequence[Place] = ()
    ) -> "asyncio.Future[T]":
        """Return the future result of ``function``, which runs in one of the threads and holds the places meanwhile."""
        future: asyncio.Future[T] = self.loop.create_future()
        self._put(_Work(function, arguments, future, places))
        return future

    async def run(self, place: Place, function: Callable[..., T], *arguments: object) -> T:
        """Return what ``function`` returns, or raise what it raises, in one of the threads."""
        return await self.start(function, *arguments, places=(place,))

    def _put(self, work: "_Work") -> None:
        for place in work.places:
            place.hold()
        with self._lock:
            thread = self._free_thread()
            if thread is None:
                self._waiting.append(work)
        if thread is not None:
            thread.give(work)
        if not self._watched and (thread is None or self._busy > _FIRST_WIDTH):
            self._watched = True
            self._finished = self._good_turns = 0
            self.loop.call_later(_PATIENCE_SECONDS, self._watch)

    def _free_thread(self) -> "_PredictionThread | None":
        """Return a thread to give work to, the one that rested last: its memory is warm. The lock is held."""
        if self._busy >= self._width:
            return None
        self._busy += 1
        if self._idle:
            return self._idle.pop()
        thread = _PredictionThread(self, f"predict-{len(self._threads)}")
        self._threads.append(thread)
        thread.start()
        return thread

    def next_work(self, thread: "_PredictionThread") -> "_Work | None":
        """Return what a thread of this pool does next; None lets it rest until it is given something."""
        with self._lock:
            if self._waiting and self._busy <= self._width:
                return self._waiting.popleft()
            self._busy -= 1
            self._idle.append(thread)
            return None

    def finish(self, work: "_Work") -> None:
        """Tell of work that was done; on the event loop."""
        self._finished += 1
        for place in work.places:
            place.release()
        work.tell()

    def _watch(self) -> None:
        """Let one thread more take part where nothing was finished for a while, and one less where that is long ago."""
        finished, self._finished = self._finished, 0
        self._good_turns = self._good_turns + 1 if finished else 0
        if self._good_turns >= _NARROWING_TURNS and self._width > _FIRST_WIDTH:
            self._good_turns = 0
            self._set_width(self._width - 1)
        elif self._waiting and not finished and self._width < self.threads:
            self._set_width(self._width + 1)
            with self._lock:
                thread = self._free_thread() if self._waiting else None
                work = self._waiting.popleft() if thread is not None else None
            if thread is not None and work is not None:
                thread.give(work)
        self._watched = bool(self._waiting) or self._busy > _FIRST_WIDTH
        if self._watched:
            self.loop.call_later(_PATIENCE_SECONDS, self._watch)

    def _set_width(self, width: int) -> None:
        self._width = width
        sys.setswitchinterval(max(_LONGEST_TURN_SECONDS / width, _SHORTEST_SWITCH_SECONDS))

    def end(self, wait: bool) -> None:
        """Let the threads end when they have done what waits."""
        for thread in self._threads:
            thread.give(None)
        for thread in self._threads if wait else ():
            thread.join()


class _PredictionThread(Thread):
    def __init__(self, pool: PredictionPool, name: str) -> None:
        super().__init__(name=name)
        self._pool = pool
        self._given: SimpleQueue[_Work | None] = SimpleQueue()

    def give(self, work: "_Work | None") -> None:
        """Wake the thread for this work; None ends it."""
        self._given.put(work)

    def run(self) -> None:
        while (work := self._given.get()) is not None:
            while work is not None:
                work.run()
                following = self._pool.next_work(self)  # before the loop hears of it and may have more
                try:
                    self._pool.loop.call_soon_threadsafe(self._pool.finish, work)
                except RuntimeError:  # the loop is closed: nobody waits
                    return
                work = following


class _Work:
    """A call that a thread makes and the event loop tells of."""

    __slots__ = ("_arguments", "_error", "_function", "_future", "_result", "places")

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Sequence[object],
        future: "asyncio.Future[Any] | None",
        places: Sequence[Place],
    ) -> None:
        self._function = function
        self._arguments = arguments
        self._future = future
        self._error: BaseException | None = None
        self._result: Any = None
        self.places = places

    def run(self) -> None:
        if self._future is not None and self._future.cancelled():
            return
        try:
            self._result = self._function(*self._arguments)
        except BaseException as error:  # SystemExit too: it ends the event loop, as from any executor
            self._error = error

    def tell(self) -> None:
        if self._future is None or self._future.done():
            return
        if self._error is None:
            self._future.set_result(self._result)
        else:
            self._future.set_exception(self._error)


class _Executor(ThreadPoolExecutor):
    """What asyncio takes for its default executor, over the threads of a pool; starts none of its own."""

    def __init__(self, pool: PredictionPool) -> None:
        super().__init__(1)
        self._pool = pool

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function(*arguments, **options)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        place = _lent.get()
        self._pool._put(_Work(call, (), None, (place,) if place else ()))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.end(wait)
