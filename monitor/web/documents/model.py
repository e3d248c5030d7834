"""The document of ``/models/<name>``: versions and arms, columns with their pictures, scores, jobs, events, links."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row

from driftline.monitor.beyond_columns_document import segments_document
from driftline.monitor.performance.deciding import deciding
from driftline.monitor.performance_document import coverage_document, performance_document
from driftline.monitor.report.kept_reports import newest_reports
from driftline.monitor.status import CHECKS, VersionStatus
from driftline.monitor.web.documents import parts
from driftline.monitor.web.documents.chosen import Chosen, choose
from driftline.monitor.web.documents.columns import in_order, path_of, pictures_of
from driftline.monitor.web.links import mlflow_links, mlflow_url, model_path, report_path
from driftline.monitor.web.query import PageQuery
from driftline.monitor.web.reads import model_history
from driftline.monitor.web.reads.events import ModelEvent, in_sync, newest_events
from driftline.monitor.web.reads.recent_requests import RecentRequests, recent_requests
from driftline.monitor.web.reads.score_history import Judgements, judgements, ratio
from driftline.monitor.web.sources import Sources
from driftline.store.profile_levels import DAY_US
from driftline.store.records import MICROSECONDS, iso

PER_PAGE = 25
_SHOWN_EVENTS, _SHOWN_REPORTS = 20, 10


def model_document(sources: Sources, model: str, query: PageQuery) -> dict[str, Any]:
    """Return the state of one model, in detail that of one version and arm.

    Raises:
        NotWatched: there is no such model, version or arm under watch.
    """
    context = sources.context
    now = context.clock()
    since = now - query.days * DAY_US
    with context.engine.connect() as connection:
        chosen = choose(connection, sources, model, query)
        version, identity = chosen.status.version, chosen.status.version.identity
        recent, events = recent_requests(connection, now), newest_events(connection)
        past = judgements(connection, version.id, chosen.arm, since, len(chosen.rows))
        columns, paging = _columns(sources, connection, chosen, past, query)
        reports = newest_reports(connection, [v.version.id for v in chosen.versions], _SHOWN_REPORTS)
        opened = model_history.episodes(connection, version.id, chosen.arm, since)
        checks = [check for check in CHECKS if check in sources.schedule.job_names]
        runs = {check: model_history.job_runs(connection, check, version.id) for check in checks}
        hours = _hours(connection, chosen, now)
    sync = in_sync(events, model)
    clocks = chosen.status.clocks
    jobs = parts.job_entries(sources, clocks, CHECKS, version.first_served_at_us)
    versions = {v.version.id: v.version.identity.version for v in chosen.versions}
    return {
        **parts.head(sources),
        "model": model,
        "path": model_path(model),
        "version": identity.version,
        "arm": chosen.arm.name.lower(),
        **parts.served_entry(version, sync),
        "verdict": "no reference" if chosen.status.reference is None else parts.rows_verdict(chosen.rows),
        "since": parts.moment(min((r.since for r in chosen.rows if r.since), default=None)),
        "drifted_columns": sum(r.verdict == "drift" for r in chosen.rows),
        **parts.beyond_columns_entry(chosen),
        "window": parts.window_entry(min(chosen.rows, key=lambda r: r.window_start)) if chosen.rows else None,
        "reference": _reference(chosen.status),
        "versions": [
            _version(chosen, status, arm, recent) for status in chosen.versions for arm in status.version.arms
        ],
        "columns": columns,
        "paging": asdict(paging),
        "quality": parts.quality_entry(chosen.quality),
        "multivariate": parts.multivariate_entry(chosen.multivariate),
        "segments": segments_document(chosen.segments),
        "performance": {
            "decided": performance_document(deciding(chosen.performance)),
            "windows": performance_document(chosen.performance),
            "estimated": performance_document(deciding(chosen.estimated_performance)),
            "labels": coverage_document(chosen.coverage),
            "segments": [parts.segment_performance_entry(row) for row in chosen.segment_performance],
        },
        "days": query.days,
        "scores": {"judgements": past.made, "shown": len(past.rows), "points": [_point(rows) for rows in past.rows]},
        "episodes": [parts.episode_entry(row) for row in opened],
        "rows_by_hour": hours,
        "jobs": {check: job | {"runs": [_run(row) for row in runs[check]]} for check, job in jobs.items()},
        "events": [_event(e) for e in events if e.model == model][:_SHOWN_EVENTS],
        "reports": [
            {
                "path": f"/reports/{r.id}",
                "version": versions[r.model_version_id],
                "window": {"start": iso(r.window_start_us), "end": iso(r.window_end_us)},
                "made_at": iso(r.made_at_us),
                "verdict": r.verdict,
                "scheduled": r.scheduled,
                "mlflow_run_id": r.mlflow_run_id,
            }
            for r in reports
        ],
        "links": {
            **mlflow_links(context, identity),
            "mlflow_report": report_path(model) if reports and mlflow_url(context) else None,
            "metrics": "/metrics",
        },
        "accounts": parts.accounts_entry(sources),
    }


def _columns(
    sources: Sources, connection: Connection, chosen: Chosen, past: Judgements, query: PageQuery
) -> tuple[list[dict[str, Any]], Any]:
    entries = [parts.column_entry(row) for row in chosen.rows]
    shown, paging = query.cut(in_order(entries, query.sort), lambda entry: str(entry["column"]))
    places = {(c["side"], c["column"]) for c in shown}
    pictures = pictures_of(sources, connection, [r for r in chosen.rows if (r.side, r.column_name) in places])
    lines: dict[tuple[str, str], list[dict[str, Any]]] = {place: [] for place in places}
    for rows in past.rows:
        for row in rows:
            if (line := lines.get((row.side, row.column_name))) is not None:
                line.append({"at": iso(row.computed_at), "ratio": parts.finite(ratio(row))})
    for entry in shown:
        place = entry["side"], entry["column"]
        entry["path"] = path_of(chosen, entry)
        entry["picture"] = pictures.get(place)
        entry["scores"] = lines[place]
    return shown, paging


def _point(rows: Sequence[Row[Any]]) -> dict[str, Any]:
    judged = [r for r in rows if r.score is not None]
    highest = max(judged, key=lambda r: ratio(r) or 0.0, default=None)
    return {
        "at": iso(rows[0].computed_at),
        "highest": parts.finite(ratio(highest)) if highest else None,
        "column": highest.column_name if highest else None,
        "drifted": sum(r.verdict == "drift" for r in rows),
        "judged": len(judged),
    }


def _version(chosen: Chosen, status: VersionStatus, arm: Any, recent: RecentRequests) -> dict[str, Any]:
    identity, name = status.version.identity, arm.name.lower()
    usual = status is chosen.versions[0] and arm == status.version.arms[0]
    first = arm == status.version.arms[0]
    return {
        "version": identity.version,
        "arm": name,
        "alias": identity.alias,
        "shown": status is chosen.status and arm == chosen.arm,
        "path": model_path(identity.name) if usual else model_path(identity.name, version=identity.version, arm=name),
        "flavor": identity.flavor,
        "trained_at": parts.moment(identity.created_at_us),
        "first_served_at": parts.moment(status.version.first_served_at_us),
        "newest_rows_at": parts.moment(status.version.last_rows_at_us),
        "verdict": parts.verdict_of(status) if first else None,
        "drifted_columns": sum(r.verdict == "drift" for r in status.drift) if first else None,
        "traffic": parts.traffic_entry(recent.of([(status.version.id, arm)])),
    }


def _reference(status: VersionStatus) -> dict[str, Any] | None:
    reference = status.reference
    if reference is None:
        return None
    return {"rows": reference.row_count, "source": reference.source, "made_at": iso(reference.made_at_us)}


def _hours(connection: Connection, chosen: Chosen, now_us: int) -> list[dict[str, Any]]:
    if not chosen.rows:
        return []
    hours = model_history.rows_by_hour(
        connection, chosen.status.version.id, chosen.rows[0].reference_id, chosen.arm, now_us
    )
    return [{"at": iso(start), "rows": rows} for start, rows in hours]


def _run(row: Row[Any]) -> dict[str, Any]:
    seconds = None if row.finished_at is None else (row.finished_at - row.started_at) / MICROSECONDS
    return {
        "started_at": iso(row.started_at),
        "duration_seconds": seconds,
        "result": row.result,
        "message": row.message,
        "mlflow_run_id": row.mlflow_run_id,
    }


def _event(event: ModelEvent) -> dict[str, Any]:
    detail = {key: event.detail.get(key) for key in ("from", "to", "seconds", "reason", "host", "uri")}
    return {"at": iso(event.at_us), "kind": event.kind, "version": event.version, "arm": event.arm, "detail": detail}
