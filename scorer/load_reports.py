"""How the workers tell the parent what became of an order: lines in a pipe.

Invariants
----------
- A report is whole or absent: it is one write of at most ``PIPE_BUF`` bytes, which the kernel does not tear.
- Reporting never blocks a worker: a pipe that nobody empties loses reports, and the parent then asks again.
"""

import os
import select
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

import orjson

from driftline.store.records import Arm

_LONGEST = select.PIPE_BUF
_LONGEST_REASON = 1000  # ASCII characters, each at most two bytes in JSON

State = Literal["loading", "serving", "failed"]


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What one worker says of one order.

    Attributes:
        pid: the worker.
        arm, attempt: of the order.
        state: ``loading`` before anything is tried, then ``serving`` or ``failed``.
        reason: why it failed, in one line.
        seconds: from ``loading`` to now.
    """

    pid: int
    arm: Arm
    attempt: int
    state: State
    reason: str = ""
    seconds: float = 0.0

    def to_line(self) -> bytes:
        reason = " ".join(self.reason.split()).encode("ascii", "backslashreplace").decode()[:_LONGEST_REASON]
        return orjson.dumps({**asdict(self), "reason": reason}) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        document = orjson.loads(line)
        return cls(**{**document, "arm": Arm(document["arm"])})


class ReportPipe:
    """One pipe; the parent reads, any number of workers write."""

    def __init__(self, reader: int | None, writer: int) -> None:
        self._reader = reader
        self._writer = writer
        self._rest = b""

    @classmethod
    def create(cls) -> Self:
        """Make the pipe; the writing end stays open here too, so that reading never ends."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        return cls(reader, writer)

    @classmethod
    def attach(cls, path: Path) -> Self:
        return cls(None, os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))

    @property
    def path(self) -> Path:
        """Where another process of the same user opens its writing end while this one lives."""
        return Path(f"/proc/{os.getpid()}/fd/{self._writer}")

    def send(self, report: LoadReport) -> None:
        with suppress(OSError):  # full, or the parent has ended and this process is about to
            os.write(self._writer, report.to_line()[:_LONGEST])

    def receive(self, timeout_seconds: float) -> Iterator[LoadReport]:
        """Yield the reports that came, waiting for the first at most ``timeout_seconds``."""
        assert self._reader is not None
        if not select.select([self._reader], [], [], max(0.0, timeout_seconds))[0]:
            return
        *lines, self._rest = (self._rest + os.read(self._reader, 1 << 16)).split(b"\n")
        for line in lines:
            yield LoadReport.from_line(line)
