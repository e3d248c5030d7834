"""Whether performance is worse than the reference's by more than the tolerance and what chance explains."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from driftline.monitor.drift.phrases import number
from driftline.monitor.performance.metric import METRICS, MetricInterval
from driftline.monitor.performance.reference_performance import ReferencePerformance
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.sums import ClassSums, Sums
from driftline.monitor.performance.task import Task, TaskKind

BIAS, MAE = "bias", "mae"
_FEWEST_OF_A_CLASS = 10


@dataclass(frozen=True, slots=True)
class JudgedMetric:
    """A metric of one window.

    Attributes:
        window: start and end of the requests, microseconds since the epoch.
        window_rows, labelled_rows: predictions in it, and those of them whose labels count; of an estimate those with a
            probability, and none.
        found: None where there were no rows.
        reference: the reference's value; None where that is not known.
        threshold: what the value is held against, on its bad side; None where there is no verdict.
        breached: None where there is no verdict; ``reason`` says why, or what was found.
        estimated: without labels, from the probabilities alone.
    """

    metric: str
    window: tuple[int, int]
    window_rows: int
    labelled_rows: int
    found: MetricInterval | None
    reference: float | None = None
    threshold: float | None = None
    breached: bool | None = None
    reason: str = ""
    estimated: bool = False

    @property
    def verdict(self) -> str:
        """The verdict as people read it."""
        if self.breached is not None:
            return "breach" if self.breached else "ok"
        return "no verdict" if self.reference is None and self.found is not None else "insufficient data"

    @property
    def counted_rows(self) -> int:
        """The rows that the value is of."""
        return self.window_rows if self.estimated else self.labelled_rows

    @property
    def window_seconds(self) -> int:
        return (self.window[1] - self.window[0]) // 1_000_000


def threshold_of(
    name: str, found: MetricInterval, reference: Mapping[str, MetricInterval], settings: PerformanceSettings
) -> float:
    """Return the value beyond which a metric is worse than its reference by more than tolerance and chance.

    Chance is ``chance_deviations`` standard deviations of the difference, those of both sides taken together. A bias
    is bad on both sides: its threshold lies on the side of the value, and the tolerance is a part of the mean absolute
    error.
    """
    metric, known = METRICS[name], reference[name]
    chance = settings.chance_deviations * math.hypot(found.deviation, known.deviation)
    if name == BIAS:
        scale = reference[MAE].value if MAE in reference else abs(known.value)
        return math.copysign(abs(known.value) + settings.tolerance * scale + chance, found.value)
    room = settings.tolerance * max(abs(known.value), metric.floor) + chance
    return known.value - room if metric.higher_is_better else known.value + room


def judge(
    judged: JudgedMetric,
    task: Task,
    sums: Sums | None,
    reference: ReferencePerformance | None,
    settings: PerformanceSettings,
) -> JudgedMetric:
    """Return a metric with its verdict.

    Args:
        judged: value and rows of a window.
        sums: of the window's labelled rows, to see whether each class has enough; None of an estimate.
        reference: what to hold it against; None where there is none.
    """
    few = _too_few(judged, task, sums, settings)
    if reference is None or judged.metric not in reference.metrics:
        missing = few or "the reference has no performance: build it with `driftline reference build --labels COLUMN`"
        return replace(judged, reason=missing)
    if reference.task.kind is not task.kind or reference.task.classes != task.classes:
        return replace(judged, reason="the reference measured another task: build it again with the same settings")
    judged = replace(judged, reference=reference.metrics[judged.metric].value)
    if few or judged.found is None:
        return replace(judged, reason=few or "not defined where all labels are equal")
    limit = threshold_of(judged.metric, judged.found, reference.metrics, settings)
    if not METRICS[judged.metric].can_be_worse(limit):
        return replace(judged, reason=_out_of_reach(judged.metric, reference.metrics[judged.metric].value, limit))
    breached = is_worse(judged.metric, judged.found.value, limit)
    reason = ""
    if breached:
        beyond = "below" if METRICS[judged.metric].higher_is_better else "beyond"
        known = number(reference.metrics[judged.metric].value)
        reason = f"{number(judged.found.value)} is {beyond} {number(limit)}; {known} on the reference"
    return replace(judged, threshold=limit, breached=breached, reason=reason)


def is_worse(name: str, value: float, limit: float) -> bool:
    """Return whether a value lies on the bad side of a threshold."""
    if name == BIAS:
        return abs(value) > abs(limit)
    return value < limit if METRICS[name].higher_is_better else value > limit


def _out_of_reach(name: str, known: float, limit: float) -> str:
    """Return why a metric cannot be judged whose threshold lies where no value can be worse."""
    metric = METRICS[name]
    beyond, words = "below" if metric.higher_is_better else "above", name.replace("_", " ")
    if known == metric.worst:
        return f"{number(known)} on the reference, which nothing can be worse than"
    return (
        f"the threshold would be {number(limit)}, and no {words} can be {beyond} that: more labelled rows, "
        "of the reference too, bring it nearer"
    )


def _too_few(judged: JudgedMetric, task: Task, sums: Sums | None, settings: PerformanceSettings) -> str:
    if judged.counted_rows < settings.min_labelled_rows:
        kind = "rows with a probability" if judged.estimated else "labelled rows"
        return f"{judged.counted_rows} {kind}, {settings.min_labelled_rows} are needed"
    if task.kind is not TaskKind.BINARY or not isinstance(sums, ClassSums):
        return ""
    if not METRICS[judged.metric].needs_both_classes:
        return ""
    of_class = {name: sum(n for (truth, _), n in sums.confusion.items() if truth == name) for name in task.classes}
    rare = min(of_class, key=lambda name: of_class[name])
    if of_class[rare] < _FEWEST_OF_A_CLASS:
        return f"{of_class[rare]} rows of the label {rare}, {_FEWEST_OF_A_CLASS} are needed"
    return ""
