"""The proxy's ASGI application: the door, then the server behind; what passes ``/invocations`` is recorded.

Invariants
----------
- What the server behind answers is what the client gets: status, end-to-end headers and body, byte for byte. Answers of
  ``/invocations`` carry the headers of ``driftline serve`` more.
- What the door turns away reaches no server and is counted, not recorded (record 0008).
- The spool is closed when the last exchange has ended.
"""

from driftline.scorer.asgi_types import Message, Receive, Scope, Send
from driftline.scorer.door import Door, Refusal
from driftline.scorer.proxy.passage import Passage
from driftline.scorer.proxy.recorder import Counter, ProxiedModel, Recorder
from driftline.scorer.proxy.upstream import Upstream
from driftline.scorer.proxy.websocket import pass_handshake
from driftline.scorer.request_count import RequestCount
from driftline.scorer.tally import ROUTES

_INVOCATIONS = ROUTES[0]
_OTHER = len(ROUTES) - 1
_ROUTE = {path: i for i, path in enumerate(ROUTES[:_OTHER])}


class ProxyLayer:
    """An ASGI application in front of ``upstream``."""

    def __init__(self, model: ProxiedModel, upstream: Upstream, door: Door) -> None:
        self._model = model
        self._upstream = upstream
        self._door = door
        self._open_exchanges = 0
        self._shut_down = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        path: str = scope["path"]
        refusal = self._door.refusal(scope, path)
        count = RequestCount(self._model.tally, _ROUTE.get(path, _OTHER))
        self._open_exchanges += 1
        try:
            if refusal is not None:
                await self._refuse(scope, send, refusal, count)
            elif scope["type"] == "websocket":
                await pass_handshake(scope, send, self._upstream, Counter(self._model, count))
            else:
                await self._pass(scope, receive, send, path == _INVOCATIONS, count)
        finally:
            count.finish(0)
            self._open_exchanges -= 1
            self._close_when_idle()

    async def _pass(self, scope: Scope, receive: Receive, send: Send, is_invocation: bool, count: RequestCount) -> None:
        body = self._door.body(scope, receive)
        witness = Recorder(scope, self._model, count) if is_invocation else Counter(self._model, count)
        passage = Passage(scope, body.receive, send, self._upstream, witness)
        if not body.too_large:
            await passage.run()
        if body.too_large:
            too_large = self._door.too_large
            await passage.answer(too_large.start(scope), too_large.body)

    async def _refuse(self, scope: Scope, send: Send, refusal: Refusal, count: RequestCount) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.body":
                count.finish(refusal.status)
            await send(message)

        self._model.tally.rejected(refusal.reason)
        await refusal.send(scope, counted)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._model.tally.shut_down()
        self._shut_down = True
        self._close_when_idle()
        await send({"type": "lifespan.shutdown.complete"})

    def _close_when_idle(self) -> None:
        if self._shut_down and not self._open_exchanges:
            self._upstream.close()
            self._model.tee.close()
