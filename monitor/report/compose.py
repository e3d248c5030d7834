"""Make the report of one model version and window. It always appears: what cannot be had is named in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from driftline.monitor.accounts_document import accounts_document
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.mlflow_link import exact_uri
from driftline.monitor.performance.reference_performance import performance_of
from driftline.monitor.report.arm_findings import DRAWN as DRAWN_COLUMNS
from driftline.monitor.report.arm_findings import ArmFindings, arms_in, find_arm
from driftline.monitor.report.drift_report import FORMAT, DriftReport, ReportFailed
from driftline.monitor.report.evidently_report import EvidentlyReport, make_report
from driftline.monitor.report.job_health import job_health
from driftline.monitor.report.labelled_rows import LabelledRows, labelled_rows
from driftline.monitor.report.samples import DRAWN, WindowSample, cut, draw_window
from driftline.monitor.report.trend import trend_since
from driftline.monitor.report.window_checks import check_window, judge_performance
from driftline.monitor.training.reference_sample import read_sample
from driftline.monitor.watch import WatchedVersion, watched_versions
from driftline.store.errors import MlflowUnreachable
from driftline.store.records import iso

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Samples:
    """What Evidently was given."""

    window: WindowSample | None
    reference_rows: int
    compared: EvidentlyReport
    task: str | None


def compose(
    context: JobContext,
    version: WatchedVersion,
    window: tuple[int, int],
    *,
    scheduled: bool = False,
    progress: Progress = lambda step: None,
) -> DriftReport:
    """Make the report of all arms under which the version had rows in the window.

    Args:
        window: start (inclusive) and end, microseconds since the epoch.
        scheduled: whether the schedule asks for this window.
        progress: told each step, for people.
    """
    progress("judging the window's profiles")
    with context.engine.connect() as connection:
        arms = [find_arm(context, connection, version, arm, window) for arm in arms_in(connection, version, window)]
        beside = _beside(context, connection, version, window)
    notes = _notes(version, arms)
    for found in arms:
        checked, failures = check_window(context, found, window, progress)
        found.document.update(checked)
        notes += failures
    notes += judge_performance(context, version, arms, window, progress)
    samples = _evidently(context, version, arms[0], window, progress)
    progress("comparing with the reports before")
    first = arms[0]
    content: dict[str, Any] = {
        "format": FORMAT,
        "model": version.identity.name,
        "version": version.identity.version,
        "alias": version.identity.alias,
        "made_at": iso(context.clock()),
        "scheduled": scheduled,
        "window": {"start": iso(window[0]), "end": iso(window[1]), "rows": sum(found.rows for found in arms)},
        "verdict": first.document["verdict"],
        "arms": [found.document for found in arms],
        "beside": beside,
        "sample": _sample(samples, first),
        "task": samples.task,
        "left_out": samples.compared.left_out | (samples.window.left_out if samples.window else {}),
        "notes": [*notes, *samples.compared.notes],
        "files": sorted(samples.compared.files),
    }
    drawn = [(d.side, d.name) for d in first.worst[:DRAWN_COLUMNS]]
    with context.engine.connect() as connection:
        content["trend"] = trend_since(connection, version, window[1], content, drawn)
        content["jobs"] = job_health(connection, version.id, window)
    content["accounts"] = accounts_document(context.engine, context.home)
    return DriftReport(window, content, samples.compared.files, scheduled)


def _beside(
    context: JobContext, connection: Connection, version: WatchedVersion, window: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return the verdicts of the model's other versions that had rows in the window."""
    found = []
    for other in watched_versions(connection, window[0]):
        if other.identity.name != version.identity.name or other.id == version.id:
            continue
        for arm in arms_in(connection, other, window):
            document = find_arm(context, connection, other, arm, window).document
            if document["rows"]:
                drifted = sum(c["verdict"] == "drift" for c in document["columns"])
                entry = {key: document[key] for key in ("arm", "rows", "verdict")}
                found.append({"version": other.identity.version, **entry, "drifted": drifted})
    return found


def _notes(version: WatchedVersion, arms: Sequence[ArmFindings]) -> list[str]:
    """Return what the report lacks as a whole, and what to do about it."""
    notes = []
    if arms[0].judged is None:
        notes.append(f"verdicts: no training reference: `driftline reference build {exact_uri(version.identity)}`")
    if not any(found.rows for found in arms):
        notes.append("everything about the window: it holds no rows")
    return notes


def _evidently(
    context: JobContext, version: WatchedVersion, found: ArmFindings, window: tuple[int, int], progress: Progress
) -> Samples:
    """Draw the samples of one arm and have Evidently compare them; what fails is told."""
    if not found.rows or found.judged is None:
        return Samples(None, 0, EvidentlyReport(), None)
    progress(f"drawing at most {context.report.sample_rows:,} rows a side")
    with context.engine.connect() as connection:
        drawn = draw_window(connection, version, found, window, context.report)
    try:
        reference = read_sample(
            context.home, context.link, version.identity, found.judged.reference, [c.column_name for c in drawn.columns]
        )
    except MlflowUnreachable as error:
        return _without(drawn, f"the reference's sample is in MLflow: {error}")
    if reference is None:
        return _without(
            drawn,
            f"the sample of the reference is neither in {context.home} nor in MLflow: "
            f"build it again with `driftline reference build {exact_uri(version.identity)}`",
        )
    reference = cut(reference, max(len(drawn.rows), 1000))
    outputs = [c for c in drawn.columns if c.side == "output"]
    held = performance_of(found.judged.reference)
    labelled = labelled_rows(version.identity.name, outputs, drawn.rows, drawn.labels, context.performance, held)
    rows = labelled if isinstance(labelled, LabelledRows) else None
    notes = [f"quality of the predictions: {labelled}"] if isinstance(labelled, str) else []
    progress(f"comparing {len(drawn.rows):,} rows with {len(reference):,} in Evidently")
    try:
        made = make_report(drawn.rows, reference, drawn.columns, context.report.timeout_seconds, rows)
    except ReportFailed as error:
        made = EvidentlyReport(notes=[f"Evidently: {error}"])
    compared = EvidentlyReport(made.files, made.left_out, [*made.notes, *notes])
    return Samples(drawn, len(reference), compared, rows.quality if rows else None)


def _without(drawn: WindowSample, why: str) -> Samples:
    return Samples(drawn, 0, EvidentlyReport(notes=[f"Evidently: {why}"]), None)


def _sample(samples: Samples, found: ArmFindings) -> dict[str, Any]:
    window = samples.window
    rows = len(window.rows) if window else 0
    return {
        "arm": found.document["arm"],
        "rows": rows,
        "share": rows / found.rows if found.rows else None,
        "columns": len(window.columns) if window else 0,
        "reference_rows": samples.reference_rows,
        "labelled_rows": sum(label is not None for label in window.labels) if window else 0,
        "drawn": DRAWN,
    }
