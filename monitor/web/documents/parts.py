"""Parts that several documents hold. Times are ISO 8601 in UTC, shares lie in [0, 1], what is not known is null."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Row

from driftline.monitor.accounts_document import accounts_document
from driftline.monitor.drift.verdict import in_thresholds
from driftline.monitor.drift.windows import span_name
from driftline.monitor.multivariate.check import MultivariateDrift
from driftline.monitor.performance.deciding import deciding
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.monitor.quality.finding import QualityFinding, QualityVerdict
from driftline.monitor.rows.results import JobClock
from driftline.monitor.status import VersionStatus
from driftline.monitor.watch import WatchedVersion
from driftline.monitor.web.documents.chosen import Chosen
from driftline.monitor.web.reads.recent_requests import Traffic
from driftline.monitor.web.sources import Sources
from driftline.store.records import MICROSECONDS, iso

# A job is overdue when it should have succeeded twice since it last did: what the alerts hold it to.
OVERDUE_INTERVALS = 2.5
_MOST_FINDINGS = 100


def moment(at_us: int | None) -> str | None:
    """Return a time as text."""
    return None if at_us is None else iso(at_us)


def finite(value: float | None) -> float | None:
    """Return a number that JSON can hold."""
    return value if value is not None and math.isfinite(value) else None


def head(sources: Sources) -> dict[str, Any]:
    """Return what every document begins with: when it was made and what does not answer."""
    return {
        "at": iso(sources.context.clock()),
        "store_up": sources.status.store_up,
        "mlflow_up": sources.schedule.mlflow_up,
        "scheduler_alive": sources.schedule.is_alive,
        "stands_by": sources.schedule.stands_by,
    }


def served_entry(version: WatchedVersion, sync: tuple[bool, str] | None) -> dict[str, Any]:
    """Return what is served under which name, and since when.

    Args:
        sync: as ``in_sync`` tells it; None where nothing is known.
    """
    return {
        "alias": version.identity.alias,
        "in_sync": sync[0] if sync else None,
        "registry_version": sync[1] if sync else None,
        "trained_at": moment(version.identity.created_at_us),
        "first_served_at": moment(version.first_served_at_us),
        "newest_rows_at": moment(version.last_rows_at_us),
    }


def verdict_of(status: VersionStatus) -> str:
    """Return the verdict on a version as a whole."""
    if status.reference is None:
        return "no reference"
    return rows_verdict(status.drift)


def rows_verdict(rows: Any) -> str:
    """Return what the verdicts of one judgement come to."""
    verdicts = {row.verdict for row in rows}
    if not verdicts:
        return "not judged yet"
    return next((v for v in ("drift", "no drift") if v in verdicts), "insufficient data")


def column_entry(row: Row[Any]) -> dict[str, Any]:
    """Return one column's judgement."""
    score, threshold = finite(row.score), finite(row.threshold)
    ratio = None if score is None or threshold is None else finite(in_thresholds(score, threshold))
    return {
        "column": row.column_name,
        "side": row.side,
        "kind": row.kind,
        "verdict": row.verdict,
        "since": moment(row.since),
        "reason": row.reason,
        "statistic": row.statistic,
        "score": score,
        "threshold": threshold,
        "ratio": ratio,
        "effect": finite(row.effect),
        "importance": finite(row.importance),
        "window": window_entry(row),
        "missing_share": finite(row.missing_share),
        "reference_missing_share": finite(row.reference_missing_share),
        "unseen_share": finite(row.unseen_share),
        "out_of_range_share": finite(row.out_of_range_share),
    }


def window_entry(row: Row[Any]) -> dict[str, Any]:
    """Return the window that decided on a row of ``drift_result``."""
    return {
        "span": span_name(max(1, round((row.window_end - row.window_start) / MICROSECONDS))),
        "start": iso(row.window_start),
        "end": iso(row.window_end),
        "rows": row.window_rows,
    }


def episode_entry(row: Row[Any]) -> dict[str, Any]:
    """Return an episode of drift of a column, or of a side as a whole."""
    return {
        "side": row.side,
        "column": row.column_name or None,
        "opened_at": iso(row.opened_at),
        "closed_at": moment(row.closed_at),
        "judgements": row.judgements,
        "peak": finite(row.peak),
    }


