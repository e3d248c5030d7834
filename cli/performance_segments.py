"""``driftline performance MODEL --segment COLUMN``: each segment against the reference's rows of the same segment."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import orjson

from driftline.cli.aligned import aligned

if TYPE_CHECKING:
    from driftline.monitor.jobs.job import JobContext
    from driftline.monitor.performance.realised import Counted
    from driftline.monitor.segments.performance import SegmentPerformance
    from driftline.monitor.watch import WatchedVersion

NO_LABELS = "no labels yet: post some to /labels, or `driftline labels load FILE`"
_HEADS = ("segment", "worst metric", "value", "95 % interval", "reference", "threshold", "labelled", "verdict")
_LEFT = 2  # columns that are aligned to the left


def tell_segments(
    context: "JobContext",
    version: "WatchedVersion",
    counted: "Counted | None",
    column: str,
    window: tuple[int, int],
    *,
    as_json: bool,
) -> None:
    """Print the performance by a column's segments, in a window of whole hours, arm by arm.

    Raises:
        ConfigurationError: the column is not among ``[segments] columns``, whether or not there are labels.
    """
    from driftline.monitor.rows.performance_rows import labelled_arms
    from driftline.monitor.segments.now import wanted_with
    from driftline.monitor.segments.performance_check import segments_performance_now
    from driftline.store.records import Arm, iso

    wanted_with(context, version, column)
    with context.engine.connect() as connection:
        arms = labelled_arms(connection, version.id)
    unclear = counted.unclear if counted else ""
    found = []
    if counted is not None and counted.task is not None:
        found = segments_performance_now(context, version, counted.task, column, window, arms)
    if as_json:
        document = {
            "model": version.identity.name,
            "version": version.identity.version,
            "segment_column": column,
            "window": {"start": iso(window[0]), "end": iso(window[1])},
            "unclear": unclear or None,
            "arms": [{"arm": Arm(arm).name.lower(), "segments": list(map(_entry, each))} for arm, each in found],
        }
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return
    if not found:
        click.echo(f"{version.label} by {column}: {f'not judged: {unclear}' if unclear else NO_LABELS}")
        return
    until = iso(min(window[1], context.clock()))
    click.echo(f"{version.label} by {column}: requests from {iso(window[0])} to {until}")
    for arm, each in found:
        name = Arm(arm).name.lower()
        click.echo("\n".join([f"{name}:", *_lines(each)]) if each else f"{name}: no labelled rows")


def _entry(found: "SegmentPerformance") -> dict[str, Any]:
    from driftline.monitor.performance_document import performance_document

    return {
        "segment": found.segment,
        "verdict": found.worst.verdict,
        "reason": found.worst.reason,
        "worst": found.worst.metric,
        "labelled_rows": found.worst.labelled_rows,
        "reference_rows": found.reference_rows,
        "metrics": performance_document(found.metrics),
    }


def _lines(found: "Sequence[SegmentPerformance]") -> list[str]:
    rows, below = [_HEADS], [""]
    for each in found:
        worst = each.worst
        numbers = (worst.found and worst.found.value, worst.reference, worst.threshold)
        value, reference, threshold = ("-" if x is None else f"{x:.4g}" for x in numbers)
        interval = f"{worst.found.low:.4g} .. {worst.found.high:.4g}" if worst.found else "-"
        verdict = f"{worst.verdict}: {worst.reason}" if worst.reason else worst.verdict
        counts = str(worst.labelled_rows)
        rows.append((each.segment, worst.metric, value, interval, reference, threshold, counts, verdict))
        others = [f"\n    also {metric.metric}: {metric.reason}" for metric in each.breached if metric is not worst]
        below.append("".join(others))
    return aligned(rows, _LEFT, below)
