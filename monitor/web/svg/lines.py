"""Lines over time: scores in units of their thresholds, and shares. Where nothing was judged the line is broken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any

from markupsafe import Markup

from driftline.monitor.web.svg.element import element, picture

_WIDTH, _HEIGHT = 1000.0, 300.0
_GAP_STEPS = 3.0  # between two judgements, in usual steps, from which on the line is broken
_TOPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
Points = Sequence[tuple[str, float | None]]  # ISO 8601, value


@dataclass(frozen=True, slots=True)
class Frame:
    """What a chart spans: times in seconds since the epoch, values from 0 to ``top``."""

    start: float
    end: float
    top: float

    def x(self, at: str) -> float:
        span = max(1.0, self.end - self.start)
        return min(_WIDTH, max(0.0, (seconds(at) - self.start) / span * _WIDTH))

    def y(self, value: float) -> float:
        return _HEIGHT * (1 - min(value, self.top) / self.top)


def frame(start: str, end: str, highest: float, least_top: float) -> Frame:
    """Return a frame whose top is a round number at or above ``highest`` and ``least_top``."""
    wanted, unit = max(highest, least_top), 1.0
    while wanted > _TOPS[-1] * unit:
        unit *= 10
    while wanted <= _TOPS[0] * unit / 10:
        unit /= 10
    return Frame(seconds(start), seconds(end), next(t * unit for t in _TOPS if wanted <= t * unit))


def ratios(
    points: Points, within: Frame, ident: str, name: str, episodes: Sequence[dict[str, Any]] = (), class_: str = "line"
) -> Markup:
    """Return scores in units of their thresholds, with the threshold as a broken line and open episodes as bands."""
    bands = [_band(each, within) for each in episodes]
    known = [value for _, value in points if value is not None]
    said = f"from {min(known):.2f} to {max(known):.2f} times the threshold" if known else "no score in this time"
    return picture(
        ident,
        f"{name}: scores over time in units of their thresholds",
        said,
        (_WIDTH, _HEIGHT),
        *bands,
        element("path", d=f"M0 {within.y(1):.4g}H{_WIDTH:g}", class_="threshold"),
        element("path", d=_path(points, within), class_="now"),
        class_=class_,
    )


def share_lines(lines: dict[str, Points], within: Frame, ident: str, name: str) -> Markup:
    """Return some shares over time; the classes of the lines are ``share-1``, ``share-2`` ... in their order."""
    drawn = [
        element("path", d=_path(points, within), class_=f"share-{i}")
        for i, points in enumerate(lines.values(), 1)
    ]  # fmt: skip
    last = {what: next((v for _, v in reversed(points) if v is not None), None) for what, points in lines.items()}
    said = ", ".join(f"{what} {value:.1%}" for what, value in last.items() if value is not None)
    return picture(
        ident, f"{name}: shares over time", f"now: {said or 'none'}", (_WIDTH, _HEIGHT), *drawn, class_="line"
    )


def seconds(at: str) -> float:
    """Return an ISO 8601 time in seconds since the epoch."""
    return datetime.fromisoformat(at).timestamp()


def _band(episode: dict[str, Any], within: Frame) -> Markup:
    begin = within.x(episode["opened_at"])
    end = within.x(episode["closed_at"]) if episode["closed_at"] else _WIDTH
    return element("rect", x=begin, y=0, width=max(2.0, end - begin), height=_HEIGHT, class_="episode")


def _path(points: Points, within: Frame) -> str:
    """Return the line; a lone point is one of no length, which round caps make a dot."""
    times = [seconds(at) for at, _ in points]
    step = median([b - a for a, b in pairwise(times)]) if len(times) > 1 else 0.0
    written, before, joined = [], None, True
    for (at, value), now in zip(points, times, strict=True):
        if value is None:
            before = None
            continue
        place = f"{within.x(at):.5g} {within.y(value):.5g}"
        joined = before is not None and now - before <= _GAP_STEPS * step
        written.append(f"L{place}" if joined else f"M{place}L{place}")
        before = now
    return "".join(written) or "M0 0"
