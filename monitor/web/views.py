"""What templates draw besides the document: points, frames and spans of the charts."""

from datetime import datetime, timedelta
from typing import Any

from driftline.monitor.web.svg.lines import Frame, Points, frame

_LEAST_TOP = 1.5  # thresholds: the line of the threshold is never at the upper edge
_LEAST_SHARE = 0.01
_SHARES = {"missing": "missing_share", "unseen": "unseen_share", "out of range": "out_of_range_share"}


def model_view(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a model's page draws."""
    scores = [(p["at"], p["highest"]) for p in document["scores"]["points"]]
    start = _start(document, scores)
    ratios = [p["ratio"] or 0.0 for c in document["columns"] for p in c["scores"]]
    return {
        "score_start": start,
        "score_points": scores,
        "score_frame": _ratio_frame(document, start, scores),
        "whole_episodes": [e for e in document["episodes"] if e["column"] is None],
        "column_frame": frame(start, document["at"], min(3.0, max(ratios, default=0.0)), _LEAST_TOP),
        "column_points": lambda column: [(p["at"], p["ratio"]) for p in column["scores"]],
    }


def column_view(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a column's page draws."""
    history = document["history"]
    scores = [(h["at"], h["ratio"]) for h in history]
    start = _start(document, scores)
    lines: dict[str, Points] = {
        said: [(h["at"], h[key]) for h in history]
        for said, key in _SHARES.items()
        if any(h[key] is not None for h in history)
    }
    highest = max((value or 0.0 for points in lines.values() for _, value in points), default=0.0)
    return {
        "score_start": start,
        "score_points": scores,
        "score_frame": _ratio_frame(document, start, scores),
        "shares": lines,
        "share_frame": frame(start, document["at"], highest, _LEAST_SHARE),
    }


def _start(document: dict[str, Any], points: Points) -> str:
    """Return where the time axis begins: with the first judgement where the history is younger than the time asked."""
    asked = datetime.fromisoformat(document["at"]) - timedelta(days=document["days"])
    first = datetime.fromisoformat(points[0][0]) if points else asked
    return max(asked, first).isoformat()


def _ratio_frame(document: dict[str, Any], start: str, scores: Points) -> Frame:
    return frame(start, document["at"], max((value or 0.0 for _, value in scores), default=0.0), _LEAST_TOP)
