"""The threads that predict, and how many requests may wait for them.

Invariants
----------
- The event loop never predicts: MLflow's own function and the fast path both run in these threads.
- At most ``threads + queued`` requests are between admission and answer; one more is refused, not kept waiting.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

# As many as asyncio, and so MLflow's server, would start.
DEFAULT_THREADS = min(32, (os.cpu_count() or 1) + 4)


class PredictionPool:
    """Threads of one worker.

    Args:
        threads: predictions at a time.
        queued: requests that may wait for a thread.
    """

    def __init__(self, threads: int = DEFAULT_THREADS, queued: int = 1000) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._places = threads + queued

    def install(self) -> None:
        """Give the running event loop's ``asyncio.to_thread``, which MLflow's server calls, these threads."""
        asyncio.get_running_loop().set_default_executor(self._executor)

    def admit(self) -> bool:
        """Take a place; False when there is none. Who was admitted calls ``leave``."""
        if not self._places:
            return False
        self._places -= 1
        return True

    def leave(self) -> None:
        self._places += 1

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Return what ``function`` returns, or raise what it raises, in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)
