"""``driftline performance``: how well a model does on the rows whose labels came, and is estimated to do on all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import orjson

from driftline.cli.aligned import aligned
from driftline.cli.base_options import base_options
from driftline.cli.performance_segments import NO_LABELS, tell_segments
from driftline.cli.since import Since
from driftline.store.settings import BaseSettings

if TYPE_CHECKING:
    from driftline.monitor.jobs.job import JobContext
    from driftline.monitor.performance.coverage import LabelCoverage
    from driftline.monitor.performance.realised import Realised
    from driftline.monitor.performance.verdict import JudgedMetric
    from driftline.monitor.performance_now import PerformanceNow
    from driftline.monitor.watch import WatchedVersion


@click.command()
@click.argument("model")
@click.option(
    "--since",
    type=Since(before_now=True),
    default="30d",
    show_default=True,
    help="How far back requests count: 24h, 7d, or a time such as 2026-01-31T12:00:00Z; whole minutes.",
)
@click.option("--segment", metavar="COLUMN", help="By the segments of this column, one of [segments] columns.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@base_options
def performance(base: BaseSettings, model: str, since: int, segment: str | None, as_json: bool) -> None:
    """Show how well MODEL does on the rows whose labels came, by arm, against its own performance on its reference.

    Of a binary classifier with probabilities also what is estimated of all its rows: that needs no labels, and cannot
    see that the truth behind them changed.

    MODEL is a name, name/version or models:/name/version; a name alone means the version that had rows last.
    """
    from driftline.cli.job_context import open_context
    from driftline.monitor.performance.realised import count_labels
    from driftline.monitor.performance_now import performance_now
    from driftline.monitor.watch import find_version
    from driftline.store.labels.changes import HOUR_US
    from driftline.store.records import iso

    context = open_context(base, create=False)
    with context.engine.connect() as connection:
        version = find_version(connection, model, since)
    until = context.clock() // HOUR_US * HOUR_US + HOUR_US
    if segment is not None:
        counted = count_labels(context.engine, version, context.performance)
        whole_hours = since // HOUR_US * HOUR_US, until
        tell_segments(context, version, counted, segment, whole_hours, as_json=as_json)
        return
    now = performance_now(context, version, (since, until))
    if as_json:
        click.echo(orjson.dumps(_document(version, now), option=orjson.OPT_INDENT_2).decode())
        return
    if now.counted is None and not now.estimated:
        click.echo(f"{version.label}: {NO_LABELS}")
        return
    click.echo(f"{version.label}: requests from {iso(now.window[0])} to {iso(min(now.window[1], context.clock()))}")
    if now.unclear:
        click.echo(f"not judged: {now.unclear}")
    source = _reference_source(context, version)
    if source:
        click.echo(f"against the model's own performance on {source}")
    click.echo("\n\n".join(_table(arm, now.realised.get(arm), now.estimated.get(arm, ())) for arm in now.arms))


def _reference_source(context: "JobContext", version: "WatchedVersion") -> str:
    from driftline.monitor.performance.reference_performance import performance_of
    from driftline.store.references import newest_reference

    with context.engine.connect() as connection:
        in_force = newest_reference(connection, version.id)
    known = None if in_force is None else performance_of(in_force[1])
    return "" if known is None else known.source


def _document(version: "WatchedVersion", now: "PerformanceNow") -> dict[str, object]:
    from driftline.monitor.performance_document import coverage_document, performance_document
    from driftline.store.records import Arm, iso

    counted = now.counted
    reference = None if counted is None else counted.reference
    return {
        "model": version.identity.name,
        "version": version.identity.version,
        "window": {"start": iso(now.window[0]), "end": iso(now.window[1])},
        "task": None if counted is None or counted.task is None else counted.task.to_json(),
        "unclear": now.unclear or None,
        "reference": None if reference is None else {"source": reference.source, "rows": reference.rows},
        "arms": [
            {
                "arm": Arm(arm).name.lower(),
                "metrics": performance_document(now.metrics(arm)),
                "labels": coverage_document(now.coverage(arm)),
            }
            for arm in now.arms
        ],
    }


def _table(arm: int, found: "Realised | None", estimated: "Sequence[JudgedMetric]") -> str:
    from driftline.monitor.performance.metric import METRICS
    from driftline.monitor.performance.unusable import said_of_unusable
    from driftline.store.records import Arm

    realised = {each.metric: each for each in (found.metrics if found else ())}
    guessed = {each.metric: each for each in estimated}
    head = ["metric", "value", "95 % interval"]
    head += ["estimated", "95 % interval"] if guessed else []
    rows = [[*head, "reference", "threshold", "labelled/rows", "verdict"]]
    for name in (name for name in METRICS if name in realised or name in guessed):
        each, guess = realised.get(name), guessed.get(name)
        if each is not None and each.found is None and guess is not None:  # the labels of this window are to come
            each = None
        told = each or guess
        assert told is not None  # it is in one of the two
        cells = [name, *_value(each), *(_value(guess) if guessed else ())]
        limits = ("-" if x is None else f"{x:.4g}" for x in (told.reference, told.threshold))
        rows.append([*cells, *limits, f"{told.labelled_rows}/{told.window_rows}", _verdict(each, guess)])
    lines = aligned(rows, left=1) if len(rows) > 1 else []
    said = _coverage(found.coverage) if found else NO_LABELS
    unusable = said_of_unusable(found.coverage.unusable) if found else ""
    return "\n".join([f"{Arm(arm).name.lower()}: {said}", *([unusable] if unusable else []), *lines])


def _value(judged: "JudgedMetric | None") -> tuple[str, str]:
    if judged is None or judged.found is None:
        return "-", "-"
    return f"{judged.found.value:.4g}", f"{judged.found.low:.4g} .. {judged.found.high:.4g}"


def _verdict(realised: "JudgedMetric | None", estimated: "JudgedMetric | None") -> str:
    """Return the verdict on the labels; that of the estimate where there is none, and where it is a breach."""
    said = []
    if realised is not None:
        said.append(f"{realised.verdict}: {realised.reason}" if realised.reason else realised.verdict)
    if estimated is not None and (realised is None or estimated.breached):
        reason = f": {estimated.reason}" if estimated.reason else ""
        said.append(f"estimated {estimated.verdict}{reason}")
    return "; ".join(said)


def _coverage(found: "LabelCoverage") -> str:
    from driftline.monitor.drift.phrases import percent
    from driftline.monitor.drift.windows import span_name

    due = f"labels of {found.labelled_rows} of {found.window_rows} predictions that are due"
    none_due = "no prediction is old enough yet to miss its label; labels that came early count already"
    share = none_due if found.share is None else f"{due} ({percent(found.share)})"
    median, p95 = (None if seconds is None else span_name(round(seconds)) for seconds in found.arrival_delay)
    return share if median is None else f"{share}; they came {median} after the request, 95 % within {p95}"
