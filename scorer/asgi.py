"""The layer around MLflow's scoring application: it sees every request and answer and changes no body.

Invariants
----------
- What MLflow's application answers is what the client gets: status, headers and body, byte for byte. Only answers of
  ``/invocations`` carry two headers more, and HEAD of ``/ping`` and ``/health`` answers as GET does.
- An invocation is in the spool before the first byte of its answer leaves, and is counted before the last one does.
- A request whose body never arrived whole, or whose server died, has no answer and is not recorded.
"""

import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from driftline.scorer.answers import answer_rows, rejection
from driftline.scorer.tally import ROUTES, Tally
from driftline.scorer.tee import Tee
from driftline.store.records import Arm, Invocation, new_invocation_id, now_us

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

_INVOCATIONS = ROUTES[0]
_OTHER = len(ROUTES) - 1
_ROUTE = {path: i for i, path in enumerate(ROUTES[:_OTHER])}
_HEAD_AS_GET = ("/ping", "/health")
_STORED_HEADER_BYTES = 0xFFFF  # what a record's header has room for
# What uvicorn sends itself when the application ends without an answer.
_SERVER_ERROR = (500, b"Internal Server Error")


class TeeLayer:
    """An ASGI application around another.

    Args:
        app: MLflow's application.
        tee: where invocations go; closed when the server shuts down.
        tally: where requests are counted.
    """

    def __init__(self, app: ASGIApp, tee: Tee, tally: Tally) -> None:
        self._app = app
        self._tee = tee
        self._tally = tally
        self._open_exchanges = 0
        self._shut_down = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _route_path(scope)
        begin = time.perf_counter_ns()
        self._tally.started()
        status = 0
        counted = False

        def count() -> None:
            nonlocal counted
            if not counted:
                counted = True
                self._tally.finished(_ROUTE.get(path, _OTHER), status, (time.perf_counter_ns() - begin) // 1000)

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                count()
            await send(message)

        try:
            if path == _INVOCATIONS:
                await self._exchange(scope, receive, watch)
            else:
                if scope["method"] == "HEAD" and path in _HEAD_AS_GET:
                    scope = {**scope, "method": "GET"}  # the server, which holds the original, sends no body
                await self._app(scope, receive, watch)
        except BaseException:
            status = status or _SERVER_ERROR[0]
            raise
        finally:
            count()

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._open_exchanges += 1
        try:
            await Exchange(scope, receive, send, self._tee, self._tally).run(self._app)
        finally:
            self._open_exchanges -= 1
            self._close_when_idle()

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown"):
                self._tally.shut_down()
                self._shut_down = True
                self._close_when_idle()
            await send(message)

        await self._app(scope, receive, closing)

    def _close_when_idle(self) -> None:
        """Close the tee; a model that ends the process shuts down while its own request is still to be answered."""
        if self._shut_down and not self._open_exchanges:
            self._tee.close()


class Exchange:
    """One request to ``/invocations`` and its answer, which is held until it is whole and recorded."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, tee: Tee, tally: Tally) -> None:
        self._received_at_us = now_us()
        self._begin = time.perf_counter_ns()
        self._id = new_invocation_id(self._received_at_us)
        self._headers: Headers = scope["headers"]
        self._method: str = scope["method"]
        self._scope = scope
        self._receive = receive
        self._send = send
        self._tee = tee
        self._tally = tally
        self._request: list[bytes] = []
        self._whole = self._abandoned = False
        self._start: Message | None = None
        self._left = False
        self._answer: list[bytes] = []

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self._read, self._write)
        except BaseException:
            if not self._left and not self._abandoned:
                await self._record(*_SERVER_ERROR)
            raise

    async def _read(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._request.append(message.get("body", b""))
            self._whole = not message.get("more_body", False)
        elif message["type"] == "http.disconnect":
            self._abandoned = not self._whole
        return message

    async def _write(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body" and self._start is not None:
            self._answer.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._leave(self._start, b"".join(self._answer))
        else:
            await self._send(message)

    async def _leave(self, start: Message, body: bytes) -> None:
        self._left = True
        if not self._abandoned:
            await self._record(start["status"], body)
        own = str(uuid.UUID(bytes=self._id)).encode()
        added = [(b"x-request-id", self._header(b"x-request-id") or own), (b"x-driftline-invocation-id", own)]
        await self._send({**start, "headers": [*start["headers"], *added]})
        await self._send({"type": "http.response.body", "body": body})

    async def _record(self, status: int, body: bytes) -> None:
        def make() -> Invocation:
            return Invocation(
                id=self._id,
                received_at_us=self._received_at_us,
                status=status,
                arm=Arm.CHAMPION,
                latency_us=(time.perf_counter_ns() - self._begin) // 1000,
                content_type=self._header(b"content-type")[:_STORED_HEADER_BYTES],
                client_request_id=self._header(b"x-request-id")[:_STORED_HEADER_BYTES],
                request=b"".join(self._request),
                response=b"" if self._method == "HEAD" else body,
            )

        seq = self._tee.record(make)
        if 200 <= status < 300:
            self._tally.predicted(answer_rows(body), self._received_at_us)
        elif reason := rejection(status, body):
            self._tally.rejected(reason)
        await self._tee.durable(seq)

    def _header(self, name: bytes) -> bytes:
        return next((value for key, value in self._headers if key == name), b"")


def _route_path(scope: Scope) -> str:
    """Return the path below ``root_path``, as Starlette's router sees it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    below = path[len(root) :] if path.startswith(root) else path
    return below if below.startswith("/") else path
