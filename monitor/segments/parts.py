"""What of a model is told apart, and references that lack it: these get it from the sample of their rows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.mlflow_link import exact_uri
from driftline.monitor.segments.judge import whole_budget
from driftline.monitor.training.reference_sample import read_sample
from driftline.monitor.training.segmented import known_segments, with_segments
from driftline.monitor.watch import WatchedVersion
from driftline.store.engine import writing
from driftline.store.errors import ReferenceMissing
from driftline.store.prediction_columns import PredictionColumn
from driftline.store.profile.reference import Reference
from driftline.store.references import newest_reference, replace_calibration
from driftline.store.segments.settings import SegmentSettings, WantedSegments


def wanted_of(settings: SegmentSettings, model: str, columns: Sequence[PredictionColumn]) -> list[WantedSegments]:
    """Return what the settings want of a model with these columns.

    Raises:
        ConfigurationError: they want of this model alone what it does not have.
    """
    inputs = _inputs(columns)
    settings.check(model, inputs)
    return settings.columns_of(model, inputs)


def _inputs(columns: Sequence[PredictionColumn]) -> list[str]:
    return [column.name for column in columns if column.side == "input"]


def whole_settings(context: JobContext, version: WatchedVersion) -> DriftSettings:
    """Return the settings by which a version is judged as a whole: its segments have a part of the budget."""
    return whole_budget(context.drift, context.segments, len(segment_names(context, version)))


def segment_names(context: JobContext, version: WatchedVersion) -> list[str]:
    """Return the columns that segments of a version are told apart by, as the signature names them."""
    inputs = _inputs(version.stored.columns)
    return [each.name for each in context.segments.columns_of(version.identity.name, inputs)]


def ensure_segments(
    context: JobContext, version: WatchedVersion, in_force: tuple[int, Reference], wanted: Sequence[WantedSegments]
) -> tuple[int, Reference]:
    """Return id and reference in force with the wanted segments, those that it lacks told from the sample of its rows.

    Raises:
        ConfigurationError: a wanted column has no segments.
        ReferenceMissing: the sample is neither in the home nor in MLflow.
    """
    reference_id, reference = in_force
    most, data, rows = context.segments.max_values, dict[str, NDArray[Any]](), 0
    if any(known_segments(reference, each, most) is None for each in wanted):
        data, rows = _sample(context, version, reference)
    made = with_segments(reference, wanted, most, data, rows, context.drift)
    if len(made.segments) == len(reference.segments) and all(
        a is b for a, b in zip(made.segments, reference.segments, strict=True)
    ):
        return in_force
    with writing(context.engine) as connection:
        newest = newest_reference(connection, version.id)
        if newest is not None and newest[0] == reference_id:  # what others have simulated meanwhile stays
            made = replace(newest[1], segments=made.segments)
            replace_calibration(connection, reference_id, made)
    return reference_id, made


def _sample(context: JobContext, version: WatchedVersion, reference: Reference) -> tuple[dict[str, NDArray[Any]], int]:
    frame = read_sample(context.home, context.link, version.identity, reference)
    if frame is None:
        raise ReferenceMissing(
            f"the reference of {version.label} tells no segments apart, and the sample of its rows is neither in "
            f"{context.home} nor in MLflow: build it again with "
            f"`driftline reference build {exact_uri(version.identity)} --data train.parquet`"
        )
    return {str(name): frame[name].to_numpy() for name in frame}, len(frame)
