"""The training data by segment, inside a reference, with what the judge simulates from each segment."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.calibration import calibrate_for, is_calibrated, simulated_statistics
from driftline.monitor.drift.column_judge import statistic_of
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.performance.classes import class_name
from driftline.monitor.performance.reference_performance import measure_as
from driftline.monitor.performance.task import Task
from driftline.store.profile.columns import ProfiledColumn
from driftline.store.profile.reference import Reference
from driftline.store.profile.segments import SegmentedReference, segmented_column, segmented_reference
from driftline.store.segments.settings import WantedSegments


def with_segments(
    reference: Reference,
    wanted: Sequence[WantedSegments],
    max_values: int,
    data: Mapping[str, NDArray[Any]],
    rows: int,
    drift: DriftSettings,
) -> Reference:
    """Return the reference with exactly the wanted segments: those that it has stay, others are told from rows.

    Args:
        data: its training rows or a sample of them, arrays of ``rows`` cells by column name.
        drift: settings of the judgement: segments are simulated for the statistics that these choose.

    Raises:
        ConfigurationError: a wanted column has no segments, see ``segmented_column``.
    """
    inputs = {column.name: column for column in reference.columns if column.side == "input"}
    parts = []
    for each in wanted:
        known = known_segments(reference, each, max_values)
        if known is None:
            column = inputs[each.name]
            cells = data.get(column.column_name, np.empty(0, object))
            made = segmented_column(column, each.cuts, cells, max_values)
            known = segmented_reference(reference, made, data, rows)
        parts.append(calibrated(reference, known, drift))
    return replace(reference, segments=tuple(parts))


def calibrated(reference: Reference, segmented: SegmentedReference, drift: DriftSettings) -> SegmentedReference:
    """Return the segments with simulated tables for the statistics that the settings choose.

    Those of fewer training rows than a verdict needs get none. Takes up to half a second per segment and column.
    """

    def chosen(profiled: ProfiledColumn, of: Reference) -> str:
        return statistic_of(profiled, of, drift)

    found = {}
    for name, part in segmented.parts.items():
        of = segmented.reference(reference, name)
        if of is None or part.rows < drift.min_rows or _is_calibrated_for(of, drift):
            continue
        found[name] = calibrate_for(of, chosen, reference).calibration or {}
    return segmented.with_calibrations(found) if found else segmented


def with_segment_performance(
    segments: Sequence[SegmentedReference],
    task: Task,
    data: Mapping[str, NDArray[Any]],
    truth: Sequence[Any],
    source: str,
) -> tuple[SegmentedReference, ...]:
    """Return segments with what the model did on labelled rows of each; without, where the rows lack the column.

    Args:
        data: the model's outputs and the columns of the segments, arrays of one length by column name.
        truth: labels of the same rows, as Python values; None or NaN where there is none.
        source: which rows they are, for people.
    """
    labels = [None if class_name(label) is None else label for label in truth]
    found = []
    for segmented in segments:
        cells = data.get(segmented.column.column_name)
        if cells is None or not all(name in data for name in task.columns):  # redacted, or not in these rows
            found.append(segmented)
            continue
        places, measured = segmented.column.places(cells, len(labels)), {}
        for place in np.unique(places).tolist():
            rows = np.flatnonzero(places == place)
            answers = {name: data[name][rows] for name in task.columns}
            performance = measure_as(task, answers, [labels[row] for row in rows.tolist()], source)
            measured[segmented.column.segments[place]] = replace(performance, score_histogram=None).to_json()
        found.append(segmented.with_performances(measured))
    return tuple(found)


def known_segments(reference: Reference, wanted: WantedSegments, max_values: int) -> SegmentedReference | None:
    """Return the segments that a reference has already; None where they would be others."""
    for segmented in reference.segments:
        column = segmented.column
        if (column.name, column.cuts, column.max_values) == (wanted.name, wanted.cuts, max_values):
            return segmented
    return None


def _is_calibrated_for(reference: Reference, drift: DriftSettings) -> bool:
    if not is_calibrated(reference):
        return False
    simulated = simulated_statistics(reference)
    return all(
        not simulated.get(p.column.column_name) or statistic_of(p, reference, drift) in simulated[p.column.column_name]
        for p in reference.profiled
    )