def quality_entry(findings: Sequence[QualityFinding]) -> dict[str, Any]:
    """Return what the newest look at data quality found; of single findings those that are not in order."""
    odd = [f for f in findings if f.verdict != QualityVerdict.OK]
    odd.sort(key=lambda f: (f.verdict != QualityVerdict.BREACH, -f.ratio))
    return {
        "checks": len(findings),
        "breaches": sum(f.verdict == QualityVerdict.BREACH for f in findings),
        "findings": [
            {
                "kind": str(f.kind), "side": f.side or None, "column": f.name or None, "verdict": str(f.verdict),
                "observed": finite(f.observed), "expected": finite(f.expected), "threshold": finite(f.threshold),
                "rows": f.window_rows, "window": {"start": iso(f.window[0]), "end": iso(f.window[1])},
                "reason": f.reason,
            }
            for f in odd[:_MOST_FINDINGS]
        ],
    }  # fmt: skip


def multivariate_entry(found: MultivariateDrift | None) -> dict[str, Any] | None:
    """Return what the newest look at all inputs together found."""
    if found is None:
        return None
    return {
        "verdict": str(found.verdict),
        "auc": finite(found.auc),
        "z": finite(found.z),
        "columns": found.columns,
        "rows": found.window_rows,
        "training_rows": found.training_rows,
        "window": {"start": iso(found.window[0]), "end": iso(found.window[1])},
        "reason": found.reason,
    }


def traffic_entry(traffic: Traffic) -> dict[str, Any]:
    """Return what came in lately."""
    latency = traffic.latency_ms and {
        f"p{p}": round(ms, 3) for p, ms in zip((50, 95, 99), traffic.latency_ms, strict=True)
    }
    return {
        "over_seconds": round(traffic.seconds, 1),
        "requests": traffic.requests,
        "rows": traffic.rows,
        "requests_per_second": round(traffic.requests / traffic.seconds, 4),
        "rows_per_second": round(traffic.rows / traffic.seconds, 4),
        "refused": traffic.refused,
        "failed": traffic.failed,
        "latency_ms": latency,
    }


def job_entries(
    sources: Sources, clocks: Mapping[str, JobClock], checks: tuple[str, ...], known_since_us: int
) -> dict[str, dict[str, Any]]:
    """Return the clocks of some jobs by name.

    Args:
        known_since_us: since when the jobs should have run.
    """
    run = [check for check in checks if check in sources.schedule.job_names]  # one may be switched off
    return {check: _job_entry(sources, clocks.get(check), check, known_since_us) for check in run}


def _job_entry(sources: Sources, clock: JobClock | None, check: str, known_since_us: int) -> dict[str, Any]:
    interval = sources.schedule.interval_seconds(check)
    good_us = (clock.last_success_us if clock else None) or known_since_us
    age_seconds = (sources.context.clock() - good_us) / MICROSECONDS
    return {
        "result": clock.result if clock else None,
        "message": clock.message if clock else None,
        "last_attempt": moment(clock.last_attempt_us) if clock else None,
        "last_success": moment(clock.last_success_us) if clock else None,
        "duration_seconds": finite(clock.last_duration_seconds) if clock else None,
        "consecutive_failures": clock.failures if clock else 0,
        "interval_seconds": interval,
        "overdue": age_seconds > OVERDUE_INTERVALS * interval,
    }


def accounts_entry(sources: Sources) -> dict[str, Any] | None:
    """Return the capture accounts; None where they cannot be had."""
    return accounts_document(sources.context.engine, sources.context.home)


def beyond_columns_entry(found: VersionStatus | Chosen) -> dict[str, Any]:
    """Return what is wrong beyond the drift of single columns: names of metrics, and how many checks and segments."""
    return {
        "quality_breaches": sum(f.verdict == QualityVerdict.BREACH for f in found.quality),
        "multivariate_verdict": found.multivariate and str(found.multivariate.verdict),
        "performance_breaches": _breached(found.performance),
        "estimated_performance_breaches": _breached(found.estimated_performance),
        "drifted_segments": sum(row.verdict == "drift" for row in found.segments),
        "segment_performance_breaches": sum(row.breached > 0 for row in found.segment_performance),
    }


def _breached(judged: Sequence[JudgedMetric]) -> list[str]:
    return [each.metric for each in deciding(judged) if each.breached]


def segment_performance_entry(row: Row[Any]) -> dict[str, Any]:
    """Return the newest verdict on the performance in one segment."""
    return {
        "segment_column": row.segment_column,
        "segment": row.segment,
        "verdict": row.verdict,
        "reason": row.reason,
        "metric": row.metric,
        "value": finite(row.value),
        "low": finite(row.low),
        "high": finite(row.high),
        "reference": finite(row.reference),
        "threshold": finite(row.threshold),
        "labelled_rows": row.labelled_rows,
        "reference_rows": row.reference_rows,
        "breached_metrics": row.breached,
        "judged_metrics": row.judged,
        "metrics": orjson.loads(row.metrics),
        "window": {"start": iso(row.window_start), "end": iso(row.window_end)},
    }
