"""Performance on labelled rows as JSON for machines: in `driftline performance --json` and on pages."""

from collections.abc import Sequence
from typing import Any

from driftline.monitor.performance.coverage import LabelCoverage
from driftline.monitor.performance.unusable import said_of_unusable
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.store.records import iso


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
