"""Mixed traffic over many connections: every form, sound and broken, and for each answer whether it is the right one.

No number is sent twice, so that an answer that belongs to another request is a wrong one.
"""

import asyncio
import itertools
import json
import random
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fault_oracle import digest
from scoring_servers import DriftlineServer

MAX_BODY_BYTES = 100_000
_ROWS = (1, 1, 1, 1, 2, 3, 8, 40)
_PATIENCE_SECONDS = 60.0
_BROKEN = (b"", b"{", b"{}", b"[1]", b'{"dataframe_records": [{"y": 1.5}]}', b'{"inputs": {"x": ["word"]}}', b"\xff")
_Numbers = list[float]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to a model that multiplies the column x.

    Attributes:
        status: of the right answer; None where the client leaves without one.
        numbers: the rows of a request that is to be predicted.
    """

    kind: str
    body: bytes
    status: int | None = 200
    numbers: tuple[float, ...] = ()
    content_type: str = "application/json"


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def _records(numbers: _Numbers) -> list[dict[str, float]]:
    return [{"x": number} for number in numbers]


_FORMS: Mapping[str, Callable[[_Numbers], bytes]] = {
    "records": lambda numbers: _json({"dataframe_records": _records(numbers)}),
    "split": lambda numbers: _json({"dataframe_split": {"columns": ["x"], "data": [[n] for n in numbers]}}),
    "inputs": lambda numbers: _json({"inputs": {"x": numbers}}),
    "instances": lambda numbers: _json({"instances": _records(numbers)}),
    "another column": lambda numbers: _json({"dataframe_records": [{"word": "a", "x": n} for n in numbers]}),
}


def _asked(rng: random.Random, numbers: _Numbers) -> Asked:
    """Draw a request; three of four are sound JSON."""
    form = rng.choice(list(_FORMS))
    sound = Asked(form, _FORMS[form](numbers), numbers=tuple(numbers))
    kind = rng.random()
    if kind < 0.75:
        return sound
    if kind < 0.85:
        csv = "x\n" + "".join(f"{n}\n" for n in numbers)
        return Asked("csv", csv.encode(), numbers=tuple(numbers), content_type="text/csv")
    if kind < 0.91:
        return Asked("broken", rng.choice(_BROKEN), 400)
    if kind < 0.94:
        return Asked("wrong type", sound.body, 415, content_type=rng.choice(["text/plain", "application/xml"]))
    if kind < 0.96:
        return Asked("too large", sound.body + b" " * MAX_BODY_BYTES, 413)
    return Asked(rng.choice(["leaves in its body", "leaves before the answer"]), sound.body, None)


def factor(request: bytes, answer: bytes) -> float | None:
    """Return by what one model has multiplied the numbers of a stored request; None where it has not."""
    asked = [float(n) for n in re.findall(rb"\d+\.5", request)]
    found = _predictions(answer)
    quotients = {one / other for one, other in zip(found, asked, strict=False)}
    return quotients.pop() if len(asked) == len(found) and len(quotients) == 1 else None


def _predictions(answer: bytes) -> _Numbers:
    cells = json.loads(answer)["predictions"]
    return [next(iter(cell.values())) if isinstance(cell, dict) else cell for cell in cells]


class MixedTraffic:
    """Clients of one server.

    Args:
        factors: by which each version multiplies; may grow.
        pause_seconds: the longest between two requests of a connection.

    Attributes:
        answered: digest of request and answer, as they are to be stored, by the invocation's id.
        own_ids: the client's own id by the invocation's, where one was sent.
        wrong: answers that are not right.
        failed: the client's port of each connection that broke under a request.
        left: requests whose clients left once the body was sent.
        seen: how often each kind of request, and each arm with its version, was answered.
    """

    def __init__(self, server: DriftlineServer, factors: Mapping[str, float], pause_seconds: float = 0.25) -> None:
        self.answered: dict[bytes, bytes] = {}
        self.own_ids: dict[bytes, bytes] = {}
        self.wrong: list[str] = []
        self.failed: list[int] = []
        self.left = 0
        self.seen: Counter[tuple[str, str]] = Counter()
        self._server, self._factors, self._pause = server, factors, pause_seconds
        self._stop = threading.Event()
        self._number = itertools.count(1)

    @contextmanager
    def flowing(self, connections: int = 64) -> Iterator["MixedTraffic"]:
        """Ask until the end of the block."""

        async def all_connections() -> None:
            await asyncio.gather(*(self._client(random.Random(i)) for i in range(connections)))

        thread = threading.Thread(target=lambda: asyncio.run(all_connections()))
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    async def _client(self, rng: random.Random) -> None:
        while not self._stop.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
            port = writer.get_extra_info("sockname")[1]
            try:
                await self._speak(rng, reader, writer)
            except (OSError, EOFError):
                self.failed.append(port)
            writer.close()

    async def _speak(self, rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use one connection as long as both sides keep it."""
        while not self._stop.is_set():
            number = next(self._number)
            asked = _asked(rng, [number * 1000 + row + 0.5 for row in range(rng.choice(_ROWS))])
            own_id = f"own-{number}".encode() if rng.random() < 0.2 else b""
            head, body = _message(asked, own_id, chunked=rng.random() < 0.1)
            if asked.status is None:
                torn = asked.kind == "leaves in its body"
                writer.write(head + body[: len(body) // 2 if torn else None])
                await writer.drain()
                self.left += not torn
                return
            async with asyncio.timeout(_PATIENCE_SECONDS):
                writer.write(head + body)
                status, headers, answer = await _answer(reader)
            self._judge(asked, own_id, status, headers, answer)
            await asyncio.sleep(rng.uniform(0, self._pause))

    def _judge(self, asked: Asked, own_id: bytes, status: int, headers: Mapping[str, str], answer: bytes) -> None:
        id_ = uuid.UUID(headers["x-driftline-invocation-id"]).bytes
        arm, version = headers["x-driftline-arm"], headers["x-driftline-model-version"]
        self.seen[asked.kind, "kind"] += 1
        self.seen[version, arm] += 1
        right = status == asked.status and id_ not in self.answered
        if status == 200:
            right = right and _predictions(answer) == [n * self._factors[version] for n in asked.numbers]
        if own_id:
            self.own_ids[id_] = own_id
            right = right and headers["x-request-id"].encode() == own_id
        if not right:
            self.wrong.append(f"{asked.kind}, {status} by version {version} ({arm}): {asked.body!r}, {answer!r}"[:500])
        self.answered[id_] = digest(b"" if asked.status == 413 else asked.body, answer)


def _message(asked: Asked, own_id: bytes, chunked: bool) -> tuple[bytes, bytes]:
    """Return head and body as they go over the wire."""
    head = [b"POST /invocations HTTP/1.1", b"host: here", f"content-type: {asked.content_type}".encode()]
    head += [b"x-request-id: " + own_id] if own_id else []
    if not chunked:
        return b"\r\n".join([*head, b"content-length: %d" % len(asked.body), b"", b""]), asked.body
    middle = len(asked.body) // 2
    parts = (part for part in (asked.body[:middle], asked.body[middle:]) if part)
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return b"\r\n".join([*head, b"transfer-encoding: chunked", b"", b""]), body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    pairs: Iterator[Any] = (line.partition(": ") for line in lines if line)
    headers = {name.lower(): value for name, _, value in pairs}
    return int(first.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))
