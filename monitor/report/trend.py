"""What became of a model since its last report: new drift, what is over, worse, better; and its curve over reports.

The reports compared are those that the schedule made, of this version where there is one, else of the version before:
a new version's first report continues the model's curve.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from driftline.monitor.report.kept_reports import KeptReport, earlier_reports, read_content
from driftline.monitor.watch import WatchedVersion

MOST_REPORTS = 12
_LISTED = 60  # rows to look through for those
NOTABLE = 1.25  # a score counts as worse or better from this factor on
Key = tuple[str, str]  # side, column


def trend_since(
    connection: Connection, version: WatchedVersion, window_end_us: int, now: Mapping[str, Any], drawn: Sequence[Key]
) -> dict[str, Any]:
    """Return the trend of a report that is being made.

    Args:
        now: its content so far: window, version, and its first arm.
        drawn: the columns whose own curves are wanted, as (side, name).

    Returns:
        ``since`` (the report compared with, None without one), ``new``, ``gone``, ``worse``, ``better`` (columns),
        ``added``, ``removed`` (columns that only one of them has), ``before`` and ``now`` (figures of each), ``points``
        (figures of each report, oldest first, this one last) and ``columns`` (scores in thresholds of the drawn ones).
    """
    points, columns = [_figures(now)], [_ratios(now)]
    before: dict[str, Any] | None = None
    for kept in _one_a_window(earlier_reports(connection, version.identity.name, window_end_us, _LISTED), version.id):
        content = read_content(connection, kept.id)
        if content is None:
            continue
        before = before or _compared(content)
        points.insert(0, _figures(content))
        columns.insert(0, _ratios(content))
        if len(points) == MOST_REPORTS:
            break
    drift = changes(before["columns"], _compared(now)["columns"]) if before else changes({}, {})
    return {
        "since": before and before["report"],
        **drift,
        "points": points,
        "columns": [
            {"side": side, "column": name, "ratios": [ratios.get((side, name)) for ratios in columns]}
            for side, name in drawn
        ],
    }


def changes(before: Mapping[Key, Mapping[str, Any]], now: Mapping[Key, Mapping[str, Any]]) -> dict[str, Any]:
    """Return which columns began to drift, ceased, drift more or less than before, came and went.

    Args:
        before, now: ``verdict`` and ``ratio`` (score in thresholds) by side and name.
    """
    found: dict[str, list[dict[str, Any]]] = {"new": [], "gone": [], "worse": [], "better": []}
    for key in now:
        if key not in before:
            continue
        was, is_ = before[key]["verdict"] == "drift", now[key]["verdict"] == "drift"
        a, b = before[key]["ratio"], now[key]["ratio"]
        entry = {"side": key[0], "column": key[1], "before": a, "now": b}
        if is_ and not was:
            found["new"].append(entry)
        elif was and now[key]["verdict"] == "no drift":
            found["gone"].append(entry)
        elif is_ and a and b and b >= NOTABLE * a:
            found["worse"].append(entry)
        elif is_ and a and b and b <= a / NOTABLE:
            found["better"].append(entry)
    for entries in found.values():
        entries.sort(key=lambda e: -max(e["before"] or 0.0, e["now"] or 0.0))
    return {
        **found,
        "added": [{"side": side, "column": name} for side, name in now if (side, name) not in before] if before else [],
        "removed": [{"side": side, "column": name} for side, name in before if (side, name) not in now],
    }


def _one_a_window(reports: Iterable[KeptReport], version_id: int) -> list[KeptReport]:
    """Return one report per window end, newest first: this version's where it has one."""
    chosen: dict[int, KeptReport] = {}
    for kept in reports:
        other = chosen.get(kept.window_end_us)
        if other is None or (kept.model_version_id == version_id and other.model_version_id != version_id):
            chosen[kept.window_end_us] = kept
    return list(chosen.values())


def _compared(content: Mapping[str, Any]) -> dict[str, Any]:
    columns = content["arms"][0]["columns"]
    return {
        "report": {"version": content["version"], "window": content["window"], "made_at": content["made_at"]},
        "columns": {(c["side"], c["column"]): {"verdict": c["verdict"], "ratio": c["ratio"]} for c in columns},
    }


def _ratios(content: Mapping[str, Any]) -> dict[Key, float | None]:
    return {(c["side"], c["column"]): c["ratio"] for c in content["arms"][0]["columns"]}


def _figures(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a point of the model's curve shows."""
    judged = [c for c in content["arms"][0]["columns"] if c["score"] is not None]
    return {
        "at": content["window"]["end"],
        "version": content["version"],
        "rows": content["window"]["rows"],
        "verdict": content["verdict"],
        "judged": len(judged),
        "drifted": sum(c["verdict"] == "drift" for c in judged),
        "highest": max((c["ratio"] for c in judged if c["ratio"] is not None), default=None),
    }
