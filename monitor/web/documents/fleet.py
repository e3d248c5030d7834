"""The document of ``/``: every watched model, the jobs' health and the capture accounts."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from driftline.monitor.drift.windows import span_name
from driftline.monitor.report.kept_reports import KeptReport, newest_reports
from driftline.monitor.status import CHECKS, STORE_CHECKS, Snapshot, VersionStatus
from driftline.monitor.web.documents import parts
from driftline.monitor.web.documents.columns import in_order
from driftline.monitor.web.links import model_path
from driftline.monitor.web.query import PageQuery
from driftline.monitor.web.reads.events import ModelEvent, in_sync, newest_events
from driftline.monitor.web.reads.recent_requests import RecentRequests, recent_requests
from driftline.monitor.web.sources import Sources
from driftline.store.records import MICROSECONDS

SORTS = ("severity", "name", "traffic", "age")
PER_PAGE = 50
_SEVERITY = {"drift": 0, "no reference": 1, "insufficient data": 2, "not judged yet": 3, "no drift": 4}


def fleet_document(sources: Sources, query: PageQuery) -> dict[str, Any]:
    """Return the state of everything the monitor watches."""
    snapshot, context = sources.status.snapshot(), sources.context
    recent, events, reports = _read(sources, snapshot)
    models = [_model(sources, versions, recent, events, reports) for versions in snapshot.by_name.values()]
    shown, paging = query.cut(_sorted(models, query.sort), lambda model: str(model["model"]))
    return {
        **parts.head(sources),
        "windows": [span_name(span) for span in context.drift.spans()],
        "verdicts": {v: sum(m["verdict"] == v for m in models) for v in _SEVERITY},
        "models": shown,
        "paging": asdict(paging),
        "jobs": _jobs(sources, snapshot, models),
        "accounts": parts.accounts_entry(sources),
    }


def _read(
    sources: Sources, snapshot: Snapshot
) -> tuple[RecentRequests | None, Sequence[ModelEvent], Sequence[KeptReport]]:
    """Read what is newest in the store; nothing where it does not answer, as ``store_up`` then says."""
    try:
        with sources.context.engine.connect() as connection:
            return (
                recent_requests(connection, sources.context.clock()),
                newest_events(connection),
                newest_reports(connection, [v.version.id for v in snapshot.versions]),
            )
    except SQLAlchemyError:
        return None, [], []


def _model(
    sources: Sources,
    versions: Sequence[VersionStatus],
    recent: RecentRequests | None,
    events: Sequence[ModelEvent],
    reports: Sequence[KeptReport],
) -> dict[str, Any]:
    status = versions[0]
    version, identity = status.version, status.version.identity
    columns = [parts.column_entry(row) for row in status.drift]
    drifted = [c for c in columns if c["verdict"] == "drift"]
    worst = next(iter(in_order(drifted, "severity")), None)
    sync = in_sync(events, identity.name)
    newest = next((r for r in reports if r.model_version_id in {v.version.id for v in versions}), None)
    jobs = parts.job_entries(sources, status.clocks, CHECKS, version.first_served_at_us)
    return {
        "model": identity.name,
        "path": model_path(identity.name),
        "version": identity.version,
        "versions": len(versions),
        "arm": version.arms[0].name.lower(),
        **parts.served_entry(version, sync),
        "verdict": parts.verdict_of(status),
        "since": min((c["since"] for c in drifted if c["since"]), default=None),
        "columns": len(columns),
        "drifted_columns": len(drifted),
        "worst_column": worst and {"column": worst["column"], "side": worst["side"], "ratio": worst["ratio"]},
        **parts.beyond_columns_entry(status),
        "judged_at": columns[0]["window"]["end"] if columns else None,
        "window_rows": status.widest.window_rows if status.widest else None,
        "traffic": recent
        and parts.traffic_entry(recent.of([(v.version.id, a) for v in versions for a in v.version.arms])),
        "report": newest and {"path": f"/reports/{newest.id}", "made_at": parts.moment(newest.made_at_us)},
        "jobs": jobs,
        "failing_jobs": [check for check, job in jobs.items() if job["result"] == "error"],
        "overdue_jobs": [check for check, job in jobs.items() if job["overdue"]],
    }


def _sorted(models: list[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    if sort == "traffic":
        return sorted(models, key=lambda m: -m["traffic"]["rows_per_second"] if m["traffic"] else 0.0)
    if sort == "age":
        return sorted(models, key=lambda m: m["trained_at"] or m["first_served_at"])
    if sort == "severity":
        return sorted(models, key=lambda m: (_SEVERITY[m["verdict"]], -m["drifted_columns"]))
    return models


def _jobs(sources: Sources, snapshot: Snapshot, models: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return per job how it stands: over all models, or for the whole store."""
    jobs = {
        check: {
            "of": "models",
            "interval_seconds": sources.schedule.interval_seconds(check),
            "last_success": max((m["jobs"][check]["last_success"] or "" for m in models), default="") or None,
            "failing": [m["model"] for m in models if check in m["failing_jobs"]],
            "overdue": [m["model"] for m in models if check in m["overdue_jobs"]],
            "message": next((m["jobs"][check]["message"] for m in models if check in m["failing_jobs"]), None),
        }
        for check in CHECKS
        if check in sources.schedule.job_names
    }
    since = round(sources.schedule.made_seconds * MICROSECONDS)
    for check, job in parts.job_entries(sources, snapshot.clocks, STORE_CHECKS, since).items():
        failing = job["result"] == "error"
        jobs[check] = {
            "of": "store",
            "interval_seconds": job["interval_seconds"],
            "last_success": job["last_success"],
            "failing": ["store"] if failing else [],
            "overdue": ["store"] if job["overdue"] else [],
            "message": job["message"] if failing else None,
        }
    return jobs
