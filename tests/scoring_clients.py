"""Clients that score until they are told to stop, and remember what they sent and what they were answered."""

import http.client
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fault_oracle import digest
from scoring_servers import JSON, DriftlineServer

_ENOUGH = 50_000  # requests, after which a client stops by itself


@dataclass
class Clients:
    """What some clients saw.

    Attributes:
        answered: digest of request and answer by the id that the server gave it.
        sent: hashes of all requests, also of those without an answer.
        failed: requests whose connection broke before the answer was whole.
        refused: answers that were not 200.
        seconds: how long each answer took.
    """

    answered: dict[bytes, bytes] = field(default_factory=dict)
    failed: int = 0
    refused: int = 0
    seconds: list[tuple[float, float]] = field(default_factory=list)

    def slowest(self, since: float) -> float:
        """Return the longest time of an answer that was asked for after ``since`` (``time.monotonic``)."""
        return max(took for begin, took in self.seconds if begin >= since)


@contextmanager
def scoring(
    server: DriftlineServer, threads: int = 2, pause_seconds: float = 0.002, padding: int = 0
) -> Iterator[Clients]:
    """Score in the background until the end of the block.

    Args:
        threads: clients, each with one connection.
        pause_seconds: between two requests of a client.
        padding: bytes by which each request is longer than it need be.
    """
    clients, stop, lock = Clients(), threading.Event(), threading.Lock()

    def run(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for turn in range(_ENOUGH):
            if stop.is_set():
                break
            body = b'{"dataframe_records": [{"a": %d.5, "b": %d}]}' % (number, turn) + b" " * padding
            begin = time.monotonic()
            try:
                connection.request("POST", "/invocations", body, JSON)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                with lock:
                    clients.failed += 1
                connection.close()
                time.sleep(0.02)
                continue
            id_ = uuid.UUID(answer.headers["x-driftline-invocation-id"]).bytes
            with lock:
                clients.answered[id_] = digest(body, content)
                clients.refused += answer.status != 200
                clients.seconds.append((begin, time.monotonic() - begin))
            stop.wait(pause_seconds)
        connection.close()

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for one in running:
        one.start()
    try:
        yield clients
    finally:
        stop.set()
        for one in running:
            one.join(40)
