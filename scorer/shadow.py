"""A challenger that scores the same requests as the version that answered them, and answers nobody.

Invariants
----------
- A request is offered after its answer has left, and offering never waits: what does not fit is skipped and counted.
- The challenger predicts in threads of its own, on an event loop of its own: nothing of it stands in the champion's
  queue.
- What it holds is bounded in requests and in bytes.
- The end of the process waits for nothing of it but the farewell, and a redaction that has begun.
- Its record has the id of the invocation that was answered, its own arm and model version, and the time when its turn
  came, which is later.
"""

import asyncio
import threading
from contextlib import suppress

from driftline.scorer.asgi_types import Message, Scope
from driftline.scorer.exchange import Exchange
from driftline.scorer.prediction_pool import PredictionPool
from driftline.scorer.served_model import ServedModel

_MOST_BYTES = 64 << 20
_FAREWELL_SECONDS = 5.0
_SCOPE = (
    "type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path", "headers",
    "client", "server",
)  # fmt: skip
_NO_ROUTE, _NO_CODE = 0, 0  # it counts as under way, and as no request of a client


class Shadow:
    """One challenger.

    Args:
        model: what it scores with; may be replaced at any time. Its pool is ``pool``.
        pool: threads that nobody else uses.
        queued: requests that may wait for one of them.
    """

    def __init__(self, model: ServedModel, pool: PredictionPool, queued: int) -> None:
        self.model = model
        self._pool = pool
        self._most = pool.threads + queued
        self._requests = self._bytes = 0
        self._tasks: dict[asyncio.Task[None], ServedModel] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def offer(self, scope: Scope, body: bytes, invocation_id: bytes) -> None:
        """Have the request scored too, if there is room; called on the event loop that answers."""
        if self._requests >= self._most or self._bytes + len(body) > _MOST_BYTES:
            self.model.tally.shadow_skipped()
            return
        self._requests += 1
        self._bytes += len(body)
        asked = {key: scope[key] for key in _SCOPE if key in scope}  # without what the champion's application noted
        answering = asyncio.get_running_loop()
        self._loop.call_soon_threadsafe(self._begin, asked, body, invocation_id, answering)

    async def close(self) -> None:
        """Take no more requests and let those under way end, for a while."""
        self._most = 0
        waiting = asyncio.run_coroutine_threadsafe(self._drain(), self._loop)
        try:
            await asyncio.wait_for(asyncio.wrap_future(waiting), _FAREWELL_SECONDS)
        except TimeoutError:
            for served in list(self._tasks.values()):
                if served.redacted is not None:
                    served.redacted.end()
            return  # the end of the process does not wait for the thread
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _leave(self, size: int) -> None:
        self._requests -= 1
        self._bytes -= size

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._pool.install)
        while True:
            try:
                self._loop.run_forever()
            except SystemExit:  # a challenger that ends its process ends its own request
                continue
            return

    def _begin(self, scope: Scope, body: bytes, invocation_id: bytes, answering: asyncio.AbstractEventLoop) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            del self._tasks[task]
            with suppress(RuntimeError):  # the loop that answered has ended
                answering.call_soon_threadsafe(self._leave, len(body))

        served = self.model
        task = self._loop.create_task(self._score(served, scope, body, invocation_id))
        self._tasks[task] = served
        task.add_done_callback(ended)

    async def _drain(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _score(self, served: ServedModel, scope: Scope, body: bytes, invocation_id: bytes) -> None:
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                await asyncio.Event().wait()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            return

        served.tally.started()
        try:
            await Exchange(scope, receive, send, served, invocation_id).run()
        except (Exception, SystemExit):  # recorded as what it would have been, a 500
            return
        finally:
            served.tally.finished(_NO_ROUTE, _NO_CODE, 0)
