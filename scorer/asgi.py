"""The layer around MLflow's scoring application: it sees every request and answer and changes no body.

Invariants
----------
- What MLflow's application answers is what the client gets: status, headers and body, byte for byte. Only answers of
  ``/invocations`` carry headers more, and HEAD of ``/ping`` and ``/health`` answers as GET does.
- An answer is counted before its last byte leaves.
- What the door turns away reaches no model and is counted, not recorded (record 0008).
- A request is answered by one model version, the one that served when its headers came.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress

from driftline.scorer.arms import Canary
from driftline.scorer.asgi_types import Message, Receive, Scope, Send
from driftline.scorer.body_limit import LimitedBody
from driftline.scorer.door import Door, Refusal
from driftline.scorer.exchange import SERVER_ERROR, Exchange
from driftline.scorer.prediction_pool import PredictionPool
from driftline.scorer.request_count import RequestCount
from driftline.scorer.served_model import ServedModel
from driftline.scorer.shadow import Shadow
from driftline.scorer.tally import ROUTES
from driftline.store.records import Arm, new_invocation_id, now_us

_INVOCATIONS = ROUTES[0]
_OTHER = len(ROUTES) - 1
_ROUTE = {path: i for i, path in enumerate(ROUTES[:_OTHER])}
_HEAD_AS_GET = ("/ping", "/health")


class ScoringLayer:
    """An ASGI application around those of the served models.

    Attributes:
        meanwhile: what runs on the event loop as long as the server does.

    Args:
        champion: who answers, until ``serve`` is given another. Its tee is closed when the server shuts down.
        pool: where predictions run.
        door: what it turns away is counted, and no model sees it; None lets everything in.
        canary: answers a share of the requests in the champion's place.
        shadow: is given what was answered.
    """

    def __init__(
        self,
        champion: ServedModel,
        pool: PredictionPool,
        door: Door | None = None,
        canary: Canary | None = None,
        shadow: Shadow | None = None,
    ) -> None:
        self.champion = champion
        self._canary = canary
        self._shadow = shadow
        self._pool = pool
        self._door = door or Door()
        self._open_exchanges = 0
        self._shut_down = False
        self.meanwhile: Callable[[], Coroutine[object, object, None]] | None = None

    def model(self, arm: Arm) -> ServedModel:
        """Return what serves in an arm."""
        return self._models()[arm]

    def _models(self) -> dict[Arm, ServedModel]:
        beside = [each.model for each in (self._canary, self._shadow) if each is not None]
        return {model.arm: model for model in (self.champion, *beside)}

    def serve(self, model: ServedModel) -> None:
        """Let requests that come from now on meet this version in its arm."""
        if model.arm is Arm.CHAMPION:
            self.champion = model
        elif model.arm is Arm.CANARY and self._canary is not None:
            self._canary.model = model
        elif self._shadow is not None:
            self._shadow.model = model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        path = _route_path(scope)
        refusal = self._door.refusal(scope, path)
        if path == _INVOCATIONS and refusal is None and scope["type"] == "http":
            await self._invocation(scope, receive, send)
        elif scope["type"] == "http":
            await self._beside(scope, receive, send, path, refusal)
        elif refusal is not None:  # of a WebSocket, which only MLflow's app refuses
            self.champion.tally.rejected(refusal.reason)
            await refusal.send(scope, send)
        else:
            await self.champion.app(scope, receive, send)

    async def _invocation(self, scope: Scope, receive: Receive, send: Send) -> None:
        served, invocation_id = self.champion, None
        if self._canary is not None:
            invocation_id = new_invocation_id(now_us())
            if self._canary.takes(scope["headers"], invocation_id):
                served = self._canary.model
        count = RequestCount(served.tally, _ROUTE[_INVOCATIONS])
        self._open_exchanges += 1
        status = 0
        try:
            body = self._door.body(scope, receive)
            exchange = Exchange(scope, body.receive, send, served, invocation_id, count)
            await self._answer(exchange, body)
            if self._shadow is not None and exchange.scored_body is not None:
                self._shadow.offer(scope, exchange.scored_body, exchange.id)
        except BaseException:
            status = SERVER_ERROR[0]
            raise
        finally:
            count.finish(status)
            self._open_exchanges -= 1
            self._close_when_idle()

    async def _answer(self, exchange: Exchange, body: LimitedBody) -> None:
        """Let the exchange run as long as its body keeps within the limit."""
        if not body.too_large:
            try:
                await exchange.run()
            except Exception:
                if not body.too_large:
                    raise
        if body.too_large:
            await exchange.refuse(self._door.too_large)

    async def _beside(self, scope: Scope, receive: Receive, send: Send, path: str, refusal: Refusal | None) -> None:
        """Answer what is no invocation, or comes to none."""
        served = self.champion
        count = RequestCount(served.tally, _ROUTE.get(path, _OTHER))
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                count.finish(status)
            await send(message)

        try:
            if refusal is not None:
                served.tally.rejected(refusal.reason)
                await refusal.send(scope, watch)
            else:
                scope = {**scope}  # as for invocations; the server, which holds the original, sends no body to HEAD
                if scope["method"] == "HEAD" and path in _HEAD_AS_GET:
                    scope["method"] = "GET"
                await served.app(scope, receive, watch)
        except BaseException:
            status = status or SERVER_ERROR[0]
            raise
        finally:
            count.finish(status)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Answer for MLflow's application, which has nothing to do here and would be kept alive by being asked."""
        await receive()
        self._pool.install()
        if self._shadow is not None:
            self._shadow.start()
        beside = asyncio.create_task(self.meanwhile()) if self.meanwhile else None
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if beside is not None:
            beside.cancel()
            with suppress(asyncio.CancelledError):
                await beside
        if self._shadow is not None:
            await self._shadow.close()
        for model in self._models().values():
            model.tally.shut_down()
        self._shut_down = True
        self._close_when_idle()
        await send({"type": "lifespan.shutdown.complete"})

    def _close_when_idle(self) -> None:
        """Close the spool; a model that ends the process shuts down while its own request is still to be answered."""
        if self._shut_down and not self._open_exchanges:
            self.champion.tee.close()


def _route_path(scope: Scope) -> str:
    """Return the path below ``root_path``, as Starlette's router sees it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    below = path[len(root) :] if path.startswith(root) else path
    return below if below.startswith("/") else path
