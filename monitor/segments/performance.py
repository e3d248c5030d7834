"""Judge the performance of each segment against the reference's in the same segment, all of a model within one budget.

``[performance] chance_deviations`` stands for a probability that a metric breaches by chance: the tail of a normal
distribution. The model as a whole keeps ``1 - budget_share`` of it, and the segments that can be judged share the rest
in equal parts, so that a model with segments breaches no more often by chance than one without.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from driftline.monitor.performance.deciding import deciding
from driftline.monitor.performance.hour import LabelledHour, summed
from driftline.monitor.performance.realised import judge_window
from driftline.monitor.performance.reference_performance import ReferencePerformance, performance_of
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.task import Task
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.store.profile.reference import Reference
from driftline.store.profile.segments import SegmentedReference
from driftline.store.segments.settings import SegmentSettings

_MOST_DEVIATIONS = 10.0  # as the settings allow


@dataclass(frozen=True, slots=True)
class SegmentPerformance:
    """The performance of one segment.

    Attributes:
        column: that tells segments apart, as the signature names it.
        reference_rows: labelled rows of the reference in the same segment; 0 where it knows of none.
        metrics: one window of each, that which decides.
    """

    column: str
    segment: str
    reference_rows: int
    metrics: tuple[JudgedMetric, ...]

    @property
    def worst(self) -> JudgedMetric:
        """The metric that is worst in units of its threshold; the first where none has a verdict."""
        return max(self.metrics, key=lambda each: (each.breached is not None, _ratio(each)))

    @property
    def breached(self) -> tuple[JudgedMetric, ...]:
        return tuple(each for each in self.metrics if each.breached)

    @property
    def judged(self) -> int:
        """How many metrics have a verdict."""
        return sum(each.breached is not None for each in self.metrics)


def whole_chance(performance: PerformanceSettings, segments: SegmentSettings, columns: int) -> PerformanceSettings:
    """Return the settings with what segments of so many columns leave of chance to the model as a whole."""
    return shared_chance(performance, 1 - segments.budget_share) if columns else performance


def segment_chance(performance: PerformanceSettings, segments: SegmentSettings, columns: int) -> PerformanceSettings:
    """Return the settings with what the segments of one of so many columns have of chance, together."""
    return shared_chance(performance, segments.budget_share / max(columns, 1))


def shared_chance(settings: PerformanceSettings, share: float) -> PerformanceSettings:
    """Return settings by which chance breaches with that share of its probability, from 0 (exclusive) to 1."""
    normal = NormalDist()
    deviations = -normal.inv_cdf(normal.cdf(-settings.chance_deviations) * share)
    return replace(settings, chance_deviations=min(deviations, _MOST_DEVIATIONS))


def judge_by_segment(
    task: Task,
    whole: Reference,
    segmented: SegmentedReference,
    hours: Mapping[str, Mapping[int, LabelledHour]],
    windows: Sequence[tuple[int, int]],
    settings: PerformanceSettings,
) -> list[SegmentPerformance]:
    """Return the performance of the segments of one column that have labelled rows, in the order of segments.

    Args:
        hours: by segment and start.
        windows: start and end, each inside the next one, which all end alike.
        settings: of the judgement; their chance is that of all these segments together.
    """
    known = {name: _known(whole, segmented, name) for name in hours}
    rows = {name: _rows(held) for name, held in hours.items()}
    least = settings.min_labelled_rows
    judged = [name for name, of in known.items() if of is not None and min(of.rows, rows[name]) >= least]
    each = shared_chance(settings, 1 / max(len(judged), 1))
    return [
        _judge(task, segmented, name, hours[name], windows, known[name], each)
        for name in segmented.column.segments
        if rows.get(name)
    ]


def _judge(
    task: Task,
    segmented: SegmentedReference,
    name: str,
    hours: Mapping[int, LabelledHour],
    windows: Sequence[tuple[int, int]],
    known: ReferencePerformance | None,
    settings: PerformanceSettings,
) -> SegmentPerformance:
    held = known if known is not None and known.rows >= settings.min_labelled_rows else None
    metrics: list[JudgedMetric] = []
    total, after = summed((), task), windows[-1][1]
    for window in windows:  # each adds what lies before the one inside it
        total.add(summed((hour for at, hour in hours.items() if window[0] <= at < after), task))
        after = window[0]
        assert total.sums is not None  # the task is known
        metrics += judge_window(task, total.sums, held, window, total.rows, settings)
    if held is None:
        metrics = [_without_reference(each, known, settings) for each in metrics]
    return SegmentPerformance(segmented.column.name, name, known.rows if known else 0, tuple(deciding(metrics)))


def _known(whole: Reference, segmented: SegmentedReference, name: str) -> ReferencePerformance | None:
    part = segmented.reference(whole, name)
    return None if part is None else performance_of(part)


def _rows(hours: Mapping[int, LabelledHour]) -> int:
    return sum(hour.sums.rows for hour in hours.values() if hour.sums is not None)


def _without_reference(
    judged: JudgedMetric, known: ReferencePerformance | None, settings: PerformanceSettings
) -> JudgedMetric:
    if judged.labelled_rows < settings.min_labelled_rows:
        return judged
    if known is None:
        return replace(judged, reason="the reference has no labelled rows in this segment, so there is no threshold: "
                       "build it with `driftline reference build --labels COLUMN`")  # fmt: skip
    return replace(
        judged, reason=f"{known.rows} labelled rows of the reference in this segment, {settings.min_labelled_rows} are "
        "needed for a threshold"
    )  # fmt: skip


def _ratio(judged: JudgedMetric) -> float:
    """Return how far the value lies from the reference's, in units of the threshold's distance; bad is positive."""
    if judged.found is None or judged.threshold is None or judged.reference is None:
        return 0.0
    room = judged.threshold - judged.reference
    return (judged.found.value - judged.reference) / room if room else 0.0
