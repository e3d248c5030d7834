"""What a replay came to, in one sentence."""

from typing import Any

from driftline.monitor.drift.phrases import number, percent


def sentence(content: dict[str, Any]) -> str:
    """Return how many rows the version answers otherwise and, with labels, how much better or worse it is."""
    said = [_answers(content)]
    if failed := sum(content["failed"].values()):
        said.append(f"it fails on {failed:,} ({', '.join(f'{kind}: {n:,}' for kind, n in content['failed'].items())})")
    if (performance := content["performance"]) is not None and performance["headline"] is not None:
        said.append(_performs(performance))
    return "; ".join(said)


def _answers(content: dict[str, Any]) -> str:
    found = content["disagreement"]
    version = f"version {content['version']}"
    if not found["rows"]:
        return f"{version} answers none of {content['sample']['rows']:,} rows"
    low, high = (100 * x for x in found["share_interval"])
    beyond = [a for a in content["outputs"] if a["kind"] == "number"]
    only = f" by more than {number(beyond[0]['tolerance'])}" if len(content["outputs"]) == len(beyond) == 1 else ""
    return (
        f"{version} answers {percent(found['share'])} of {found['rows']:,} rows otherwise{only} "
        f"({low:.3g} to {high:.3g} %)"
    )


def _performs(performance: dict[str, Any]) -> str:
    name = performance["headline"]
    metric = performance["metrics"][name]
    difference, (low, high) = metric["difference"], metric["difference_interval"]
    if difference == 0:
        return f"on {performance['rows']:,} labelled rows its {metric['title']} is the same"
    if low <= 0 <= high:
        within = f"by {number(difference)}, {number(low)} to {number(high)}"
        return (
            f"on {performance['rows']:,} labelled rows its {metric['title']} differs no more than by chance ({within})"
        )
    sign = 1 if difference > 0 else -1
    near, far = sorted((sign * low, sign * high))
    return (
        f"on {performance['rows']:,} labelled rows its {metric['title']} is {'higher' if sign > 0 else 'lower'} by "
        f"{number(abs(difference))} ({number(near)} to {number(far)})"
    )
