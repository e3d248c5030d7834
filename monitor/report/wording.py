"""What a report says in sentences: the verdict, and what became of it since the last report."""

from collections.abc import Mapping, Sequence
from typing import Any

from driftline.monitor.drift.phrases import shortened

_NAMED = 4
_TOLD = 10


def headline(content: Mapping[str, Any]) -> str:
    """Return the verdict in one sentence, and one more each where segments drifted and where performance breached."""
    arm = content["arms"][0]
    return " ".join([_verdict(arm), *_segments(arm), *_performance(arm), *_performance_by_segment(arm)])


def told(arm: Mapping[str, Any]) -> list[str]:
    """Return a line each for what drifted most and for what breached, at most ten columns and as many segments."""
    lines = [f"{called(c)}: {c['reason']}" for c in arm["columns"][:_TOLD] if c["verdict"] == "drift"]
    lines += [f"{m['metric']}: {m['reason']}" for m in breached(arm, estimated=False)]
    lines += [f"estimated {m['metric']}: {m['reason']}" for m in breached(arm, estimated=True)]
    for s in breached_segments(arm)[:_TOLD]:
        column, name = _names(s)
        lines.append(f"{s['metric']} where {column} is {name}: {s['reason']}")
    return lines


def is_worse(arm: Mapping[str, Any]) -> bool:
    """Return whether performance breached: on labelled rows, as estimated, or in a segment."""
    breaches = [*breached(arm, estimated=False), *breached(arm, estimated=True), *breached_segments(arm)]
    return bool(breaches)


def breached(arm: Mapping[str, Any], *, estimated: bool) -> list[Mapping[str, Any]]:
    """Return the metrics of an arm that are worse than tolerance and chance explain: realised or estimated ones."""
    return [m for m in arm["performance"] if m["verdict"] == "breach" and m["estimated"] == estimated]


def by_segment(arm: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return an arm's performance by segment; reports of earlier releases have none."""
    found: Sequence[Mapping[str, Any]] = arm.get("segment_performance", ())
    return found


def breached_segments(arm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the segments in which a metric is worse than tolerance and chance explain."""
    return [s for s in by_segment(arm) if s["verdict"] == "breach"]


def _segments(arm: Mapping[str, Any]) -> list[str]:
    drifted = [s for s in arm["segments"] if s["verdict"] == "drift"]
    if not drifted:
        return []
    worst = max(drifted, key=lambda s: s["ratio"] or 0.0)
    return [f"{len(drifted)} of {len(arm['segments'])} segments drifted, most of all {' '.join(_names(worst))}."]


def _names(segment: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of a segment's column and of the segment, which may be that of empty texts."""
    return shortened(segment["segment_column"]), shortened(segment["segment"]) or "(empty)"


def _performance(arm: Mapping[str, Any]) -> list[str]:
    """Return what is worse than on the reference: one sentence of labelled rows, one of estimates."""
    said = []
    for estimated, subject in (
        (False, "Performance on labelled rows"),
        (True, "Performance as estimated without labels"),
    ):
        if names := list(dict.fromkeys(m["metric"].replace("_", " ") for m in breached(arm, estimated=estimated))):
            said.append(f"{subject} is worse than on the reference: {_some(names)}.")
    return said


def _performance_by_segment(arm: Mapping[str, Any]) -> list[str]:
    if not (worse := breached_segments(arm)):
        return []
    named = _some([" ".join(_names(s)) for s in worse])
    return [f"In {len(worse)} of {len(by_segment(arm))} segments performance is worse than on the reference: {named}."]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _verdict(arm: Mapping[str, Any]) -> str:
    columns, rows = arm["columns"], arm["rows"]
    judged = [c for c in columns if c["score"] is not None]
    drifted = [c for c in columns if c["verdict"] == "drift"]
    if not rows:
        return "No rows came in this window."
    if arm["reference"] is None:
        return f"{rows:,} rows came, and there is no training reference to compare them with."
    if not judged:
        return f"{rows:,} rows came: too few to judge any of {len(columns)} columns."
    if drifted:
        return f"{len(drifted)} of {len(judged)} judged columns drifted, most of all {called(drifted[0])}."
    return f"None of {len(judged)} judged columns drifted in {rows:,} rows."


def trend_words(trend: Mapping[str, Any] | None) -> list[str]:
    """Return what is new, gone, worse and better since the last report; says so where nothing is."""
    if trend is None or trend["since"] is None:
        return ["This is the first report: the next one tells what changed since."]
    said = []
    for kind, verb in (("new", "New drift"), ("worse", "Worse"), ("better", "Better"), ("gone", "No drift any more")):
        if trend[kind]:
            said.append(f"{verb}: {named(trend[kind])}.")
    for kind, verb in (("added", "Only this version has"), ("removed", "No longer there")):
        if trend[kind]:
            said.append(f"{verb}: {named(trend[kind])}.")
    return said or ["No verdict changed, and no score moved by a quarter."]


def named(columns: Sequence[Mapping[str, Any]]) -> str:
    """Return the names of some columns with their scores in thresholds, as far as they are there; many are counted."""
    shown = [_with_scores(c) for c in columns[:_NAMED]]
    more = [f"{len(columns) - _NAMED} more"] if len(columns) > _NAMED else []
    return ", ".join(shown + more)


def called(column: Mapping[str, Any]) -> str:
    """Return a column's name, with the side where it is an output."""
    name = shortened(column["column"]) or "(no name)"
    return f"{name} (output)" if column["side"] == "output" else name


def _with_scores(column: Mapping[str, Any]) -> str:
    before, now = column.get("before"), column.get("now")
    if before is None or now is None:
        return called(column)
    return f"{called(column)} ({before:.2g} to {now:.2g} thresholds)"
