"""The report of one model version and window: verdicts, accounts, and Evidently's comparison of two samples.

It is kept in the store, whole, before MLflow hears of it: an MLflow that is down loses no report.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import orjson
import zstandard
from sqlalchemy import Connection, Row, delete, insert, select, update

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.judge import Judgement, document, iso, judge
from driftline.monitor.mlflow_link import exact_uri
from driftline.monitor.report.evidently_report import EvidentlyReport, ReportFailed, make_report
from driftline.monitor.segments.parts import whole_settings
from driftline.monitor.training.reference_sample import read_sample
from driftline.monitor.watch import WatchedVersion
from driftline.store import schema
from driftline.store.accounts import accounts
from driftline.store.engine import writing
from driftline.store.errors import ReferenceMissing
from driftline.store.reads import sample_rows
from driftline.store.records import Arm

if TYPE_CHECKING:
    import pandas as pd


class NothingToReport(ReportFailed):
    """The window holds no rows."""


@dataclass(frozen=True)
class DriftReport:
    """One report: ``html`` is Evidently's page, ``content`` everything else as JSON."""

    window: tuple[int, int]  # microseconds since the epoch
    html: bytes
    content: dict[str, Any]


def compose(
    context: JobContext,
    version: WatchedVersion,
    window: tuple[int, int],
    progress: Callable[[str], object] = lambda step: None,
) -> DriftReport:
    """Make the report of the version's first arm.

    Args:
        window: start (inclusive) and end, microseconds since the epoch.
        progress: told each step, for people.

    Raises:
        NothingToReport: the window holds no rows.
        ReferenceMissing: the version has no reference, or no sample of it can be found.
        ReportFailed: Evidently failed.
    """
    arm = version.arms[0]
    progress("judging the window's profiles")
    with context.engine.connect() as connection:
        judged = judge(connection, version, arm, window, whole_settings(context, version))
    if judged is None:
        raise ReferenceMissing(
            f"no training reference of {version.label}: `driftline reference build {exact_uri(version.identity)}`"
        )
    if judged.rows == 0:
        raise NothingToReport(
            f"no rows of {version.label} between {iso(window[0])} and {iso(window[1])}: choose a wider --since"
        )
    progress(f"drawing at most {context.report.sample_rows} rows a side")
    current, reference = _samples(context, judged, arm)
    progress(f"comparing {len(current)} rows with {len(reference)} in Evidently")
    compared = make_report(current, reference, version.stored.columns, context.report.timeout_seconds)
    return DriftReport(window, compared.html, _content(context, judged, current, reference, compared))


def _samples(context: JobContext, judged: Judgement, arm: Arm) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    version, limit = judged.version, context.report.sample_rows
    reference = read_sample(context.home, context.link, version.identity, judged.reference)
    if reference is None:
        raise ReferenceMissing(
            f"the sample of the reference of {version.label} is neither in {context.home} nor in MLflow: "
            f"build it again with `driftline reference build {exact_uri(version.identity)}`"
        )
    with context.engine.connect() as connection:
        current = sample_rows(connection, version.stored, *judged.window, limit, arm)
    current.columns = [c.column_name for c in version.stored.columns]
    return current, reference.sample(limit, random_state=0) if len(reference) > limit else reference


def _content(
    context: JobContext,
    judged: Judgement,
    current: "pd.DataFrame",
    reference: "pd.DataFrame",
    compared: EvidentlyReport,
) -> dict[str, Any]:
    kept = accounts(context.engine, context.home / "spool")
    return {
        **document(judged),
        "made_at": iso(context.clock()),
        "sample": {
            "rows": len(current),
            "share": len(current) / judged.rows,
            "reference_rows": len(reference),
            "drawn": "the smallest hashes of the invocation ids",
        },
        "left_out": compared.left_out,
        "accounts": {key: value for key, value in asdict(kept).items() if isinstance(value, (int, dict))},
        "evidently": compared.content,
    }


def keep(context: JobContext, version: WatchedVersion, report: DriftReport) -> None:
    """Write the report to the store, in the place of an earlier one of the same window."""
    t, (start, end) = schema.report, report.window
    same = (t.c.model_version_id == version.id, t.c.window_start == start, t.c.window_end == end)
    compressor = zstandard.ZstdCompressor()
    with writing(context.engine) as connection:
        run_id = connection.scalar(select(t.c.mlflow_run_id).where(*same))
        connection.execute(delete(t).where(*same))
        connection.execute(
            insert(t).values(
                model_version_id=version.id,
                window_start=start,
                window_end=end,
                made_at=context.clock(),
                html=compressor.compress(report.html),
                content=compressor.compress(orjson.dumps(report.content)),
                mlflow_run_id=run_id,
            )
        )


def note_run(context: JobContext, version: WatchedVersion, report: DriftReport, run_id: str) -> None:
    """Remember in which MLflow run the kept report lies."""
    t, (start, end) = schema.report, report.window
    with writing(context.engine) as connection:
        connection.execute(
            update(t)
            .where(t.c.model_version_id == version.id, t.c.window_start == start, t.c.window_end == end)
            .values(mlflow_run_id=run_id)
        )


def kept_report(connection: Connection, model_version_id: int, window: tuple[int, int]) -> Row[Any] | None:
    """Return the store's row of a report; ``unpack`` makes a report of it."""
    t = schema.report
    return connection.execute(
        select(t).where(
            t.c.model_version_id == model_version_id, t.c.window_start == window[0], t.c.window_end == window[1]
        )
    ).one_or_none()


def unpack(row: Row[Any]) -> DriftReport:
    """Return the report of a row of the store."""
    decompressor = zstandard.ZstdDecompressor()
    return DriftReport(
        (row.window_start, row.window_end),
        decompressor.decompress(row.html),
        orjson.loads(decompressor.decompress(row.content)),
    )
