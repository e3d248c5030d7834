"""Bars: shares of the reference and of the window over each other, a score beside its threshold, rows per hour."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from driftline.monitor.web.svg.element import element, picture

_SLOT, _HEIGHT = 10.0, 100.0
_LEAST_MISSING = 0.001
_NEW_PARTS = ("below", "above", "unseen")  # what the reference never held
_MOST_THRESHOLDS = 3.0  # beyond it a score's bar is cut


def shares(drawn: dict[str, Any], ident: str, name: str, class_: str = "shares") -> Markup:
    """Return a column's picture: the reference as broad pale bars, the window as narrow strong ones before them.

    Args:
        drawn: ``ColumnPicture.to_json()``.
        ident: of the element on its page.
        name: of the column.
    """
    bars = list(zip(drawn["parts"], drawn["reference"], drawn["window"], strict=True))
    if max(drawn["missing"]) >= _LEAST_MISSING:
        bars.append(("missing", *drawn["missing"]))
    highest = max([share for _, *both in bars for share in both], default=0.0) or 1.0
    shapes = []
    for i, (part, before, now) in enumerate(bars):
        new = " new" if part in _NEW_PARTS else " missing" if part == "missing" else ""
        shapes.append(_bar(i * _SLOT + 0.5, _SLOT - 1, before / highest, "before"))
        shapes.append(_bar(i * _SLOT + 3, _SLOT - 6, now / highest, f"now{new}"))
    said = "; ".join(drawn["words"]) or "the current rows lie where the reference's do"
    width = max(1, len(bars)) * _SLOT
    return picture(ident, f"{name}: reference and current rows", said, (width, _HEIGHT), *shapes, class_=class_)


def pair(before: float, now: float, highest: float, ident: str, name: str) -> Markup:
    """Return two lying bars, the reference's above the window's."""
    top = highest or 1.0
    return picture(
        ident,
        f"{name}: reference and current share",
        f"reference {before:.1%}, current {now:.1%}",
        (100, 20),
        element("rect", x=0, y=1, width=100 * before / top, height=8, class_="before"),
        element("rect", x=0, y=11, width=100 * now / top, height=8, class_="now"),
        class_="pair",
    )


def score(ratio: float | None, drifted: bool, ident: str, name: str) -> Markup:
    """Return a score in units of its threshold as a lying bar with a mark at the threshold."""
    if ratio is None:
        return Markup("")
    long = min(ratio, _MOST_THRESHOLDS) / _MOST_THRESHOLDS * 100
    return picture(
        ident,
        f"{name}: score",
        f"{ratio:.2f} times the threshold",
        (100, 10),
        element("rect", x=0, y=2, width=100, height=6, class_="room"),
        element("rect", x=0, y=2, width=long, height=6, class_="over" if drifted else "under"),
        element("path", d=f"M{100 / _MOST_THRESHOLDS:.4g} 0V10", class_="threshold"),
        class_="score",
    )


def hours(counted: Sequence[dict[str, Any]], ident: str) -> Markup:
    """Return rows per hour."""
    highest = max((h["rows"] for h in counted), default=0) or 1
    bars = [_bar(i * _SLOT + 1, _SLOT - 2, h["rows"] / highest, "now") for i, h in enumerate(counted)]
    said = f"at most {highest:,} rows in one of the last {len(counted)} hours"
    return picture(ident, "rows per hour", said, (len(counted) * _SLOT, _HEIGHT), *bars, class_="hours")


def _bar(x: float, width: float, part: float, class_: str) -> Markup:
    tall = _HEIGHT * min(1.0, part)
    if 0 < tall < 1:
        tall = 1.0  # what is there is seen
    return element("rect", x=x, y=_HEIGHT - tall, width=width, height=tall, class_=class_)
