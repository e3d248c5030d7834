"""Offer HTTP requests at a rate that does not wait for answers, and keep how long each took.

Arrivals are a seeded Poisson process. A latency counts from the moment at which the request was due, so that a server
that stalls pays for every request it kept from being sent (no coordinated omission). A request that is due while all
connections are busy waits for one, and that wait counts too.

``Load.lateness_us`` tells how late the generator itself was: where its p99 is not far below the latencies', the figures
are the generator's and not the server's.
"""

import gc
import random
import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

_GRACE_SECONDS = 30.0  # a server that does not answer for so long has failed


@dataclass(slots=True)
class Load:
    """What came of one offer, in microseconds, in the order of the answers."""

    latencies_us: list[float] = field(default_factory=list)
    lateness_us: list[float] = field(default_factory=list)
    failed: int = 0

    def percentile(self, share: float) -> float:
        return percentile(self.latencies_us, share)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of the values do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def post(path: str, body: bytes, content_type: str = "application/json") -> bytes:
    """Return the bytes of one HTTP/1.1 request that keeps its connection."""
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


def offer(
    port: int, requests: Sequence[bytes], *, rate: float, seconds: float, connections: int = 32, seed: int = 1
) -> Load:
    """Send ``requests`` in turn to a server on loopback, ``rate`` of them a second on average.

    Args:
        requests: whole requests, as ``post`` makes them.
        rate: arrivals per second.
        connections: how many requests may be under way at once.

    Returns:
        Every request either as a latency or as failed: no answer, or one that is not 200.
    """
    rng, at, due = random.Random(seed), 0.0, []  # noqa: S311 - arrival times
    while (at := at + rng.expovariate(rate)) < seconds:
        due.append(at)
    load = Load()
    idle = deque(_Connection(port) for _ in range(connections))
    busy: dict[socket.socket, _Connection] = {}
    sent = 0
    with _without_collections():
        start = time.perf_counter()
        while (sent < len(due) or busy) and (now := time.perf_counter() - start) < seconds + _GRACE_SECONDS:
            while sent < len(due) and due[sent] <= now and idle:
                connection = idle.popleft()
                free_at = max(due[sent], connection.free_at)
                connection.send(requests[sent % len(requests)], due[sent])
                now = time.perf_counter() - start
                load.lateness_us.append((now - free_at) * 1e6)
                busy[connection.socket] = connection
                sent += 1
            # select, because its wait is counted in microseconds; epoll's is in milliseconds.
            pause = max(0.0, due[sent] - now) if sent < len(due) and idle else 1.0
            for readable in select.select(busy, (), (), pause)[0]:
                connection = busy[readable]
                answered = connection.receive()
                if answered is None:
                    continue
                del busy[readable]
                connection.free_at = time.perf_counter() - start
                if answered:
                    load.latencies_us.append((connection.free_at - connection.due) * 1e6)
                else:
                    load.failed += 1
                    connection.close()
                    connection = _Connection(port)
                idle.append(connection)
    load.failed += len(busy) + len(due) - sent
    for connection in (*idle, *busy.values()):
        connection.close()
    return load


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_GRACE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = self.free_at = 0.0
        self._received = b""

    def send(self, request: bytes, due: float) -> None:
        self.due, self._received = due, b""
        self.socket.sendall(request)

    def receive(self) -> bool | None:
        """Return whether the answer is a good one; None while it is not whole."""
        try:
            part = self.socket.recv(1 << 18)
        except OSError:
            return False
        self._received += part
        if not part:
            return False
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return None
        length = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        return head.startswith(b"HTTP/1.1 200 ") if len(body) >= length else None

    def close(self) -> None:
        self.socket.close()


@contextmanager
def _without_collections() -> Iterator[None]:
    """Keep our own garbage collector out of the figures."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
