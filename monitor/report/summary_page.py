"""Our own one-page summary of a report: one file, style and pictures inside, nothing that runs or is loaded."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from driftline.monitor.report import wording
from driftline.monitor.report.arm_findings import DRAWN
from driftline.monitor.templates import page_environment
from driftline.monitor.web import text
from driftline.monitor.web.svg import bars, lines

_HERE = Path(__file__).parent
_WEB = _HERE.parent / "web" / "templates"
_LEAST_TOP = 1.5
_LINKS = ("evidently", "quality", "json", "run", "model_version", "page", "runbooks")
_MOST_LISTED, _MOST_SEGMENTS = 300, 60  # in the tables: the JSON has all


def render(content: Mapping[str, Any], links: Mapping[str, str | None] | None = None) -> str:
    """Return the page of a report's JSON; every text of it is escaped.

    Args:
        links: addresses of ``evidently`` and ``quality`` (Evidently's pages), ``json``, ``run`` and ``model_version``
            (in MLflow), ``page`` (the model's on the monitor) and ``runbooks``, as far as they are known.
    """
    arm = content["arms"][0]
    trend = content["trend"]
    worst = [c for c in arm["columns"] if c["picture"]][:DRAWN]
    return _environment().get_template("summary.html").render(
        report=content,
        first=arm,
        worst=worst,
        listed=arm["columns"][:_MOST_LISTED],
        segments=sorted(arm["segments"], key=lambda s: s["verdict"] != "drift")[:_MOST_SEGMENTS],
        segment_performance=sorted(wording.by_segment(arm), key=lambda s: s["verdict"] != "breach")[:_MOST_SEGMENTS],
        headline=wording.headline(content),
        mark="drift" if wording.is_worse(arm) else content["verdict"],
        trend_words=wording.trend_words(trend),
        curve=_curve(trend),
        column_curves=_column_curves(trend),
        links={name: (links or {}).get(name) for name in _LINKS},
        style=Markup((_WEB / "driftline.css").read_text() + (_HERE / "summary.css").read_text()),  # noqa: S704 - ours
    )  # fmt: skip


@cache
def _environment() -> Environment:
    environment = page_environment(_HERE, _WEB)
    environment.filters.update(text.FILTERS)
    environment.filters["called"] = wording.called
    environment.globals.update(bars=bars, lines=lines)
    return environment


def _curve(trend: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the model's curve over its reports: highest score, and drifted share of the judged columns."""
    if trend is None or len(trend["points"]) < 2:
        return None
    points = trend["points"]
    highest = [(p["at"], p["highest"]) for p in points]
    shares = [(p["at"], p["drifted"] / p["judged"] if p["judged"] else None) for p in points]
    start, end = points[0]["at"], points[-1]["at"]
    return {
        "start": start,
        "end": end,
        "highest": highest,
        "highest_frame": lines.frame(start, end, max((v or 0.0 for _, v in highest), default=0.0), _LEAST_TOP),
        "shares": {"drifted columns": shares},
        "share_frame": lines.frame(start, end, max(v or 0.0 for _, v in shares), 0.1),
        "points": points,
    }


def _column_curves(trend: Mapping[str, Any] | None) -> dict[tuple[str, str], dict[str, Any]]:
    if trend is None or len(trend["points"]) < 2:
        return {}
    times = [p["at"] for p in trend["points"]]
    curves = {}
    for column in trend["columns"]:
        ratios = column["ratios"]
        top = min(5.0, max((r or 0.0 for r in ratios), default=0.0))
        curves[column["side"], column["column"]] = {
            "points": list(zip(times, ratios, strict=True)),
            "frame": lines.frame(times[0], times[-1], top, _LEAST_TOP),
        }
    return curves
