"""The status page's content as JSON: what the page shows and ``/api/status`` answers."""

import logging
from dataclasses import asdict
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from driftline.monitor.drift.windows import span_name
from driftline.monitor.jobs import JobContext
from driftline.monitor.judge import iso
from driftline.monitor.results import JobClock
from driftline.monitor.schedule import Schedule
from driftline.monitor.status import StatusReader, VersionStatus
from driftline.store.accounts import accounts
from driftline.store.errors import DriftlineError

log = logging.getLogger(__name__)


def status_document(context: JobContext, status: StatusReader, schedule: Schedule) -> dict[str, Any]:
    """Return the state of everything the monitor watches, as plain values."""
    snapshot = status.snapshot()
    return {
        "at": iso(context.clock()),
        "store_up": status.store_up,
        "mlflow_up": schedule.mlflow_up,
        "scheduler_alive": schedule.is_alive,
        "windows": [span_name(span) for span in context.drift.spans()],
        "models": [_version(each) for versions in snapshot.by_name.values() for each in versions],
        "accounts": _accounts(context),
    }


def _version(status: VersionStatus) -> dict[str, Any]:
    version, newest = status.version, status.widest
    return {
        "model": version.identity.name,
        "version": version.identity.version,
        "arm": version.arms[0].name.lower(),
        "trained_at": _moment(version.identity.created_at_us),
        "first_served_at": iso(version.first_served_at_us),
        "newest_rows_at": _moment(version.last_rows_at_us),
        "reference": status.reference
        and {
            "rows": status.reference.row_count,
            "source": status.reference.source,
            "made_at": iso(status.reference.made_at_us),
        },
        "verdict": _verdict(status),
        "window": newest
        and {"start": iso(newest.window_start), "end": iso(newest.window_end), "rows": newest.window_rows},
        "columns": [
            {
                "column": row.column_name,
                "side": row.side,
                "statistic": row.statistic,
                "score": row.score,
                "threshold": row.threshold,
                "effect": row.effect,
                "since": _moment(row.since),
                "window_start": iso(row.window_start),
                "rows": row.window_rows,
                "verdict": row.verdict,
                "reason": row.reason,
                "missing_share": row.missing_share,
                "reference_missing_share": row.reference_missing_share,
            }
            for row in status.drift
        ],
        "jobs": {check: _clock(clock) for check, clock in status.clocks.items()},
    }


def _verdict(status: VersionStatus) -> str:
    if status.reference is None:
        return "no reference"
    if not status.drift:
        return "not judged yet"
    verdicts = {row.verdict for row in status.drift}
    return next((v for v in ("drift", "no drift") if v in verdicts), "insufficient data")


def _clock(clock: JobClock) -> dict[str, Any]:
    return {
        "result": clock.result,
        "message": clock.message,
        "last_attempt": iso(clock.last_attempt_us),
        "last_success": _moment(clock.last_success_us),
        "duration_seconds": clock.last_duration_seconds,
        "consecutive_failures": clock.failures,
    }


def _accounts(context: JobContext) -> dict[str, Any] | None:
    """Return the capture accounts, None where they cannot be had."""
    try:
        kept = accounts(context.engine, context.home / "spool")
    except (SQLAlchemyError, DriftlineError, OSError) as error:
        log.warning("no capture accounts: %s", type(error).__name__)
        return None
    return asdict(kept) | {"balanced": kept.balanced}


def _moment(at_us: int | None) -> str | None:
    return None if at_us is None else iso(at_us)
