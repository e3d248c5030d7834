"""Performance on labelled rows as JSON for machines: in `driftline performance --json` and on pages."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from driftline.monitor.performance.coverage import LabelCoverage
from driftline.monitor.performance.unusable import said_of_unusable
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.store.records import iso

if TYPE_CHECKING:
    from driftline.monitor.segments.performance import SegmentPerformance

_OF_THE_WORST = (
    "verdict", "reason", "metric", "value", "low", "high", "reference", "threshold", "labelled_rows", "window",
)  # fmt: skip


def performance_document(judged: Sequence[JudgedMetric]) -> list[dict[str, Any]]:
    """Return metrics as plain values."""
    return [
        {
            "metric": each.metric,
            "estimated": each.estimated,
            "window": {"start": iso(each.window[0]), "end": iso(each.window[1]), "rows": each.window_rows},
            "labelled_rows": each.labelled_rows,
            "value": each.found.value if each.found else None,
            "low": each.found.low if each.found else None,
            "high": each.found.high if each.found else None,
            "reference": each.reference,
            "threshold": each.threshold,
            "verdict": each.verdict,
            "reason": each.reason,
        }
        for each in judged
    ]


def segment_performance_document(found: "Sequence[SegmentPerformance]") -> list[dict[str, Any]]:
    """Return the performance of segments as plain values: the metric that is worst, and all of them."""
    entries = []
    for each in found:
        metrics = performance_document(each.metrics)
        worst = metrics[each.metrics.index(each.worst)]
        entries.append({
            "segment_column": each.column,
            "segment": each.segment,
            **{key: worst[key] for key in _OF_THE_WORST},
            "reference_rows": each.reference_rows,
            "breached_metrics": len(each.breached),
            "judged_metrics": each.judged,
            "metrics": metrics,
        })  # fmt: skip
    return entries


def coverage_document(found: LabelCoverage | None) -> dict[str, Any] | None:
    """Return the coverage of labels as plain values; None where there are no labels."""
    if found is None:
        return None
    delays = {"request_to_event": found.event_delay, "request_to_arrival": found.arrival_delay}
    return {
        "due": {"start": iso(found.window[0]), "end": iso(found.window[1]), "rows": found.window_rows},
        "labelled_rows": found.labelled_rows,
        "share": found.share,
        "delay_seconds": {name: {"median": median, "p95": p95} for name, (median, p95) in delays.items()},
        "last_event_at": iso(found.last_event_us),
        "unusable": {
            "rows": sum(found.unusable.values()),
            "by_reason": dict(found.unusable),
            "said": said_of_unusable(found.unusable),
        },
    }
