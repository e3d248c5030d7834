"""What changed in a column: its picture, the shares of both sides over a few readable bars, and the words for it.

Shares are of the rows with a value, as the scores are; missing cells stand apart. Categories of the reference are
named, live ones are not, and no live value is shown: all edges are the reference's own.
"""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.number_bars import Bars, number_bars
from driftline.monitor.drift.phrases import percent, shortened, went
from driftline.monitor.drift.registry import compares_categories
from driftline.store.prediction_columns import ColumnType
from driftline.store.profile.categorical import CategoryCounts
from driftline.store.profile.columns import ProfiledColumn
from driftline.store.profile.numeric import NumericCounts
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference

MOST_BARS = 24
_TOP_CATEGORIES = MOST_BARS - 2  # and other, and unseen
_MOST_WORDS = 3
_NOTABLE_MOVE = 0.01
_NOTABLE_RATIO = 1.25


@dataclass(frozen=True, slots=True)
class ColumnPicture:
    """The shares of one column in the reference and in a window, ready to be drawn as pairs of bars in this order.

    Attributes:
        kind: numeric or categorical.
        labels: of the bars, at most ``MOST_BARS``: ``4.1 to 5``, ``> 12``, a category, ``other``, ``unseen``.
        parts: what each bar is: ``range`` or ``value`` of a number, ``below`` or ``above`` what the reference ever
            held, ``category``, ``other`` (the rest of the reference's categories, or between its few values),
            ``unseen`` (in no category of the reference).
        reference, window: shares of the rows with a value, in [0, 1]; they sum to 1, or are all 0 without any value.
        missing: shares of all rows without a value, of the reference and of the window.
        words: what moved most, for people, the most telling first; empty when nothing moved by a percent.
    """

    kind: Literal["numeric", "categorical"]
    labels: tuple[str, ...]
    parts: tuple[str, ...]
    reference: tuple[float, ...]
    window: tuple[float, ...]
    missing: tuple[float, float]
    words: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the picture as JSON, shares to five digits after the point."""
        return {
            "kind": self.kind,
            "labels": list(self.labels),
            "parts": list(self.parts),
            "reference": [round(share, 5) for share in self.reference],
            "window": [round(share, 5) for share in self.window],
            "missing": [round(share, 5) for share in self.missing],
            "words": list(self.words),
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Return the picture that ``to_json`` wrote."""
        lists = {name: tuple(raw[name]) for name in ("labels", "parts", "reference", "window", "missing", "words")}
        return cls(kind=raw["kind"], **lists)


def picture_of(profiled: ProfiledColumn, reference: Reference, window: Profile) -> ColumnPicture:
    """Return the picture of one column of a window: of what the column is judged by.

    Args:
        profiled: one of ``reference.profiled``.
        reference: what to compare with.
        window: a profile on its bins.
    """
    name = profiled.column.column_name
    if compares_categories(profiled, reference.profile):
        return picture(reference.profile.categories(name), window.categories(name), name=profiled.column.name)
    what = "lengths" if profiled.kind in ("length", "text") else "values"
    times = profiled.column.type is ColumnType.DATETIME
    return picture(reference.profile.numeric(name), window.numeric(name), what=what, times=times)


def picture(
    reference_column: NumericCounts | CategoryCounts,
    window_column: NumericCounts | CategoryCounts,
    *,
    name: str = "",
    what: str = "values",
    times: bool = False,
) -> ColumnPicture:
    """Return the picture of one column from both sides' counts on the same bins; ``picture_of`` picks them.

    Args:
        reference_column, window_column: as ``Profile.numeric`` or ``Profile.categories`` gives them; either may be
            without rows.
        name: of a categorical column, for its words.
        what: the bins of a numeric column count: ``values`` or ``lengths``.
        times: whether the numbers are microseconds since the epoch.

    Raises:
        TypeError: one side is numeric, the other is not.
    """
    if isinstance(reference_column, NumericCounts) and isinstance(window_column, NumericCounts):
        missing = _missing_numbers(reference_column), _missing_numbers(window_column)
        bars = number_bars(reference_column, window_column, times=times)
        words = _number_words(bars, what)
        return _drawn("numeric", bars, missing, words)
    if isinstance(reference_column, CategoryCounts) and isinstance(window_column, CategoryCounts):
        missing = _missing_categories(reference_column), _missing_categories(window_column)
        bars = _category_bars(reference_column, window_column)
        return _drawn("categorical", bars, missing, _category_words(bars, name))
    raise TypeError("expected the same column of a reference and of a window on its bins")


def _drawn(
    kind: Literal["numeric", "categorical"], bars: Bars, missing: tuple[float, float], words: list[tuple[float, str]]
) -> ColumnPicture:
    moved = missing[1] - missing[0]
    if bars.compared and abs(moved) >= _NOTABLE_MOVE:
        words.append(
            (abs(moved), f"missing cells {went(*missing)} from {percent(missing[0])} to {percent(missing[1])}")
        )
    words.sort(key=lambda said: -said[0])
    return ColumnPicture(
        kind=kind,
        labels=bars.labels,
        parts=bars.parts,
        reference=tuple(bars.reference.tolist()),
        window=tuple(bars.window.tolist()),
        missing=missing,
        words=tuple(said for _, said in words[:_MOST_WORDS]),
    )


