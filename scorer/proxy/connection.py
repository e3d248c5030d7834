"""One connection to the server behind: bytes of a request out, head and body of its answer in, one after the other.

Invariants
----------
- The bytes of a body are given as they came; nothing is decoded but the framing of chunks.
- No more of an answer is read than its client takes: reading pauses while ``_HIGH_WATER`` bytes wait.
- A connection is used again only after an answer that was whole, asked for it, and was followed by nothing.
- Whoever waits here is woken by bytes, by the end of the connection, by silence, or by ``fail``.
"""

import asyncio
from typing import Any, NamedTuple, cast

import httptools

from driftline.scorer.proxy.faults import UpstreamError

_HIGH_WATER = 1 << 18
_CONTINUE, _SWITCHING = 100, 101
_SERVER_ERROR = 500
_BODILESS = (204, 304)
_LAST_STATUS = 599  # what ASGI servers have a line for


class Head(NamedTuple):
    """The beginning of an answer; names of headers as they were sent."""

    status: int
    headers: list[tuple[bytes, bytes]]


class UpstreamConnection(asyncio.Protocol):
    """Made by ``Upstream``; carries one exchange at a time, which begins with ``begin``.

    Args:
        silence_seconds: how long the server may say nothing; 0 is for ever.
    """

    def __init__(self, silence_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._silence_seconds = silence_seconds
        self._transport: asyncio.Transport | None = None
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._parser: Any = None
        self._lost = False
        self.idle_since = 0.0
        self.begin("")

    def begin(self, method: str) -> None:
        """Expect the answer to a request of this method."""
        self._method = method
        self._head: Head | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._waiting_bytes = 0
        self._paused = self._complete = self._keep_alive = self._until_end = self.may_send_body = False
        self._parser = httptools.HttpResponseParser(self) if method else None
        self._moved_at = self._loop.time()

    @property
    def reusable(self) -> bool:
        """Whether another request may follow."""
        return self._complete and self._keep_alive and not self._lost and self._error is None

    @property
    def has_head(self) -> bool:
        return self._head is not None

    def write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._lost:
            self._moved_at = self._loop.time()
            self._transport.write(data)

    async def drain(self) -> None:
        """Return when more may be written."""
        if self._writable is not None:
            await self._writable

    async def head(self) -> Head:
        """Return the head of the answer.

        Raises:
            UpstreamError: it did not come.
            ClientGone: and whatever else ``fail`` was told.
        """
        while self._head is None:
            await self._news()
        return self._head

    async def permission(self, seconds: float) -> None:
        """Return when the server wants the body ("100 Continue") or has answered, at the latest after ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                while not (self._head or self.may_send_body):
                    await self._news()
        except TimeoutError:
            return

    async def part(self) -> tuple[bytes, bool]:
        """Return what came of the body, and whether more is to come.

        Raises:
            UpstreamError: the answer ended before it was whole.
        """
        while not self._parts and not self._complete:
            await self._news()
        parts, self._parts, self._waiting_bytes = self._parts, [], 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return parts[0] if len(parts) == 1 else b"".join(parts), not self._complete

    def fail(self, error: Exception) -> None:
        """End the exchange, and the connection with it; the first error counts."""
        if self._error is None:
            self._error = error
        self.close()
        self._wake()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _news(self) -> None:
        """Wait for anything to happen."""
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        silence = self._silence_seconds
        timer = self._loop.call_at(self._moved_at + silence, self._check_silence) if silence else None
        self._timer = timer
        try:
            await self._waiter
        finally:
            self._waiter = None
            if self._timer is not None:
                self._timer.cancel()

    def _check_silence(self) -> None:
        over = self._moved_at + self._silence_seconds
        if self._loop.time() >= over:
            self.fail(UpstreamError("timeout"))
        else:
            self._timer = self._loop.call_at(over, self._check_silence)

    def _wake(self) -> None:
        for future in (self._waiter, self._writable):
            if future is not None and not future.done():
                future.set_result(None)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self.resume_writing()
        if self._head is not None and self._until_end and exc is None:
            self._complete = True
        elif not self._complete and self._error is None:
            self._error = UpstreamError("broken")
        self._wake()

    def data_received(self, data: bytes) -> None:
        self._moved_at = self._loop.time()
        if self._parser is None or self._complete:  # nobody asked
            self._keep_alive = False
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._complete = True
        except httptools.HttpParserError:
            if not self._complete:  # what follows a whole answer makes it no worse
                self.fail(UpstreamError("invalid"))
            self._keep_alive = False
        if self._waiting_bytes > _HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        headers, self._headers = self._headers, []
        if self._complete:
            self._keep_alive = False
        elif status < 200 and status != _SWITCHING:  # an interim answer is for this hop
            self.may_send_body |= status == _CONTINUE
        elif status > _LAST_STATUS:
            self.fail(UpstreamError("invalid"))
        else:
            self._head = Head(status, headers)
            # uvicorn ends a connection behind an answer to an application's error, without a word of it in the head.
            self._keep_alive = self._parser.should_keep_alive() and status != _SERVER_ERROR
            framed = any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in headers)
            self._until_end = not framed and status not in _BODILESS
            self._complete = self._method == "HEAD" or status == _SWITCHING

    def on_body(self, body: bytes) -> None:
        if self._complete:
            self._keep_alive = False
        else:
            self._parts.append(body)
            self._waiting_bytes += len(body)

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._complete = True
