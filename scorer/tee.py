"""Append each answered invocation to the spool of this worker.

Invariants
----------
- ``record`` never raises into the request path and never waits for a disk or the database.
- Every answered invocation is either given to the spool or counted: as failed, or as met by no spool.
"""

import logging
from typing import Protocol

from driftline.scorer.patient_spool import NO_SPOOL
from driftline.scorer.tally import Tally
from driftline.store.records import InvocationFields, ModelIdentity, pack_invocation
from driftline.store.spool.buffer import Append
from driftline.store.spool.record import Kind

_log = logging.getLogger("driftline.scorer")


class SpoolWriter(Protocol):
    """What the tee needs of a spool."""

    @property
    def append(self) -> Append: ...
    def declare_model(self, identity: ModelIdentity) -> int: ...
    async def wait_durable(self, seq: int, timeout_seconds: float) -> bool: ...
    def close(self, drain_seconds: float | None = None) -> None: ...


class Tee:
    """The way from an answer to the spool, for one model.

    Args:
        spool: open; closed by ``close``.
        identity: the model version that answers.
        tally: where records and failures are counted.
        durable_wait_seconds: how long ``durable`` waits for the medium; None does not wait at all.

    Attributes:
        waits_for_disk: whether ``durable`` has anything to wait for.
    """

    def __init__(
        self, spool: SpoolWriter, identity: ModelIdentity, tally: Tally, durable_wait_seconds: float | None = None
    ) -> None:
        self._spool = spool
        self._model = spool.declare_model(identity)
        self._tally = tally
        self.waits_for_disk = durable_wait_seconds is not None
        self._durable_wait_seconds = durable_wait_seconds
        self._complained = False

    def record(self, invocation: InvocationFields, kind: Kind = Kind.INVOCATION) -> int | None:
        """Append an invocation; return its sequence number, None where it failed.

        Args:
            invocation: an ``Invocation``, or its fields in a plain tuple, which is made in a tenth of the time.
            kind: ``TYPED`` where the invocation's request is typed rows instead of a body.
        """
        try:
            seq = self._spool.append(self._model, pack_invocation(*invocation), invocation[1], kind)
        except Exception as error:
            self._failed(type(error).__name__)
            return None
        if seq == NO_SPOOL:
            self._tally.tee_unspooled()
            return None
        if seq < 0:
            self._failed("the spool is closed")
            return None
        self._tally.enqueued()
        return seq

    async def durable(self, seq: int | None) -> None:
        """Return when the record is on the medium, at the latest after the configured wait."""
        if seq is None or self._durable_wait_seconds is None:
            return
        try:
            if not await self._spool.wait_durable(seq, self._durable_wait_seconds):
                self._complain("the disk did not confirm a record in time: its answer left without that")
        except Exception as error:
            self._complain(f"waiting for the disk failed ({type(error).__name__})")

    def close(self) -> None:
        self._spool.close()

    def _failed(self, why: str) -> None:
        self._tally.tee_failed()
        self._complain(f"an invocation could not be recorded ({why})")

    def _complain(self, what: str) -> None:
        """Log the first trouble of a process; the metrics count all of them."""
        if not self._complained:
            self._complained = True
            _log.error("driftline: %s; answers go on, see driftline_scorer_tee_dropped_records_total", what)
