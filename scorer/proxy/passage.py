"""One request on its way to the server behind, and its answer on the way back.

Invariants
----------
- Both bodies pass as they come, and no faster than the other side takes them; nothing is held but what is under way.
- The witness knows the whole answer before the end of it leaves.
- Where the client goes, the exchange with the server behind ends; where that one fails, the client is answered, or sees
  its connection end where its answer has begun.
- A request is sent once.
"""

import asyncio
from typing import Protocol

from driftline.scorer.asgi_types import Headers, Message, Receive, Scope, Send
from driftline.scorer.proxy.connection import UpstreamConnection
from driftline.scorer.proxy.faults import ClientGone, UpstreamError
from driftline.scorer.proxy.headers import end_to_end, request_head
from driftline.scorer.proxy.upstream import Upstream

CLIENT_GONE = 499  # what others' access logs call it; no client ever sees it
_PERMISSION_SECONDS = 1.0  # for a server that has never heard of "100 Continue"


class Witness(Protocol):
    """Who sees what passes."""

    def asked(self, part: bytes) -> None:
        """A part of the request's body."""

    def answering(self, headers: list[tuple[bytes, bytes]]) -> Headers:
        """Return the headers to add to an answer that has these."""

    def answered(self, part: bytes) -> None:
        """A part of the answer's body."""

    async def over(self, status: int, request_whole: bool) -> None:
        """The answer has ended, and its end is about to leave; called once."""

    def failed(self, error: UpstreamError) -> None:
        """The server behind gave no whole answer."""


class Passage:
    """Passes one request through ``upstream``."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, upstream: Upstream, witness: Witness) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._upstream = upstream
        self._witness = witness
        names = {name for name, _ in scope["headers"]}
        self._chunked = b"transfer-encoding" in names
        self._expects = b"expect" in names
        self._connection: UpstreamConnection | None = None
        self._listener: asyncio.Task[None] | None = None
        self._request_whole = self._started = self._ended = False

    async def run(self) -> None:
        try:
            await self._pass()
        except ClientGone:
            if self._request_whole and not self._ended:
                await self._end(CLIENT_GONE)
        except UpstreamError as error:
            self._witness.failed(error)
            if self._started:  # all that is left is to end the client's connection, which the server does
                await self._end(error.status)
            else:
                await self.answer(error.start(), error.body)
        finally:
            self._listen_no_more()
            if self._connection is not None:
                self._upstream.release(self._connection)

    async def answer(self, start: Message, body: bytes) -> None:
        """Give an answer of the proxy's own, where none has begun."""
        if not self._started:
            await self._begin(start)
            self._witness.answered(body)
            await self._end(start["status"])
            await self._send({"type": "http.response.body", "body": body})

    async def _pass(self) -> None:
        # What comes with the head of a request is there by now; it is known even where no server takes it.
        first = None if self._expects else self._take(await self._receive())
        self._connection = connection = await self._upstream.connection()
        connection.begin(self._scope["method"])
        head = request_head(self._scope, self._chunked)
        if first is None:
            connection.write(head)
            await connection.permission(_PERMISSION_SECONDS)
            head = b""
        if first is not None or not connection.has_head:
            self._write(connection, self._take(await self._receive()) if first is None else first, head)
            self._listener = asyncio.create_task(self._listen(connection))
        status, headers = await connection.head()
        await self._begin(self._start_of(status, headers))
        more = True
        while more:
            part, more = await connection.part()
            self._witness.answered(part)
            if not more:
                await self._end(status)
                if not self._request_whole:  # the server behind did not want all of it
                    connection.close()
            await self._send({"type": "http.response.body", "body": part, "more_body": more})

    def _take(self, message: Message) -> bytes:
        """Return a part of the request's body.

        Raises:
            ClientGone: there is none any more.
        """
        if message["type"] != "http.request":
            raise ClientGone
        part: bytes = message.get("body", b"")
        self._witness.asked(part)
        self._request_whole = not message.get("more_body", False)
        return part

    def _write(self, connection: UpstreamConnection, part: bytes, head: bytes = b"") -> None:
        if self._chunked:
            framed = b"%x\r\n%b\r\n" % (len(part), part) if part else b""
            connection.write(head + framed + (b"0\r\n\r\n" if self._request_whole else b""))
        else:
            connection.write(head + part)

    async def _listen(self, connection: UpstreamConnection) -> None:
        """Pass the rest of the request on, and then wait for the client to go."""
        try:
            while not self._request_whole:
                await connection.drain()
                self._write(connection, self._take(await self._receive()))
            while (await self._receive())["type"] == "http.request":
                pass
        except ClientGone:
            pass
        connection.fail(ClientGone())

    def _start_of(self, status: int, headers: list[tuple[bytes, bytes]]) -> Message:
        passing = end_to_end(headers)
        if status in (204, 304):  # a length here is of a body that does not come
            passing = [(name, value) for name, value in passing if name != b"content-length"]
        if not self._request_whole:  # and who waits to be asked for the rest is going to keep it
            passing.append((b"connection", b"close"))
        return {"type": "http.response.start", "status": status, "headers": passing}

    async def _begin(self, start: Message) -> None:
        self._started = True
        headers = list(start["headers"])
        await self._send({**start, "headers": [*headers, *self._witness.answering(headers)]})

    async def _end(self, status: int) -> None:
        """Let the witness know before the client does; nobody is listened to any more."""
        self._ended = True
        self._listen_no_more()
        await self._witness.over(status, self._request_whole)

    def _listen_no_more(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
