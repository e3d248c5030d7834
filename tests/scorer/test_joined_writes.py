"""uvicorn under the protocol that joins writes, and under its own: the same bytes in fewer pieces, never held up."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from driftline.scorer.asgi_types import Message, Receive, Scope, Send
from driftline.scorer.joined_writes import JoiningTransport

OURS = "driftline.scorer.joined_writes:JoinedWrites"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_REQUEST = b"GET %s HTTP/1.1\r\nhost: here\r\n\r\n"


class App:
    """Answers ``/whole`` at once, ``/parts`` when told to go on, and raises for everything else."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]}
        if scope["path"] == "/whole":
            await send(start)
            await send({"type": "http.response.body", "body": b"answer"})
        elif scope["path"] == "/parts":
            await send(start)
            await self.go_on.wait()
            await send({"type": "http.response.body", "body": b"ans", "more_body": True})
            await send({"type": "http.response.body", "body": b"wer"})
        else:
            raise ValueError


@asynccontextmanager
async def _serving(app: App, http: str) -> AsyncIterator[Callable[[], Awaitable[Connection]]]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=http, lifespan="off", log_config=None, date_header=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listener]))
    yield lambda: asyncio.open_connection(*listener.getsockname())
    server.should_exit = True
    await task


def _run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 60))


@pytest.mark.parametrize("path", [b"/whole", b"/parts", b"/broken"])
def test_the_bytes_of_a_connection_are_uvicorns_own(path: bytes) -> None:
    async def bytes_of(http: str) -> bytes:
        app = App()
        app.go_on.set()
        async with _serving(app, http) as connect:
            reader, writer = await connect()
            last = b"GET %s HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n" % path
            writer.write(_REQUEST % b"/whole" + _REQUEST % b"/parts" + last)
            received = await reader.read()
            writer.close()
        return received

    async def main() -> None:
        ours, theirs = await bytes_of(OURS), await bytes_of("auto")
        assert ours == theirs
        assert ours.count(b"HTTP/1.1 ") == 3

    _run(main())


def test_a_head_does_not_wait_for_a_body_that_is_not_there() -> None:
    async def main() -> None:
        app = App()
        async with _serving(app, OURS) as connect:
            reader, writer = await connect()
            writer.write(_REQUEST % b"/parts")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
            app.go_on.set()
            assert await reader.readexactly(6) == b"answer"
            writer.close()

    _run(main())


class Recorded(asyncio.Transport):
    """A transport that keeps what is written to it, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.calls.append(bytes(data))

    def is_closing(self) -> bool:
        return b"closed" in self.calls

    def close(self) -> None:
        self.calls.append(b"closed")


def test_a_head_and_its_body_are_written_by_one_call() -> None:
    async def main() -> None:
        transport = Recorded()
        joining = JoiningTransport(transport)
        for data in (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"one", b"two"):
            joining.write(data)
        assert transport.calls == [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", b"one", b"two"]
        transport.calls.clear()
        joining.write(b"HTTP/1.1 200 OK\r\n\r\n")
        joining.write(b"one")
        assert transport.calls == [b"HTTP/1.1 200 OK\r\n\r\none"]

    _run(main())


def test_what_was_written_before_the_end_is_sent_before_it() -> None:
    async def main() -> None:
        transport = Recorded()
        joining = JoiningTransport(transport)
        joining.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        joining.close()
        assert transport.calls == [b"HTTP/1.1 204 No Content\r\n\r\n", b"closed"]
        assert joining.is_closing()

    _run(main())
