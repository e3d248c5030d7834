"""Whether the asked version's answers are distributed otherwise: by our own statistics and thresholds.

Against what was answered to the same rows, and against the asked version's own training reference. The thresholds are
those of independent samples; the same rows scored twice vary less, so what is called drift here is.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.compare import compare
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.drift.verdict import ColumnDrift
from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.replay.fit import Fit
from driftline.monitor.training.reference import REFERENCE_FILE
from driftline.store.payload.typed_cells import Column
from driftline.store.prediction_columns import ColumnType
from driftline.store.prediction_tables import find_model_version
from driftline.store.profile.reference import Reference, build_reference
from driftline.store.records import ModelIdentity
from driftline.store.references import newest_reference

_OPAQUE = (ColumnType.JSON, ColumnType.BINARY)


def against_recorded(
    fit: Fit, recorded: Mapping[str, Column], asked: Mapping[str, Column], settings: DriftSettings, now_us: int
) -> list[ColumnDrift]:
    """Judge the asked version's answers against the recorded ones to the same rows; none of an opaque output."""
    pairs = [(a, b) for a, b in fit.pairs if a.type not in _OPAQUE and b.type not in _OPAQUE]
    if not pairs:
        return []
    columns = [a for a, _ in pairs]
    reference = calibrate(
        build_reference(
            columns, {a.column_name: recorded[a.column_name] for a in columns}, source="", made_at_us=now_us
        )
    )
    window = reference.empty_profile()
    cells = {a.column_name: asked[b.column_name] for a, b in pairs}
    window.add(cells, len(next(iter(cells.values()))))
    return compare(reference, window, settings)


def against_training(reference: Reference, asked: Mapping[str, Column], settings: DriftSettings) -> list[ColumnDrift]:
    """Judge the asked version's answers against those it gave to its training data."""
    window = reference.empty_profile()
    window.add(asked, len(next(iter(asked.values()))))
    return [d for d in compare(reference, window, settings) if d.side == "output" and d.column_name in asked]


def training_reference(connection: Connection, link: MlflowLink, asked: ModelIdentity) -> Reference | None:
    """Return the reference of a version that need not have been served: the store's, else MLflow's, else None.

    Raises:
        ReferenceCorrupt: what lies in MLflow is damaged.
        MlflowUnreachable: MLflow does not answer.
    """
    known = find_model_version(connection, asked.name, asked.version, asked.fingerprint)
    found = None if known is None else newest_reference(connection, known.id)
    if found is not None:
        return found[1]
    link.require_listening()
    with link.published(asked, REFERENCE_FILE) as path:
        return None if path is None else Reference.from_bytes(path.read_bytes())


def drift_document(drifts: list[ColumnDrift]) -> list[dict[str, Any]]:
    """Return judgements as JSON."""
    return [
        {"output": d.name, "statistic": d.statistic, "score": d.score, "threshold": d.threshold, "effect": d.effect,
         "verdict": str(d.verdict), "reason": d.reason}
        for d in drifts
    ]  # fmt: skip
