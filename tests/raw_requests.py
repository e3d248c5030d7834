"""Requests that no client sends on purpose, over raw sockets: seeded, bounded in time, each with what came back."""

import gzip
import random
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

_SECONDS = 10.0  # of one connection
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Target:
    """A route that takes bodies, and a body that it takes."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: bytes
    most_bytes: int


@dataclass
class Shot:
    """What is sent, and how.

    Attributes:
        parts: sent one after the other, ``pause`` seconds apart.
        end: ``read`` waits for the answer, ``close`` goes without it, ``reset`` goes rudely.
    """

    name: str
    parts: list[bytes]
    pause: float = 0.0
    end: str = "read"


@dataclass
class Volley:
    """What came back of many shots: statuses by path and kind of shot, and the ids of invocations that were told."""

    statuses: dict[str, set[str]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    shots: int = 0


def fire(targets: list[Target], seed: int, seconds: float, volley: Volley) -> None:
    """Send shots of every kind, mixed, until the time is over."""
    rng = random.Random(seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        target, kind = rng.choice(targets), rng.choice(KINDS)
        for shot in kind(rng, target):
            answer = _send(target.port, shot)
            volley.shots += 1
            lines = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]
            statuses = {line[9:12].decode("latin-1") for line in lines} or {"none"}
            volley.statuses.setdefault(f"{target.path} {shot.name}", set()).update(statuses)
            for line in answer.lower().split(b"\r\n"):
                if line.startswith(b"x-driftline-invocation-id: "):
                    volley.ids.add(line.split(b": ")[1].decode())


def _send(port: int, shot: Shot) -> bytes:
    answer = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection:
        for part in shot.parts:
            connection.sendall(part)
            time.sleep(shot.pause)
        if shot.end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        elif shot.end == "read":
            connection.settimeout(1.5)  # keep-alive: nobody says that this was all
            with suppress(TimeoutError):
                while part := connection.recv(65536):
                    answer += part
    return answer


def _head(target: Target, *lines: str, version: str = "1.1", method: str = "POST", close: bool = True) -> bytes:
    given = [f"{name}: {value}" for name, value in target.headers.items()]
    end = ["Connection: close"] if close else []
    return "\r\n".join([f"{method} {target.path} HTTP/{version}", "Host: x", *given, *lines, *end, "", ""]).encode(
        "latin-1"
    )


def _whole(target: Target, body: bytes, *lines: str, **more: object) -> bytes:
    return _head(target, f"Content-Length: {len(body)}", *lines, **more) + body  # type: ignore[arg-type]


def lengths(rng: random.Random, target: Target) -> Iterator[Shot]:
    """Content-Length that lies, twice, or is no number."""
    body, told = target.body, len(target.body)
    yield Shot(
        "length too long", [_head(target, f"Content-Length: {told + 50}") + body], end=rng.choice(["close", "reset"])
    )
    yield Shot("length too short", [_head(target, f"Content-Length: {told // 2}") + body])
    for other in (told, told + 1):
        yield Shot("length twice", [_head(target, f"Content-Length: {told}", f"Content-Length: {other}") + body])
    wrong = rng.choice(["-1", "+5", "0x10", "9" * 40, "", "5 5", "1_0", "\u00b2"])
    yield Shot("length no number", [_head(target, f"Content-Length: {wrong}") + body])


def chunks(rng: random.Random, target: Target) -> Iterator[Shot]:
    """Chunked bodies, whole and broken."""
    head, body = _head(target, "Transfer-Encoding: chunked"), target.body
    good = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    yield Shot("chunks", [head + good])
    size = rng.choice([b"zz", b"-5", b"fffffffffffffffff", b"0x5", b"", b"5;" + b"e" * 5000])
    yield Shot("chunk of a bad size", [head + size + b"\r\n" + body])
    yield Shot("chunk that ends early", [head + b"7fffffff\r\n" + body], end=rng.choice(["close", "reset"]))
    yield Shot(
        "chunks beyond the limit", [head, *[b"4000\r\n" + b" " * 0x4000 + b"\r\n"] * (target.most_bytes // 0x4000 + 2)]
    )
    yield Shot("chunks and a length", [_head(target, "Transfer-Encoding: chunked", "Content-Length: 5") + good])


def codings(rng: random.Random, target: Target) -> Iterator[Shot]:
    """Content-Encoding that is true, false, unknown, and a bomb."""
    coded = {"gzip": gzip.compress(target.body), "deflate": zlib.compress(target.body), "identity": target.body,
             "br": target.body}  # fmt: skip
    name = rng.choice(list(coded))
    yield Shot(f"coded {name}", [_whole(target, coded[name], f"Content-Encoding: {name}")])
    yield Shot("coded falsely", [_whole(target, target.body, "Content-Encoding: gzip")])
    bomb = gzip.compress(b" " * (32 << 20))
    yield Shot("bomb", [_whole(target, bomb, "Content-Encoding: gzip")])


def headers(rng: random.Random, target: Target) -> Iterator[Shot]:
    """Heads that are huge, many, folded or not HTTP."""
    yield Shot("huge header", [_whole(target, target.body, "X-Huge: " + "x" * rng.choice([8_000, 70_000, 400_000]))])
    yield Shot("many headers", [_whole(target, target.body, *[f"X-{i}: {i}" for i in range(rng.choice([90, 3_000]))])])
    yield Shot("folded header", [_whole(target, target.body, "X-Folded: a\r\n b")])
    yield Shot("bare line feeds", [_whole(target, target.body).replace(b"\r\n", b"\n", 3)])
    yield Shot("bytes in headers", [_whole(target, target.body, "X-Request-Id: \xff\xfe", "X-\xe9: 1")])
    yield Shot("nul in a header", [_whole(target, target.body, "X-Request-Id: a\0b")])
    http_2, tls = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00"
    yield Shot("no HTTP", [rng.choice([b"GET", b"\r\n" * 50, http_2, b"GET /\r\n\r\n", tls, rng.randbytes(300)])])


def going(rng: random.Random, target: Target) -> Iterator[Shot]:
    """Clients that are slow, and those that go."""
    whole = _whole(target, target.body)
    yield Shot("half of it", [whole[: rng.randrange(1, len(whole))]], end=rng.choice(["close", "reset"]))
    yield Shot("gone before the answer", [whole], end=rng.choice(["close", "reset"]))
    if rng.random() < 0.2:
        yield Shot("byte by byte", [whole[i : i + 1] for i in range(len(whole))], pause=0.0005)
    yield Shot("pipelined", [_whole(target, target.body, close=False) * 8 + whole])
    yield Shot("pipelined and gone", [_whole(target, target.body, close=False) * 8], end=rng.choice(["close", "reset"]))
    expecting = _head(target, "Expect: 100-continue", f"Content-Length: {len(target.body)}")
    yield Shot("expects 100", [expecting, target.body], pause=0.01)
    yield Shot("expects 100 and goes", [_head(target, "Expect: 100-continue", "Content-Length: 50")], end="close")
    yield Shot("expects the unknown", [_whole(target, target.body, "Expect: 200-ok")])


def bodies(rng: random.Random, target: Target) -> Iterator[Shot]:
    """Bodies at the limit, in other encodings, deep, and mutated."""
    at = target.most_bytes + rng.choice([-1, 0, 1])
    yield Shot("at the limit", [_whole(target, target.body.ljust(at))])
    text = target.body.decode()
    marked, spoilt = b"\xef\xbb\xbf" + target.body, [b"\xff" + target.body, target.body.replace(b"1", b"\0")]
    other = [text.encode("utf-16"), text.encode("utf-32-le"), marked, *spoilt, b"\0" * 100, b""]
    yield Shot("other encoding", [_whole(target, rng.choice(other))])
    depth = rng.choice([500, 2_000, 100_000])
    yield Shot("deep", [_whole(target, b"[" * depth + b"]" * depth)])
    yield Shot("deep object", [_whole(target, b'{"inputs":' * depth + b"1" + b"}" * depth)])
    yield Shot(
        "huge number", [_whole(target, target.body.replace(b"1", rng.choice([b"9" * 5000, b"1e999", b"-0.0", b"NaN"])))]
    )
    mutated = bytearray(target.body)
    for _ in range(rng.randrange(1, 6)):
        mutated[rng.randrange(len(mutated))] = rng.randrange(256)
    yield Shot("mutated", [_whole(target, bytes(mutated))])


def lines(rng: random.Random, target: Target) -> Iterator[Shot]:
    """Other versions, methods and paths."""
    yield Shot("HTTP/1.0", [_whole(target, target.body, version="1.0")])
    yield Shot("another version", [_whole(target, target.body, version=rng.choice(["1.2", "2.0", "9.9", "x"]))])
    method = rng.choice(["PUT", "DELETE", "TRACE", "OPTIONS", "HEAD", "post", "CONNECT", "BREW", "M" * 3000])
    yield Shot("another method", [_whole(target, target.body, method=method)])
    path = rng.choice(
        ["*", "http://x/invocations", "//", "/%00", "/%ff", "/invocations?" + "q" * 60_000, "/a b", "/\xe9", "?"]
    )
    yield Shot("another path", [_whole(Target(target.port, path, target.headers, b"", 0), target.body)])
    upgrade = ("Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")
    yield Shot("upgrade", [_whole(target, target.body, *upgrade)])


Kind = Callable[[random.Random, Target], Iterator[Shot]]
KINDS: tuple[Kind, ...] = (lengths, chunks, codings, headers, going, bodies, lines)
