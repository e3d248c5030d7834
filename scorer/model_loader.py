"""Make served models of orders: every version has its tee and its counts, all share the worker's spool and threads.

Invariants
----------
- A worker whose first model cannot be loaded leaves no spool.
- A version that comes back goes on counting where it stopped: its block of the counters is claimed once per process.
"""

from pathlib import Path

from driftline.scorer.asgi_types import Headers
from driftline.scorer.orders import ModelOrder
from driftline.scorer.patient_spool import PatientSpool
from driftline.scorer.prediction_pool import PredictionPool
from driftline.scorer.redacted_bodies import RedactedBodies
from driftline.scorer.served_model import ServedModel
from driftline.scorer.tally import Tally, TallySheet
from driftline.scorer.tee import Tee
from driftline.store.prediction_columns import prediction_columns
from driftline.store.records import Arm, ModelIdentity
from driftline.store.redaction import Redaction
from driftline.store.spool.settings import SpoolSettings
from driftline.store.typed_payload import TypedLayout


class ModelLoader:
    """Of one worker; used by one thread at a time.

    Args:
        pool: where predictions run.
        shadow_pool: the same for a challenger.
        spool_folder: where the worker's spool is made.
        settings: of the spool.
        durable_wait_seconds: bound of an answer's wait for the medium under ``durability = "power"``.
        version_headers: whether answers name arm and version.
        typed_rows: whether requests that the fast path has parsed may be recorded without their bodies; never where
            columns are redacted.
        redaction: what must not be kept.
    """

    def __init__(
        self,
        pool: PredictionPool,
        shadow_pool: PredictionPool,
        spool_folder: Path,
        settings: SpoolSettings,
        durable_wait_seconds: float,
        version_headers: bool,
        typed_rows: bool,
        redaction: Redaction | None = None,
    ) -> None:
        self._pool = pool
        self._shadow_pool = shadow_pool
        self._spool_folder = spool_folder
        self._settings = settings
        self._wait = durable_wait_seconds if settings.durability == "power" else None
        self._version_headers = version_headers
        self._typed_rows = typed_rows and redaction is None
        self._redaction = redaction
        self._spool: PatientSpool | None = None
        self._tallies: dict[Path, Tally] = {}

    def load(self, order: ModelOrder) -> ServedModel:
        """Load the model that is ordered.

        Raises:
            Exception: whatever MLflow or the model raises; SpoolError, where the disk does not take its name.
        """
        tally = self._tally(order.tally_path)
        headers = version_headers(order) if self._version_headers else ()
        pool = self._shadow_pool if order.arm is Arm.SHADOW else self._pool
        return ServedModel.load(
            order.path,
            order.arm,
            pool,
            lambda: self._tee(order.identity, tally),
            tally,
            headers,
            self._typed_layout(order.identity),
            RedactedBodies(self._redaction, order.identity) if self._redaction else None,
        )

    def _typed_layout(self, identity: ModelIdentity) -> TypedLayout | None:
        return (
            TypedLayout.of(prediction_columns(identity.signature)) if self._typed_rows and identity.signature else None
        )

    def _tally(self, path: Path) -> Tally:
        if path not in self._tallies:
            self._tallies[path] = TallySheet.attach(path).claim()
        return self._tallies[path]

    def _tee(self, identity: ModelIdentity, tally: Tally) -> Tee:
        if self._spool is None:
            self._spool = PatientSpool.open(self._spool_folder, self._settings)
        recorded = self._redaction.identity(identity) if self._redaction else identity
        return Tee(self._spool, recorded, tally, self._wait)


def version_headers(order: ModelOrder) -> Headers:
    """Return what answers say of the version that gave them."""
    version = order.identity.version.encode("latin-1", "replace")
    return ((b"x-driftline-arm", order.arm.name.lower().encode()), (b"x-driftline-model-version", version))
