"""``driftline performance``: how well a model does on the rows whose labels came."""

from typing import TYPE_CHECKING

import click
import orjson

from driftline.cli.base_options import base_options
from driftline.cli.performance_segments import tell_segments
from driftline.cli.since import Since
from driftline.store.settings import BaseSettings

if TYPE_CHECKING:
    from driftline.monitor.jobs.job import JobContext
    from driftline.monitor.performance.coverage import LabelCoverage
    from driftline.monitor.performance.realised import Counted, Realised
    from driftline.monitor.watch import WatchedVersion


@click.command()
@click.argument("model")
@click.option(
    "--since",
    type=Since(),
    default="30d",
    show_default=True,
    help="How far back requests count: 24h, 7d, or a time such as 2026-01-31T12:00:00Z; whole hours.",
)
@click.option("--segment", metavar="COLUMN", help="By the segments of this column, one of [segments] columns.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@base_options
def performance(base: BaseSettings, model: str, since: int, segment: str | None, as_json: bool) -> None:
    """Show how well MODEL does on the rows whose labels came, by arm, against its own performance on its reference.

    MODEL is a name, name/version or models:/name/version; a name alone means the version that had rows last.
    """
    from driftline.cli.job_context import open_context
    from driftline.monitor.judge import iso
    from driftline.monitor.performance.realised import count_labels
    from driftline.monitor.watch import find_version

    context = open_context(base, create=False)
    with context.engine.connect() as connection:
        version = find_version(connection, model, since)
    counted = count_labels(context.engine, version, context.performance)
    window = _whole_hours(since, context.clock())
    if segment is not None and counted is not None and counted.task is not None:
        tell_segments(context, version, counted.task, segment, window, as_json=as_json)
        return
    found = [] if counted is None else _judge(context, version, counted, window)
    if as_json:
        click.echo(orjson.dumps(_document(version, counted, window, found), option=orjson.OPT_INDENT_2).decode())
        return
    if counted is None:
        click.echo(f"{version.label}: no labels yet: post some to /labels, or `driftline labels load FILE`")
        return
    click.echo(f"{version.label}: requests from {iso(window[0])} to {iso(min(window[1], context.clock()))}")
    if counted.unclear:
        click.echo(f"not judged: {counted.unclear}")
    elif counted.reference is not None:
        click.echo(f"against the model's own performance on {counted.reference.source}")
    click.echo("\n\n".join(_table(each) for each in found))


def _whole_hours(since_us: int, now_us: int) -> tuple[int, int]:
    from driftline.store.labels.changes import HOUR_US

    return since_us // HOUR_US * HOUR_US, now_us // HOUR_US * HOUR_US + HOUR_US


def _judge(
    context: "JobContext", version: "WatchedVersion", counted: "Counted", window: tuple[int, int]
) -> "list[Realised]":
    from driftline.monitor.performance.realised import judge_arm
    from driftline.monitor.rows.performance_rows import labelled_arms
    from driftline.monitor.segments.performance_check import whole_performance

    settings, labels = whole_performance(context, version), context.labels
    with context.engine.connect() as connection:
        arms = labelled_arms(connection, version.id)
        now = context.clock()
        return [judge_arm(connection, version, arm, counted, [window], settings, labels, now) for arm in arms]


def _document(
    version: "WatchedVersion", counted: "Counted | None", window: tuple[int, int], found: "list[Realised]"
) -> dict[str, object]:
    from driftline.monitor.judge import iso
    from driftline.monitor.performance_document import coverage_document, performance_document
    from driftline.store.records import Arm

    reference = None if counted is None else counted.reference
    return {
        "model": version.identity.name,
        "version": version.identity.version,
        "window": {"start": iso(window[0]), "end": iso(window[1])},
        "task": None if counted is None or counted.task is None else counted.task.to_json(),
        "unclear": None if counted is None else counted.unclear or None,
        "reference": None if reference is None else {"source": reference.source, "rows": reference.rows},
        "arms": [
            {
                "arm": Arm(each.arm).name.lower(),
                "metrics": performance_document(each.metrics),
                "labels": coverage_document(each.coverage),
            }
            for each in found
        ],
    }


def _table(found: "Realised") -> str:
    from driftline.store.records import Arm

    rows = [("metric", "value", "95 % interval", "reference", "threshold", "labelled/rows", "verdict")]
    for each in found.metrics:
        value, reference, threshold = (
            "-" if x is None else f"{x:.4g}" for x in (each.found and each.found.value, each.reference, each.threshold)
        )
        interval = f"{each.found.low:.4g} .. {each.found.high:.4g}" if each.found else "-"
        verdict = f"{each.verdict}: {each.reason}" if each.reason else each.verdict
        counts = f"{each.labelled_rows}/{each.window_rows}"
        rows.append((each.metric, value, interval, reference, threshold, counts, verdict))
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    lines = []
    for row in rows if found.metrics else []:
        cells = [
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join([f"{Arm(found.arm).name.lower()}: {_coverage(found.coverage)}", *lines])


def _coverage(found: "LabelCoverage") -> str:
    from driftline.monitor.drift.phrases import percent
    from driftline.monitor.drift.windows import span_name

    due = f"labels of {found.labelled_rows} of {found.window_rows} predictions that are due"
    share = "no prediction's label is due yet" if found.share is None else f"{due} ({percent(found.share)})"
    median, p95 = (None if seconds is None else span_name(round(seconds)) for seconds in found.arrival_delay)
    return share if median is None else f"{share}; they came {median} after the request, 95 % within {p95}"
