"""A replay as people read it on a terminal."""

from collections.abc import Iterator
from typing import Any

from driftline.monitor.drift.phrases import number, percent

_SHOWN_MOVES = 8
_SHOWN_ROWS = 5


def told(content: dict[str, Any]) -> str:
    """Return the replay as lines of text, the verdict first."""
    window, by = content["window"], content["answered_by"]
    sampled = "all" if content["sample"]["is_whole"] else "a sample of the"
    head = (
        f"{window['rows']:,} rows, {sampled} {'labelled ' if content['sample']['labelled_only'] else ''}rows that "
        f"{by['model']}/{by['version']} answered as {content['arm']} from {window['start']} to {window['end']}, "
        f"put to {content['uri']}"
    )
    parts = [content["verdict"], head, *content["notes"], *check_lines(content["check"])]
    for lines in (_outputs(content), _performance(content), _drift(content), _timing(content), _where(content)):
        if found := list(lines):
            parts.append("\n" + "\n".join(found))
    if found := list(_most_different(content)):
        parts.append("\n" + "\n".join(found))
    return "\n".join(parts)


def check_lines(check: dict[str, Any] | None) -> list[str]:
    """Return what asking the serving version again showed."""
    if check is None:
        return []
    if check["reason"]:
        return [f"whether the serving version still answers so here could not be checked: {check['reason']}"]
    if not check["differing_rows"] and not check["failed_rows"]:
        return [f"asked again, the serving version answers {check['rows']:,} of these rows as it did"]
    return [
        f"CAUTION: asked again here, the serving version itself answers {check['differing_rows']:,} of "
        f"{check['rows']:,} rows otherwise and fails on {check['failed_rows']:,}: this environment is not the one that "
        "served, so not every difference is the new version's"
    ]


def output_line(output: dict[str, Any]) -> str:
    """Return how one output differs."""
    if not output["rows"]:
        return f"{output['output']}: no rows"
    low, high = (100 * x for x in output["share_interval"])
    share = f"{output['differing_rows']:,} of {output['rows']:,} rows, {percent(output['share'])}"
    share += f" ({low:.3g} to {high:.3g} %)"
    if output["kind"] == "class":
        return f"{output['output']}: another class in {share}"
    said = f"{output['output']}: more than {number(output['tolerance'])} apart in {share}"
    if output["mean_absolute"] is not None:
        said += (
            f"; apart by {number(output['mean_absolute'])} on average, {number(output['median_absolute'])} in the "
            f"middle, {number(output['p95_absolute'])} at 95 %, {number(output['p99_absolute'])} at 99 %"
        )
    if output["bias_interval"] is not None:
        low, high = output["bias_interval"]
        said += f"; {number(output['bias'])} higher on average ({number(low)} to {number(high)})"
    if output["correlation"] is not None:
        said += f"; correlation {output['correlation']:.4f}"
    return said


def by_amounts(content: dict[str, Any]) -> bool:
    """Return whether rows differ by more or less: of classes one is another, and no row differs most."""
    return any(output["kind"] == "number" for output in content["outputs"])


def distance(value: float | None) -> str:
    """Return by how much a row's answers differ, as text."""
    return "a value that one of them lacks" if value is None or value == float("inf") else number(value)


def _outputs(content: dict[str, Any]) -> Iterator[str]:
    for output in content["outputs"]:
        yield output_line(output)
        for move in output.get("moves", [])[:_SHOWN_MOVES]:
            yield f"    {move['from']} -> {move['to']}: {move['rows']:,}"


def _performance(content: dict[str, Any]) -> Iterator[str]:
    performance = content["performance"]
    if performance is None:
        return
    if performance["reason"]:
        yield f"performance: {performance['reason']}"
        return
    more = f" ({performance['unusable_rows']:,} more do not count)" if performance["unusable_rows"] else ""
    yield f"performance on {performance['rows']:,} labelled rows{more}: recorded, asked, difference"
    for metric in performance["metrics"].values():
        low, high = metric["difference_interval"]
        yield (
            f"    {metric['title']}: {number(metric['recorded'])}, {number(metric['asked'])}, "
            f"{metric['difference']:+.3g} ({low:+.3g} to {high:+.3g})"
        )


def _drift(content: dict[str, Any]) -> Iterator[str]:
    found = content["prediction_drift"]
    for side, said in (("recorded", "what was answered then"), ("training", "its answers to its training data")):
        for drift in found[f"against_{side}"] or []:
            score = (
                ""
                if drift["score"] is None
                else f" ({drift['statistic']} {drift['score']:.3f}, threshold {drift['threshold']:.3f})"
            )
            yield f"{drift['output']} against {said}: {drift['verdict']}{score}: {drift['reason']}"
    if found["against_training"] is None:
        yield f"not compared with its answers to its training data: {found['reason']}"


def _timing(content: dict[str, Any]) -> Iterator[str]:
    timing, check = content["timing"], content["check"] or {}
    if timing is None:
        return
    said = f"predict: {timing['median']:.3g} ms a request in the middle, {timing['p95']:.3g} ms at 95 %"
    if check.get("timing"):
        said += f"; the serving version {check['timing']['median']:.3g} ms and {check['timing']['p95']:.3g} ms here"
    if timing["recorded_median"] is not None:
        said += f"; {timing['recorded_median']:.3g} ms in the middle when it was answered"
    yield f"{said} ({timing['requests']} requests, one at a time)"


def _where(content: dict[str, Any]) -> Iterator[str]:
    for column in content["where"]:
        yield f"differing rows by {column['column']}:"
        for region in column["regions"]:
            yield f"    {region['values']}: {percent(region['share'])} of {region['rows']:,}"


def _most_different(content: dict[str, Any]) -> Iterator[str]:
    rows, amounts = content["most_different"][:_SHOWN_ROWS], by_amounts(content)
    if rows:
        yield "rows that differ most:" if amounts else "rows that differ:"
    for row in rows:
        yield f"    {row['invocation_id']} row {row['row']}" + (
            f": by {distance(row['difference'])}" if amounts else ""
        )
        for side in ("recorded", "asked", "inputs"):
            if side in row:
                yield f"        {side}: {', '.join(f'{name} {value}' for name, value in row[side].items())}"
