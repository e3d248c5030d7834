"""Clients that ask a container for predictions without end, and remember what was answered."""

import threading
import urllib.error
import urllib.request
import uuid


class Clients:
    """Two clients that ask on and on, over a new connection each time.

    Attributes:
        answered: the ids of the invocations that were answered.
        failed: how many were not.
    """

    def __init__(self, scorer: str, body: bytes) -> None:
        self.answered: set[uuid.UUID] = set()
        self.failed = 0
        self._scorer, self._body = scorer, body
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(0.02):
            request = urllib.request.Request(
                f"{self._scorer}/invocations", self._body, {"Content-Type": "application/json"}, method="POST"
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    answer.read()
                    self.answered.add(uuid.UUID(answer.headers["x-driftline-invocation-id"]))
            except (OSError, urllib.error.URLError):
                self.failed += 1
