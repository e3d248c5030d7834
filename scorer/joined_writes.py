"""uvicorn's HTTP protocol, but for one thing: head and body of an answer leave by one system call.

uvicorn writes the head when the application begins an answer, and the body when that comes. Each write is a call into
the kernel, a segment on the wire and a wake-up of the client, several µs apiece, and most answers have their body as
soon as they have a head.

Invariants
----------
- The bytes and their order are uvicorn's.
- A head waits for its body no longer than until the event loop turns: answers in parts, and slow ones, are not held up.
- What was written before the transport is closed is sent; what comes after that is dropped, as asyncio's transports do.
  uvloop's raise: then the answers to requests that a client sent ahead before it went would be errors in the log.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_HEAD = b"HTTP/1.1 "


class JoinedWrites(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
    """What ``uvicorn --http`` is told: the protocol of the parser that is installed, over a transport that joins."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(cast(asyncio.Transport, JoiningTransport(transport)))


class JoiningTransport:
    """Keeps the head of an answer until what follows is written; all else is the transport's."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._write = transport.write
        self._call_soon = asyncio.get_running_loop().call_soon
        self._head = b""
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self.is_closing():
            self._head = b""
        elif self._head:
            head, self._head = self._head, b""
            self._write(head + data)
        elif data.startswith(_HEAD):
            self._head = data
            self._call_soon(self._flush)
        else:
            self._write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._head = b""
        self._transport.abort()

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self.is_closing():
            self._write(head)
