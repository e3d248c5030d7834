"""``driftline drift MODEL --segment COLUMN``: each segment against the same segment of the training data."""

from typing import TYPE_CHECKING, Any

import click
import orjson

from driftline.cli.aligned import aligned

if TYPE_CHECKING:
    from driftline.monitor.jobs.job import JobContext
    from driftline.monitor.segments.now import SegmentsNow
    from driftline.monitor.watch import WatchedVersion
    from driftline.store.records import Arm

_HEADS = ("segment", "worst column", "statistic", "score", "threshold", "rows", "training rows", "verdict")
_LEFT = 3  # columns that are aligned to the left


def tell_segments(
    context: "JobContext", watched: "tuple[WatchedVersion, Arm]", column: str, since_us: int, *, as_json: bool
) -> bool:
    """Print the verdicts of a column's segments since a time; return whether any drifted."""
    from driftline.monitor.segments.now import segments_now

    found = segments_now(context, *watched, column, (since_us, context.clock()))
    text = orjson.dumps(_document(found), option=orjson.OPT_INDENT_2).decode() if as_json else _table(found)
    click.echo(text)
    return any(drift.verdict == "drift" for drift in found.drifts)


def _table(found: "SegmentsNow") -> str:
    from driftline.store.records import iso

    rows, below = [_HEADS], [""]
    for drift in found.drifts:
        worst = drift.worst
        name = "-" if worst is None else f"{worst.name} (output)" if worst.side == "output" else worst.name
        score, threshold = ("-" if worst is None or x is None else f"{x:.3f}" for x in _numbers(worst))
        verdict = str(drift.verdict) if drift.verdict == "no drift" else f"{drift.verdict}: {drift.reason}"
        counts = str(drift.rows), str(drift.reference_rows)
        rows.append((drift.segment, name, worst.statistic if worst else "-", score, threshold, *counts, verdict))
        others = [f"\n    also {d.name}: {d.reason}" for d in drift.drifted if d is not worst]
        below.append("".join(others))
    told = found.segmented.counted_rows
    sample = f", of which a sample of {told} was told apart" if told < found.reference.row_count else ""
    head = (
        f"{found.version.label} by {found.segmented.column.name}: {found.rows} rows from {iso(found.window[0])} to "
        f"{iso(found.window[1])}, against {found.reference.row_count} rows of training data{sample}"
    )
    return "\n".join([head, *aligned(rows, _LEFT, below)])


def _numbers(worst: Any) -> tuple[float | None, float | None]:
    return (None, None) if worst is None else (worst.score, worst.threshold)


def _document(found: "SegmentsNow") -> dict[str, Any]:
    from driftline.monitor.segments.judge import columns_document
    from driftline.store.records import iso

    return {
        "model": found.version.identity.name,
        "version": found.version.identity.version,
        "arm": found.arm.name.lower(),
        "segment_column": found.segmented.column.name,
        "window": {"start": iso(found.window[0]), "end": iso(found.window[1]), "rows": found.rows},
        "reference": {"rows": found.reference.row_count, "counted_rows": found.segmented.counted_rows},
        "segments": [
            {
                "segment": drift.segment,
                "verdict": str(drift.verdict),
                "reason": drift.reason,
                "rows": drift.rows,
                "reference_rows": drift.reference_rows,
                "judged_columns": drift.judged,
                "worst": columns_document((drift.worst,))[0] if drift.worst else None,
                "drifted": columns_document(drift.drifted),
            }
            for drift in found.drifts
        ],
    }
