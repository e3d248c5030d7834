"""What a model did on its reference's rows: what later performance is held against, kept inside the reference."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.performance.class_metrics import class_metrics
from driftline.monitor.performance.classes import class_name
from driftline.monitor.performance.metric import MetricInterval
from driftline.monitor.performance.number_metrics import SAMPLE_ROWS, number_metrics
from driftline.monitor.performance.score_bins import score_edges
from driftline.monitor.performance.settings import BY_MODEL, PerformanceSettings
from driftline.monitor.performance.sums import ClassSums, NumberSums, Sums, sums_of
from driftline.monitor.performance.task import Task, decide_task
from driftline.store.prediction_columns import PredictionColumn
from driftline.store.profile.reference import Reference


@dataclass(frozen=True, eq=False)
class ReferencePerformance:
    """Performance on the reference's rows.

    Attributes:
        task: what was judged.
        metrics: by name (``metric.METRICS``).
        score_histogram: rows by probability, shape (2, bins) on ``score_bins.score_edges()``; None without
            probabilities. Of a binary task by the probability of the positive label, first the rows of the negative
            label, then those of the positive one; of several classes by the largest probability, first the rows where
            its class was wrong, then those where it was right.
        rows: labelled rows that counted.
        source: which rows these were, for people.
    """

    task: Task
    metrics: Mapping[str, MetricInterval]
    score_histogram: NDArray[np.int64] | None = field(repr=False)
    rows: int
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return the performance as JSON values, the histogram without its empty bins."""
        histogram = None
        if self.score_histogram is not None:
            filled = np.flatnonzero(self.score_histogram.any(axis=0))
            histogram = {
                "bins": self.score_histogram.shape[1],
                "at": filled.tolist(),
                "rows": self.score_histogram[:, filled].tolist(),
            }
        return {
            "task": self.task.to_json(),
            "metrics": {name: metric.to_json() for name, metric in self.metrics.items()},
            "score_histogram": histogram,
            "rows": self.rows,
            "source": self.source,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "ReferencePerformance":
        """Return what ``to_json`` gave.

        Raises:
            KeyError, ValueError, TypeError: it did not, or another release did, on other bins.
        """
        return cls(
            Task.from_json(found["task"]),
            {str(name): MetricInterval.from_json(metric) for name, metric in found["metrics"].items()},
            _histogram(found["score_histogram"]),
            int(found["rows"]),
            str(found["source"]),
        )


def performance_of(reference: Reference) -> ReferencePerformance | None:
    """Return the performance that a reference holds; None where it was built without labels or by another release."""
    try:
        return None if reference.performance is None else ReferencePerformance.from_json(reference.performance)
    except (KeyError, ValueError, TypeError):
        return None


def measure(
    model: str,
    outputs: Sequence[PredictionColumn],
    answers: Mapping[str, NDArray[Any]],
    labels: Iterable[Any],
    settings: PerformanceSettings,
    source: str,
    seed: int = 0,
) -> ReferencePerformance:
    """Return the performance on labelled rows.

    Args:
        outputs, answers: of the model, by ``column_name``.
        labels: of the same rows, as Python values; None or NaN where there is none.
        source: which rows they are, for people.

    Raises:
        TaskUnclear: what the task is cannot be told.
    """
    truth = [None if class_name(label) is None else label for label in labels]
    return measure_as(decide_task(model, outputs, answers, truth, settings), answers, truth, source, seed)


def measure_as(
    task: Task, answers: Mapping[str, NDArray[Any]], truth: Sequence[Any], source: str, seed: int = 0
) -> ReferencePerformance:
    """Return the performance on labelled rows of a known task; arguments as those of ``measure``."""
    sums = sums_of(task, answers, truth, seed, SAMPLE_ROWS)
    metrics = metrics_of(task, sums, seed)
    cells = sums.cells if isinstance(sums, ClassSums) else None
    return ReferencePerformance(task, metrics, None if cells is None else cells.counts, sums.rows, source)


def task_of_reference(model: str, reference: ReferencePerformance | None, settings: PerformanceSettings) -> Task | None:
    """Return the task that a model's reference measured; None where it measured none, or settings say another."""
    if reference is None or any(settings.of_model(model, setting) for setting in BY_MODEL):
        return None
    return reference.task


def add_sums(sums: Sums, other: Sums) -> None:
    """Add the sums of other rows of the same task."""
    if isinstance(sums, ClassSums):
        assert isinstance(other, ClassSums)
        sums.add(other)
    else:
        assert isinstance(other, NumberSums)
        sums.add(other)


def metrics_of(task: Task, sums: Sums, seed: int = 0) -> dict[str, MetricInterval]:
    """Return the metrics that follow from sums; none from those of no rows."""
    if not sums.rows:
        return {}
    return number_metrics(sums, seed) if isinstance(sums, NumberSums) else class_metrics(task, sums, seed)


def _histogram(found: Mapping[str, Any] | None) -> NDArray[np.int64] | None:
    if found is None:
        return None
    bins = score_edges().size - 1
    if found["bins"] != bins:
        raise ValueError("counted on other bins")
    histogram = np.zeros((2, bins), np.int64)
    histogram[:, found["at"]] = np.array(found["rows"], dtype=np.int64).reshape(2, -1)
    return histogram
