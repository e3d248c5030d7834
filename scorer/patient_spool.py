"""A worker's spool, also while the disk lets none be made: answers go on, and each that is not kept is counted.

The parent refuses to start where a spool has no place. A worker that takes the place of a dead one meets the disk as it
is by then, and one that gave up would take the server with it.

Invariants
----------
- A spool that cannot be made stops no worker; it is tried again, later and later, until it is there.
- ``append`` never waits for that: it says ``NO_SPOOL``, and nothing is kept.
- A model that is declared before the spool is there has the index that it will have there.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from driftline.store.errors import SpoolError
from driftline.store.records import ModelIdentity
from driftline.store.spool.buffer import Append
from driftline.store.spool.record import Kind
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

NO_SPOOL: Final = -2
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0

_log = logging.getLogger("driftline.scorer")


class PatientSpool:
    """What a tee needs of a spool; made by ``open``.

    Args:
        make: makes the spool, or raises SpoolError.

    Attributes:
        append: the spool's own; while there is none it keeps nothing and returns ``NO_SPOOL``.
    """

    def __init__(self, make: Callable[[], Spool]) -> None:
        self.append: Append = _keep_nothing
        self._make = make
        self._spool: Spool | None = None
        self._models: list[ModelIdentity] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()

    @classmethod
    def open(cls, folder: Path, settings: SpoolSettings) -> Self:
        """Make a spool under ``folder``, now or as soon as the disk lets it be made."""
        patient = cls(lambda: Spool.open(folder, settings))
        try:
            patient._take()
        except SpoolError as error:
            _log.error("%s; answers go on and are not kept until there is a spool", error)
            threading.Thread(target=patient._keep_trying, name="spool-wanted", daemon=True).start()
        return patient

    def declare_model(self, identity: ModelIdentity) -> int:
        """Return the index of this model in records.

        Raises:
            SpoolError: there is a spool, and its disk refuses the model.
        """
        with self._lock:
            if self._spool is not None:
                return self._spool.declare_model(identity)
            if identity not in self._models:
                self._models.append(identity)
            return self._models.index(identity)

    async def wait_durable(self, seq: int, timeout_seconds: float) -> bool:
        """Return whether the medium holds the record ``seq``; False when it was dropped or the time is over."""
        return self._spool is not None and await self._spool.wait_durable(seq, timeout_seconds)

    def close(self, drain_seconds: float | None = None) -> None:
        self._stop.set()
        with self._lock:
            if self._spool is not None:
                self._spool.close(drain_seconds)

    def _take(self) -> None:
        spool = self._make()
        with self._lock:
            try:
                for identity in self._models:
                    spool.declare_model(identity)
            except SpoolError:
                spool.close()
                raise
            if self._stop.is_set():
                spool.close()
            self._spool, self.append = spool, spool.append

    def _keep_trying(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stop.wait(pause):
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            try:
                self._take()
            except SpoolError:
                continue
            _log.warning("there is a spool: answers are kept again")
            return


def _keep_nothing(model: int, payload: bytes, at_us: int, kind: Kind = Kind.INVOCATION) -> int:
    return NO_SPOOL
