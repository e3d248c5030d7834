"""Build a model's training reference, keep it in the store and beside the model in MLflow, and get it back.

Three things are kept: the reference (bins and counts, a few kilobytes per column) in the store and in MLflow; and, in
MLflow and as a copy under ``<home>/references/``, a bounded sample of the training rows, which reports need.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from sqlalchemy import Engine

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.frames import TrainingDataMismatch, tensor_column, typed_columns
from driftline.monitor.mlflow_link import MlflowLink, exact_uri
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.training.importance import Importances, given_importances, measured_importances
from driftline.monitor.training.labelled_rows import Labelled, held_out_rows, labels_of, performance_on
from driftline.monitor.training.model_answers import (
    answers,
    features_of,
    has_outputs,
    is_one_tensor,
    not_predicted,
    require_inputs,
)
from driftline.monitor.training.redacted_training import redacted_training
from driftline.monitor.training.reference_sample import SAMPLE_FILE, draw_sample, keep_sample, write_sample
from driftline.monitor.training.segmented import with_segment_performance, with_segments
from driftline.monitor.watch import WatchedVersion
from driftline.store.backfill import put_in_force
from driftline.store.engine import writing
from driftline.store.errors import DriftlineError, ReferenceCorrupt, ReferenceMissing
from driftline.store.prediction_columns import PredictionColumn, prediction_columns
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile.reference import Reference, build_reference
from driftline.store.records import ModelIdentity, now_us
from driftline.store.redaction import Redaction, load_redaction
from driftline.store.references import newest_reference
from driftline.store.segments.settings import SegmentSettings

if TYPE_CHECKING:
    import pandas as pd

REFERENCE_FILE = "reference.driftline"


class NoRun(DriftlineError):
    """A model was logged in no run, so that MLflow has no place beside it."""


@dataclass(frozen=True)
class BuiltReference:
    """A reference with the sample of its rows, and what a person should know of how it was made."""

    identity: ModelIdentity
    reference: Reference
    sample: dict[str, NDArray[Any]]
    outputs_from: str
    no_performance: str = ""  # why the reference holds none, where it does not


def build(
    link: MlflowLink,
    identity: ModelIdentity,
    frame: "pd.DataFrame",
    source: str,
    *,
    labels: "str | NDArray[Any] | None" = None,
    importances: Mapping[str, float] | None = None,
    held_out: "pd.DataFrame | None" = None,
    performance: PerformanceSettings | None = None,
    segments: SegmentSettings | None = None,
    drift: DriftSettings | None = None,
    redaction: Redaction | None = None,
    progress: Callable[[int], object] = lambda rows: None,
) -> BuiltReference:
    """Reduce training rows to the reference of a model.

    The reference of the outputs is the model's own answers to the rows: taken from the data where they have columns of
    the outputs' names (and no input is named so), else the model is loaded and answers them, at most 10,000 at a time.

    Args:
        source: where the rows came from, for people.
        labels: what was to be predicted, a column of the frame or an array of its length: what later performance is
            held against is measured on them, and for a model whose fit left no importances, shuffling columns then
            shows what it relies on.
        importances: how much the model relies on each input by its name, at least 0; those not named have none. The
            model is asked when absent: always when it is loaded for its outputs, else if there are labels.
        held_out: rows that the model was not fitted to, with the column of labels: performance is measured on them
            instead of the training rows, on which a model does better than on any others.
        performance: what outputs and labels mean, where they do not say so themselves.
        segments: by which columns training rows are told apart too; by none when absent.
        drift: settings of the judgement, which segments are prepared for; the defaults when absent.
        redaction: the reference and its sample then have the columns that the scorer records, hashed with the same key.
        progress: called with the number of rows that the model has answered since the last call.

    Raises:
        TrainingDataMismatch: the model has no signature, or the data lack columns of it or have others' types.
        ModelNotFound: the model is needed for its outputs and cannot be loaded.
        ConfigurationError: a column of ``segments`` is none of the model's, or has no segments.
    """
    columns, segments = _columns(identity), segments or SegmentSettings()
    segments.check(identity.name, [c.name for c in columns if c.side == "input"])
    inputs = [c for c in columns if c.side == "input"]
    outputs = [c for c in columns if c.side == "output"]
    wanted = segments.columns_of(identity.name, [c.name for c in inputs])
    require_inputs(identity, frame, inputs)
    data = tensor_column(frame, inputs[0]) if is_one_tensor(identity) else typed_columns(frame, inputs)
    names = {c.name for c in inputs}
    truth = labels_of(frame, labels, names)
    relied_on = None if importances is None else given_importances(importances, inputs)
    known = has_outputs(frame, outputs, names)
    if not known or (relied_on is None and truth is not None):
        model, features = link.load(exact_uri(identity)), features_of(identity, frame, inputs)
        relied_on = relied_on or _measured(identity, model, features, inputs, truth)
    if known:
        data |= typed_columns(frame, outputs)
        said = f"taken from the data's {', '.join(c.name for c in outputs)}"
    else:
        data |= answers(identity, model, features, outputs, progress)
        said = f"the model's answers to the {len(frame)} rows"
    measured = Labelled(data, truth, f"{len(frame)} training rows")
    if held_out is not None:
        measured = held_out_rows(link, identity, held_out, labels, columns)
        measured.data.update(typed_columns(held_out, [c for c in inputs if c.name in {each.name for each in wanted}]))
    found, unclear = performance_on(identity, outputs, measured, performance or PerformanceSettings())
    if redaction is not None:
        measured = measured._replace(data=redacted_training(redaction, identity, columns, measured.data)[2])
        identity, columns, data = redacted_training(redaction, identity, columns, data)
        inputs = [c for c in columns if c.side == "input"]
    reference = calibrate(build_reference(columns, data, source=source, made_at_us=now_us()))
    if relied_on is not None:
        kept = {c.column_name for c in columns} | {c.name for c in columns}
        shares = {name: share for name, share in relied_on.shares.items() if name in kept}
        reference = replace(reference, importances=shares, importances_from=relied_on.source)
    wanted = segments.columns_of(identity.name, [c.name for c in inputs])
    reference = with_segments(reference, wanted, segments.max_values, data, len(frame), drift or DriftSettings())
    if found is not None and measured.truth is not None:
        labelled = measured.data, measured.truth.tolist(), measured.source
        parts = with_segment_performance(reference.segments, found.task, *labelled)
        reference = replace(reference, performance=found.to_json(), segments=parts)
    return BuiltReference(identity, reference, draw_sample(data), said, unclear)


def save(engine: Engine, built: BuiltReference, home: Path) -> int:
    """Write the reference to the store and profile the rows that are there already; return how many these are."""
    with writing(engine) as connection:
        version = ensure_model_version(connection, built.identity)
    keep_sample(home, built.reference, built.sample)
    return put_in_force(engine, version.id, built.reference)


def publish(link: MlflowLink, built: BuiltReference) -> str | None:
    """Log the reference and its sample beside the model; return the place, None for a model that no run logged."""
    with tempfile.TemporaryDirectory(prefix="driftline-") as folder:
        (Path(folder) / REFERENCE_FILE).write_bytes(built.reference.to_bytes())
        write_sample(Path(folder) / SAMPLE_FILE, built.sample)
        return link.publish(built.identity, Path(folder))


def fetch(engine: Engine, link: MlflowLink, version: WatchedVersion) -> Reference | None:
    """Get a version's reference from MLflow into the store and profile its rows; None where MLflow has none.

    Raises:
        ReferenceCorrupt: what lies in MLflow is damaged, or belongs to another signature.
        MlflowUnreachable: MLflow does not answer.
    """
    with link.published(version.identity, REFERENCE_FILE) as path:
        if path is None:
            return None
        reference = Reference.from_bytes(path.read_bytes())
    if reference.columns != version.stored.columns:
        raise ReferenceCorrupt(
            f"the reference in MLflow does not have the columns of {version.label}: "
            f"build it again with `driftline reference build {exact_uri(version.identity)}`"
        )
    put_in_force(engine, version.id, reference)
    return reference


def require(engine: Engine, link: MlflowLink, version: WatchedVersion) -> Reference:
    """Return the reference in force, from MLflow where the store has none.

    Raises:
        ReferenceMissing: neither has one.
    """
    with engine.connect() as connection:
        found = newest_reference(connection, version.id)
    reference = found[1] if found else fetch(engine, link, version)
    if reference is None:
        raise ReferenceMissing(
            f"no training reference of {version.label}, neither in the store nor in MLflow: "
            f"build one with `driftline reference build {exact_uri(version.identity)} --data train.parquet`"
        )
    return reference


def log_reference(
    model: Any,
    data: "pd.DataFrame",
    *,
    source: str = "training code",
    labels: "str | NDArray[Any] | None" = None,
    importances: Mapping[str, float] | None = None,
    held_out: "pd.DataFrame | None" = None,
    segments: Sequence[str] = (),
) -> str:
    """Keep the reference of a model beside it in MLflow, from training code.

    Args:
        model: what ``log_model`` returned, or a model URI.
        data: the training rows; other columns than the signature's are passed over.
        source: where they came from, for people.
        labels, importances, held_out: what performance is held against and drifted columns are ranked by, see
            ``build``.
        segments: columns whose values are to be judged each by itself, as in ``[segments] columns`` of the monitor.

    Returns:
        The URI of the place in MLflow. Every monitor that meets the model fetches the reference from there.

    Raises:
        NoRun: the model was logged in no run, so that there is no place for it.
        TrainingDataMismatch, ModelNotFound: see ``build``.
    """
    link = MlflowLink()
    identity = link.resolve(model if isinstance(model, str) else model.model_uri)
    if not identity.run_id:
        raise NoRun(f"the reference has no place in MLflow: {no_run(identity)}")
    built = build(
        link,
        identity,
        data,
        source,
        labels=labels,
        importances=importances,
        held_out=held_out,
        segments=SegmentSettings(columns=tuple(segments)),
        redaction=load_redaction(),
    )
    place = publish(link, built)
    assert place is not None  # there is a run
    return place


def no_run(identity: ModelIdentity) -> str:
    """Return why MLflow has no place for a model's reference, and what to do."""
    return (
        f"{identity.name} was logged in no run; log it inside `with mlflow.start_run():`, or give every monitor's "
        f"store its reference with `driftline reference build {exact_uri(identity)} --data train.parquet`"
    )


def _columns(identity: ModelIdentity) -> tuple[PredictionColumn, ...]:
    if not (identity.signature or {}).get("inputs"):
        raise TrainingDataMismatch(
            f"{identity.name} version {identity.version} has no signature of its inputs, so its columns have no names: "
            "log it again with `signature=mlflow.models.infer_signature(X, y)`"
        )
    return prediction_columns(identity.signature)


def _measured(
    identity: ModelIdentity,
    model: Any,
    features: "pd.DataFrame",
    inputs: list[PredictionColumn],
    labels: NDArray[Any] | None,
) -> Importances | None:
    if is_one_tensor(identity) or not all(column.name in features.columns for column in inputs):
        return None
    try:
        return measured_importances(model, features, inputs, labels)
    except Exception as error:  # whatever the model's code raises; its words may hold values of the rows
        raise not_predicted(identity, error, "") from error
