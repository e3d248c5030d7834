"""What the workers are to serve, on a board that the parent writes and all workers read.

Invariants
----------
- A worker that starts finds what was last known to serve, never a version that nobody has loaded yet.
- A reader sees one whole posting or waits for it: the checksum covers all of it.
- The board is memory of the parent: posting waits for no disk, and nothing is left behind.
"""

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from driftline.store.errors import DriftlineError
from driftline.store.memory_file import MemoryFile, new_memory
from driftline.store.records import Arm, ModelIdentity

_HEADER = struct.Struct("<QII")  # generation, bytes that follow, their checksum
_ATTEMPTS, _PAUSE_SECONDS = 100, 0.01


@dataclass(frozen=True, slots=True)
class ModelOrder:
    """One model version for one arm.

    Attributes:
        path: the model's folder on this machine.
        tally_path: the counters of this version in this arm.
        attempt: rises with every try to have it served.
    """

    arm: Arm
    path: Path
    identity: ModelIdentity
    tally_path: Path
    attempt: int = 0

    def same_model(self, other: "ModelOrder | None") -> bool:
        """Return whether ``other`` is the same version in the same arm."""
        return other is not None and (self.arm, self.path, self.identity) == (other.arm, other.path, other.identity)

    def to_document(self) -> dict[str, Any]:
        return {
            "arm": int(self.arm),
            "path": str(self.path),
            "identity": self.identity.to_json().decode(),
            "tally_path": str(self.tally_path),
            "attempt": self.attempt,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            arm=Arm(document["arm"]),
            path=Path(document["path"]),
            identity=ModelIdentity.from_json(document["identity"].encode()),
            tally_path=Path(document["tally_path"]),
            attempt=document["attempt"],
        )


@dataclass(frozen=True, slots=True)
class Orders:
    """One posting.

    Attributes:
        proven: what a worker loads when it starts, by arm: a worker has loaded it before, or the server is starting.
        wanted: what is to replace it, in the arms where something is to.
    """

    proven: Mapping[Arm, ModelOrder]
    wanted: Mapping[Arm, ModelOrder]

    def wants(self, order: ModelOrder) -> bool:
        """Return whether the arm of ``order`` is to serve that version."""
        return order.same_model(self.wanted.get(order.arm) or self.proven.get(order.arm))

    def to_json(self) -> bytes:
        sides = (self.proven, self.wanted)
        return orjson.dumps([[order.to_document() for order in side.values()] for side in sides])

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        proven, wanted = ({Arm(d["arm"]): ModelOrder.from_document(d) for d in side} for side in orjson.loads(raw))
        return cls(proven, wanted)


class OrderBoard(MemoryFile):
    """One board; made by the parent, opened by the workers."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._generation = 0

    @classmethod
    def create(cls) -> Self:
        return cls(new_memory("orders", 0))

    def post(self, orders: Orders) -> None:
        """Replace what the board says; the parent's one thread for this calls it."""
        raw = orders.to_json()
        self._generation += 1
        os.pwrite(self._descriptor, _HEADER.pack(self._generation, len(raw), zlib.crc32(raw)) + raw, 0)

    def has_news(self) -> bool:
        """Return whether something was posted since ``read``; one system call."""
        head = os.pread(self._descriptor, _HEADER.size, 0)
        return len(head) == _HEADER.size and int(_HEADER.unpack(head)[0]) != self._generation

    def read(self) -> Orders:
        """Return the newest posting.

        Raises:
            DriftlineError: the parent ended in the middle of one.
        """
        for _ in range(_ATTEMPTS):
            raw = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
            if len(raw) >= _HEADER.size:
                generation, length, checksum = _HEADER.unpack_from(raw)
                body = raw[_HEADER.size : _HEADER.size + length]
                if zlib.crc32(body) == checksum and len(body) == length:
                    self._generation = generation
                    return Orders.from_json(body)
            time.sleep(_PAUSE_SECONDS)
        raise DriftlineError("the parent of this worker ended while it gave an order: start `driftline serve` again")

    def take_turn(self) -> bool:
        """Take the one place among all workers for loading a model beside another; False while one has it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def end_turn(self) -> None:
        """Give the place up; the kernel does it for a worker that dies."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
