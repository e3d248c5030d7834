"""Estimates of a model version's windows: what its reference must hold for them, and what a profile tells.

There are estimates of a binary task with one probability, on a reference with labelled rows of both classes. Several
classes have none: a profile counts each column by itself, and which class is likeliest is a matter of all of them.
"""

from dataclasses import dataclass

from driftline.monitor.performance.calibration_curve import CalibrationCurve, fit_curve
from driftline.monitor.performance.estimated import estimate
from driftline.monitor.performance.metric import MetricInterval
from driftline.monitor.performance.reference_performance import performance_of
from driftline.monitor.performance.score_bins import score_edges
from driftline.monitor.performance.task import Task, TaskKind
from driftline.monitor.performance.window_scores import WindowScores, scores_above, scores_of_share
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference


@dataclass(frozen=True, eq=False)
class Estimator:
    """Estimates the metrics of windows against one reference; it costs some 0.1 s to make, an estimate less."""

    task: Task
    curve: CalibrationCurve
    columns: dict[str, PredictionColumn]

    def metrics(self, window: Profile) -> tuple[int, dict[str, MetricInterval]]:
        """Return the rows that have a score, and the metrics that they are expected to show; none of no rows."""
        scores = self._scores(window)
        return (0, {}) if scores is None else (scores.total, estimate(scores, self.curve))

    def _scores(self, window: Profile) -> WindowScores | None:
        counts = window.numeric(self.task.probabilities[0])
        if not counts.value_rows:
            return None
        share = self._positive_share(window)
        return scores_above(counts, self.task.threshold) if share is None else scores_of_share(counts, share)

    def _positive_share(self, window: Profile) -> float | None:
        """Return the share of rows that the model answered with the positive class, where it has an output for it.

        So its own decision is known, whatever threshold it has.
        """
        if not self.task.prediction:
            return None
        by_class = answered_classes(window, self.columns[self.task.prediction], self.task.classes)
        return by_class[1] / sum(by_class) if sum(by_class) else None


def estimator_of(reference: Reference) -> Estimator | None:
    """Return what estimates windows against a reference; None where it cannot be, see the module."""
    known = performance_of(reference)
    if known is None or known.task.kind is not TaskKind.BINARY or known.score_histogram is None:
        return None
    numeric = {p.column.column_name for p in reference.profiled if p.kind == "numeric"}
    if len(known.task.probabilities) != 1 or known.task.probabilities[0] not in numeric:
        return None
    if not known.score_histogram.sum(axis=1).all():
        return None
    curve = fit_curve(score_edges(), known.score_histogram, reference.seed)
    return Estimator(known.task, curve, {c.column_name: c for c in reference.columns})


def answered_classes(window: Profile, column: PredictionColumn, classes: tuple[str, ...]) -> tuple[int, int]:
    """Return how many rows of a window were answered with the first and with the second of two classes."""
    if column.type in (ColumnType.BOOLEAN, ColumnType.STRING):
        names = {"True": "1", "False": "0"} if column.type is ColumnType.BOOLEAN else {}
        found = window.categories(column.column_name)
        rows = {names.get(key, key): int(n) for key, n in zip(found.categories, found.counts, strict=True)}
        return rows.get(classes[0], 0), rows.get(classes[1], 0)
    first, second = map(float, classes)
    above = scores_above(window.numeric(column.column_name), (first + second) / 2)
    larger = int(above.rows[above.predicted].sum())
    smaller = above.total - larger
    return (smaller, larger) if first < second else (larger, smaller)
