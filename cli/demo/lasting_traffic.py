"""The demo's traffic without an end: by turns families like the training data and families on the other plans.

A server that is away is waited for, and a request that failed is not sent again. What turned out to be true of the
answered rows is posted a while after their answers, as labels come in life.
"""

import http.client
import itertools
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from driftline.cli.demo.population import TARGET, load_population
from driftline.cli.demo.traffic import Label, request_body

if TYPE_CHECKING:
    import pandas as pd

# A phase is 2,850 rows, so that the first has none of the 3,000 held-out rows twice: repeated rows are no fair sample.
_REQUESTS_PER_SECOND = 2.5
_PHASE_SECONDS = 600.0
_ROWS = (*[1] * 9, 10)  # of the requests in turn
_LABELS_AFTER_SECONDS = 30.0
_LABELS_AT_ONCE = 500
_REPORT_SECONDS = 60.0
_TIMEOUT_SECONDS = 60.0
_PAUSE_SECONDS = 1.0  # before a server that did not answer is asked again


class LastingTraffic:
    """Traffic to one scorer, and its labels to one monitor; labels that it does not take are kept for later."""

    def __init__(self, scorer_url: str, monitor_url: str | None, now: Callable[[], float] = time.monotonic) -> None:
        self._scorer_url = scorer_url
        self._monitor_url = monitor_url
        self._now = now
        self._connection: http.client.HTTPConnection | None = None
        self._labels: deque[tuple[float, Label]] = deque()
        self._answers: Counter[str] = Counter()

    def send(self, part: "pd.DataFrame") -> int | None:
        """Send rows and keep their labels; return the answer's status, None where no answer came."""
        try:
            status, id_ = self._post(request_body(part))
        except (OSError, http.client.HTTPException):
            self.close()
            self._answers["none"] += 1
            return None
        self._answers[str(status)] += 1
        if status == 200 and id_ and self._monitor_url:
            truth = enumerate(part[TARGET].tolist())
            self._labels += [(self._now(), {"request_id": id_, "row": row, "label": label}) for row, label in truth]
        return status

    def post_ripe_labels(self) -> int:
        """Post labels that are old enough, some at a time; return how many the monitor took."""
        ripe = self._now() - _LABELS_AFTER_SECONDS
        labels = [label for at, label in itertools.islice(self._labels, _LABELS_AT_ONCE) if at <= ripe]
        if not labels or not self._monitor_url:
            return 0
        connection = http.client.HTTPConnection(urlsplit(self._monitor_url).netloc, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("POST", "/labels", json.dumps(labels).encode(), {"Content-Type": "application/json"})
            taken = connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            taken = False
        finally:
            connection.close()
        if not taken:
            return 0
        for _ in labels:
            self._labels.popleft()
        return len(labels)

    def close(self) -> None:
        """Close the connection to the scorer; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def answers(self) -> str:
        """Return the answers since this was asked last, by status."""
        told = ", ".join(f"{count} x {status}" for status, count in sorted(self._answers.items()))
        self._answers.clear()
        return told

    def _post(self, body: bytes) -> tuple[int, str | None]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(urlsplit(self._scorer_url).netloc, timeout=_TIMEOUT_SECONDS)
        self._connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        answer.read()
        return answer.status, answer.headers["x-driftline-invocation-id"]


def send_for_ever(scorer_url: str, monitor_url: str | None) -> None:
    """Send a handful of requests a second until the process is stopped, and tell the answers once a minute."""
    traffic = LastingTraffic(scorer_url, monitor_url)
    population = load_population()
    phases = itertools.cycle([(population.like_training, "like training"), (population.shifted, "shifted")])
    reported = time.monotonic()
    for rows, name in phases:
        click.echo(f"traffic {name} for {_PHASE_SECONDS / 60:.0f} minutes")
        end = time.monotonic() + _PHASE_SECONDS
        for part in _parts(rows):
            began = time.monotonic()
            if began >= end:
                break
            if traffic.send(part) is None:
                time.sleep(_PAUSE_SECONDS)
            traffic.post_ripe_labels()
            if began - reported >= _REPORT_SECONDS:
                click.echo(f"answers by status: {traffic.answers()}")
                reported = began
            time.sleep(max(0.0, began + 1 / _REQUESTS_PER_SECOND - time.monotonic()))


def _parts(rows: "pd.DataFrame") -> Iterator["pd.DataFrame"]:
    """Cut the rows into requests, over and over."""
    while True:
        start = 0
        for size in itertools.cycle(_ROWS):
            if start >= len(rows):
                break
            yield rows[start : start + size]
            start += size