def _missing_numbers(counts: NumericCounts) -> float:
    missing = counts.missing + counts.not_a_number
    rows = missing + counts.value_rows + counts.plus_infinity + counts.minus_infinity
    return missing / max(rows, 1)


def _missing_categories(counts: CategoryCounts) -> float:
    return counts.missing / max(counts.missing + counts.value_rows, 1)


def _category_bars(reference: CategoryCounts, window: CategoryCounts) -> Bars:
    """Return the largest categories of either side in the reference's order, the others, and the unseen."""
    before, now = (side.counts / max(side.value_rows, 1) for side in (reference, window))
    unseen = np.array([side.unseen / max(side.value_rows, 1) for side in (reference, window)])
    top = np.sort(np.argsort(-np.maximum(before, now), kind="stable")[:_TOP_CATEGORIES])
    labels, parts = [shortened(reference.categories[place]) for place in top], ["category"] * top.size
    shares = np.array([before[top], now[top]])
    if before.size > top.size:
        rest = np.array([side.sum() for side in (before, now)]) - shares.sum(axis=1)
        labels, parts = [*labels, f"{before.size - top.size} others"], [*parts, "other"]
        shares = np.column_stack([shares, np.maximum(rest, 0.0)])
    if unseen.any():
        labels, parts = [*labels, "less frequent" if reference.unseen else "unseen"], [*parts, "unseen"]
        shares = np.column_stack([shares, unseen])
    return Bars(tuple(labels), tuple(parts), shares[0], shares[1])


def _category_words(bars: Bars, name: str) -> list[tuple[float, str]]:
    if not bars.compared:
        return []
    words = []
    for label, part, before, now in zip(bars.labels, bars.parts, bars.reference, bars.window, strict=True):
        if abs(now - before) < _NOTABLE_MOVE:
            continue
        said = f"{went(before, now)} from {percent(before)} to {percent(now)}"
        if part == "category":
            said = f"`{name}={label}` {said}" if name else f"`{label}` {said}"
        elif part == "other":
            said = f"the {label} {said}"
        elif label == "unseen":
            said = f"{percent(now)} of the values are in no category of training"
        else:
            said = f"values that were less frequent in training {said}"
        words.append((float(abs(now - before)), said))
    return words


def _number_words(bars: Bars, what: str) -> list[tuple[float, str]]:
    """Return in words where the window gained most, and where it lost most: runs of bars, not single ones.

    What is there now tells more than what is gone, so a loss weighs half.
    """
    if not bars.compared:
        return []
    count = len(bars.ends)
    before, now = bars.reference[:count], bars.window[:count]
    runs = [
        _best_run(gained - _NOTABLE_RATIO * lost) or _best_run(gained - lost)
        for gained, lost in ((now, before), (before, now))
    ]
    found = sorted((run for run in runs if run is not None), key=lambda run: run.stop - run.start)
    if sum(run.stop - run.start for run in found) == count:
        found = found[:1]  # the other one is all the rest
    shares = [(float(before[run].sum()), float(now[run].sum()), run) for run in found]
    words = [
        (
            abs(b - a) / (1 if b > a else 2),
            f"{percent(b)} of the {what} are now {_place(bars, run)}" + _in_training(bars, run, a),
        )
        for a, b, run in shares
        if abs(b - a) >= _NOTABLE_MOVE
    ]
    if len(bars.labels) > count and bars.window[-1] >= _NOTABLE_MOVE:
        share = float(bars.window[-1])
        words.append((share, f"{percent(share)} of the {what} are now between those that training held"))
    return words


def _best_run(gains: NDArray[np.float64]) -> slice | None:
    """Return the run of bars whose gains add up to most; None where nothing gains."""
    total, start, best, found = 0.0, 0, 0.0, None
    for place, gain in enumerate(gains.tolist()):
        if total <= 0:
            total, start = 0.0, place
        total += gain
        if total > best:
            best, found = total, slice(start, place + 1)
    return found


def _place(bars: Bars, run: slice) -> str:
    """Return where a run of bars lies; the bar after a single value begins above it."""
    parts = bars.parts[run]
    low = bars.ends[run.start][0] if run.start or parts == ("above",) else None
    high = bars.ends[run.stop - 1][1] if run.stop < len(bars.ends) or parts == ("below",) else None
    if all(part == "value" for part in parts):
        first, last = bars.labels[run.start], bars.labels[run.stop - 1]
        return first if first == last else f"{first} to {last}"
    if low is None:
        return f"below {high}"
    if parts == ("above",) or bars.parts[run.start - 1] == "value":
        return f"above {low}" if high is None else f"above {low} and below {high}"
    return f"from {low} up" if high is None else f"between {low} and {high}"


def _in_training(bars: Bars, run: slice, share: float) -> str:
    return (
        ", beyond all of training" if bars.parts[run] in (("below",), ("above",)) else f", {percent(share)} in training"
    )
