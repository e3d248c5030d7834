"""Reports without their making: contents as they are kept, and weeks of traffic before now."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from monitor_rig import TinyModel, rows, save_reference, send
from sqlalchemy import update

from driftline.monitor.jobs.job import JobContext
from driftline.store import schema
from driftline.store.records import MICROSECONDS, Arm

DAY_US = 86_400 * MICROSECONDS
WEEK_US = 7 * DAY_US
MONDAY = int(datetime(2026, 1, 5, 6, tzinfo=UTC).timestamp()) * MICROSECONDS


def column(name: str = "income", ratio: float | None = 2.0, side: str = "input", **more: Any) -> dict[str, Any]:
    """One column's entry in a report; it drifts from its threshold on."""
    drifted = ratio is not None and ratio >= 1
    picture = {
        "kind": "numeric", "labels": ["< 0", "0 to 1", "> 1"], "parts": ["below", "range", "above"],
        "reference": [0.1, 0.8, 0.1], "window": [0.0, 0.5, 0.5], "missing": [0.0, 0.02],
        "words": ["50 % of the values are now above 1, beyond all of training"],
    }  # fmt: skip
    return {
        "column": name, "side": side, "kind": "numeric", "statistic": "wasserstein",
        "score": None if ratio is None else ratio / 10, "threshold": None if ratio is None else 0.1, "ratio": ratio,
        "effect": 0.5, "window": "7 d", "rows": 100,
        "verdict": "insufficient data" if ratio is None else "drift" if drifted else "no drift",
        "reason": "mean rose from 0.1 to 0.6", "missing_share": 0.02, "reference_missing_share": 0.0,
        "unseen_share": None, "out_of_range_share": 0.1, "importance": 0.4, "picture": picture,
        "words": picture["words"] if drifted else [], **more,
    }  # fmt: skip


def content(rows_: int = 100, *columns: Mapping[str, Any], end: int = MONDAY, **more: Any) -> dict[str, Any]:
    """A report's JSON, by default with one drifted column."""
    entries = list(columns) or [column()]
    verdict = "drift" if any(c["verdict"] == "drift" for c in entries) else "no drift"
    arm = {
        "arm": "champion", "rows": rows_, "verdict": verdict, "columns": entries, "quality": [], "multivariate": None,
        "segments": [], "performance": [], "labels": None, "reference": {
            "rows": 3_000, "source": "training rows", "made_at": "2025-12-01T00:00:00Z", "importances_from": None,
        },
    }  # fmt: skip
    return {
        "format": 2, "model": "tiny", "version": "1", "alias": None, "made_at": iso(end), "scheduled": True,
        "window": {"start": iso(end - WEEK_US), "end": iso(end), "rows": rows_}, "verdict": verdict, "arms": [arm],
        "beside": [], "left_out": {}, "notes": [], "files": [], "task": None, "trend": None, "jobs": {},
        "sample": {
            "arm": "champion", "rows": rows_, "share": 1.0, "columns": 1, "reference_rows": 3_000, "labelled_rows": 0,
            "drawn": "the rows with the smallest hashes",
        },
        "accounts": {
            "answered": 2, "stored": 2, "spooled": 0, "dropped": {}, "balanced": True, "quarantined": 0,
            "oldest_pending_at": None,
        }, **more,
    }  # fmt: skip


def iso(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / MICROSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def without_sample(context: JobContext) -> None:
    """Take away the sample of the reference: a report is then made without Evidently, which takes seconds."""
    for path in (context.home / "references").glob("*.parquet"):
        path.unlink()


def weeks(context: JobContext, tiny: TinyModel, count: int, arm: Arm = Arm.CHAMPION) -> int:
    """Serve a version for some weeks before ``MONDAY``, its income rising; return the time of the last due report."""
    save_reference(context, tiny)
    without_sample(context)
    for week in range(count):
        at_us = MONDAY - week * WEEK_US - 2 * DAY_US
        send(context, tiny, rows(300, seed=week, income=0.5 * (count - week)), at_us=at_us, arm=arm)
    with context.engine.begin() as connection:
        connection.execute(update(schema.model_version).values(first_served_at=MONDAY - count * WEEK_US))
    return MONDAY


def at(context: JobContext, at_us: int, **report: Any) -> JobContext:
    """Return the context with a clock that stands still and other settings of the report."""
    return replace(context, clock=lambda: at_us, report=replace(context.report, **report))
