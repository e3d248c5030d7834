"""A numeric column's 500 bins gathered into a few readable bars, the same ones for both sides.

Edges are those bins' own, so shares are exact; of all edges those next to round numbers are chosen, within what 98 % of
either side cover, with open ends. Where half of the reference would fall into one bar, they lie at its quantiles
instead. A value that a tenth of either side holds has a bar of its own, and so has each value of a reference of few.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.coarse_bins import FEW_VALUES
from driftline.store.profile.numeric import NumericCounts

_CUTS = 18
_OWN_BARS = 5
_OWN_SHARE = 0.1
_TAIL = 0.01
_TOO_FULL = 0.5
_MOSTLY = 0.9
_LEAST_STEP = 1e-300
_LABEL_ERROR = 0.02  # of the narrower neighbour's width
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars of both sides, in the order in which they are drawn.

    Attributes:
        labels: for people.
        parts: what each bar is: see ``ColumnPicture``.
        reference, window: shares, shape (bars,), all 0 on a side without values.
        ends: for bars of numbers, lower and upper edge as text, None at an open end.
    """

    labels: tuple[str, ...]
    parts: tuple[str, ...]
    reference: NDArray[np.float64]
    window: NDArray[np.float64]
    ends: tuple[tuple[str | None, str | None], ...] = ()

    @property
    def compared(self) -> bool:
        """Whether both sides hold values."""
        return bool(self.reference.any() and self.window.any())


def number_bars(reference: NumericCounts, window: NumericCounts, *, times: bool = False) -> Bars:
    """Return at most 24 bars of a numeric column.

    Args:
        reference, window: the column on the same bins; infinite values count as beyond the range.
        times: whether the numbers are microseconds since the epoch.
    """
    edges = reference.bins.edges
    before, now = _rows(reference), _rows(window)
    few = reference.bins.distinct <= FEW_VALUES
    cuts = _value_cuts(reference.counts) if few else _cuts(edges, shares_of(before), shares_of(now))
    firsts = np.concatenate([[0], cuts + 1])  # of the bins of each bar
    bars = [shares_of(np.add.reduceat(rows, firsts)) for rows in (before, now)]
    written = _texts(edges[cuts], times)
    ends: list[tuple[str | None, str | None]] = list(zip([None, *written], [*written, None], strict=True))
    atoms = np.zeros(firsts.size, np.bool_)
    atoms[1:-1] = (np.diff(cuts) == 1) & (edges[cuts[1:]] <= np.nextafter(edges[cuts[:-1]], np.inf))
    parts = np.where(atoms, "value", "range").astype(object)
    parts[0], parts[-1] = "below", "above"
    between = (parts == "range") & few
    labels = [_label(part, end) for part, end in zip(parts, ends, strict=True)]
    kept = [place for place in np.flatnonzero(~between).tolist() if atoms[place] or bars[0][place] or bars[1][place]]
    rest = [float(side[between].sum()) for side in bars]
    other = ["other"] if any(rest) else []
    return Bars(
        labels=(*(labels[place] for place in kept), *other),
        parts=(*(str(parts[place]) for place in kept), *other),
        reference=np.append(bars[0][kept], rest[: len(other)]),
        window=np.append(bars[1][kept], rest[1 : 1 + len(other)]),
        ends=tuple(ends[place] for place in kept),
    )


def shares_of(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return shares, all 0 where there are no rows."""
    shares: NDArray[np.float64] = rows / max(int(rows.sum()), 1)
    return shares


def _rows(counts: NumericCounts) -> NDArray[np.int64]:
    rows = counts.counts.copy()
    rows[0] += counts.minus_infinity
    rows[-1] += counts.plus_infinity
    return rows


def _value_cuts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the cuts around every bin that the reference holds rows in, and at both ends."""
    held = np.flatnonzero(counts[1:-1]) + 1
    return np.unique(np.concatenate([[0, counts.size - 2], held - 1, held]))


def _cuts(edges: NDArray[np.float64], before: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the places in ``edges`` between the bars, rising: the first and the last edge are among them."""
    single = np.nextafter(edges[:-1], np.inf) >= edges[1:]
    own = _own_bins(single, np.maximum(before, now))
    limit = _CUTS - 2 * own.size
    fixed = np.concatenate([[0, edges.size - 1], own - 1, own])
    discrete = before[1:-1][single].sum() > _MOSTLY
    candidates = np.append(np.flatnonzero(single), edges.size - 1) if discrete else np.arange(edges.size)
    cuts = np.unique(np.concatenate([fixed, _round_cuts(edges, candidates, _middle(edges, before, now), limit)]))
    filled = np.add.reduceat(before, np.concatenate([[0], cuts + 1]))
    filled[np.searchsorted(cuts, own)] = 0.0
    if filled.max() > _TOO_FULL * max(1 - before[own].sum(), _OWN_SHARE):
        levels = np.arange(1, limit + 1) / (limit + 1)
        at_quantiles = np.searchsorted(np.cumsum(before)[:-1][candidates], levels)
        cuts = np.unique(np.concatenate([fixed, candidates[np.minimum(at_quantiles, candidates.size - 1)]]))
    return cuts


def _own_bins(single: NDArray[np.bool_], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bins of one value that hold many rows of either side, at most ``_OWN_BARS``."""
    inner = np.flatnonzero(single & (shares[1:-1] >= _OWN_SHARE)) + 1
    return np.sort(inner[np.argsort(-shares[inner], kind="stable")[:_OWN_BARS]])


def _middle(edges: NDArray[np.float64], before: NDArray[np.float64], now: NDArray[np.float64]) -> tuple[float, float]:
    """Return between which edges all but ``_TAIL`` at each end lie, on both sides."""
    lows, highs = [], []
    for side in (before, now):
        if side.any():
            below = np.cumsum(side)[:-1]
            lows.append(max(int(np.searchsorted(below, _TAIL, side="right")) - 1, 0))
            highs.append(min(int(np.searchsorted(below, 1 - _TAIL)), edges.size - 1))
    return float(edges[min(lows)]), float(edges[max(highs)])


def _round_cuts(
    edges: NDArray[np.float64], candidates: NDArray[np.int64], middle: tuple[float, float], limit: int
) -> NDArray[np.int64]:
    """Return the candidate edges next to at most ``limit`` round numbers in the ``middle``."""
    low, high = middle
    raw = (high - low) / max(limit - 1, 1)
    if not raw > _LEAST_STEP:
        return np.empty(0, np.int64)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s for s in (r * power for r in (*_ROUND, 20.0)) if s >= raw)
    places = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
    chosen = edges[candidates]
    above = np.clip(np.searchsorted(chosen, places), 1, chosen.size - 1)
    nearer: NDArray[np.int64] = np.where(places - chosen[above - 1] < chosen[above] - places, above - 1, above)
    return candidates[nearer]


def _texts(edges: NDArray[np.float64], times: bool) -> list[str]:
    """Return the edges in words; the float after a value, where its bar ends, is written as that value."""
    after_value = np.append(edges[:-1] >= np.nextafter(edges[1:], -np.inf), True)
    shown = np.where(np.append(False, after_value[:-1]), np.nextafter(edges, -np.inf), edges)
    shown[-1] = np.nextafter(edges[-1], -np.inf)
    gaps = np.diff(np.unique(shown))
    around = np.append(gaps, np.inf) if gaps.size else np.array([np.inf])
    narrower = np.minimum(around, np.insert(around[:-1], 0, np.inf))[np.searchsorted(np.unique(shown), shown)]
    text = _time_text if times else _number_text
    return [text(value, gap) for value, gap in zip(shown.tolist(), narrower.tolist(), strict=True)]


def _number_text(value: float, gap: float) -> str:
    """Return a number with no more digits than tell it from its neighbours, ``gap`` away."""
    gap = gap if math.isfinite(gap) else abs(value)
    if abs(value) <= _LABEL_ERROR * gap:
        return "0"
    if abs(value) >= 1e9 or gap < 1e-4:
        digits = 1 + max(0, math.ceil(math.log10(abs(value) / gap) - math.log10(_LABEL_ERROR)))
        return f"{value:.{min(digits, 17)}g}"
    for decimals in range(-math.floor(math.log10(gap)), 17):
        rounded = round(value, decimals)
        if abs(rounded - value) <= _LABEL_ERROR * gap:
            text = f"{rounded:,.{max(decimals, 0)}f}"
            return text.rstrip("0").rstrip(".") if decimals > 0 else text
    return f"{value:.17g}"


def _time_text(at_us: float, gap_us: float) -> str:
    try:
        at = _EPOCH + timedelta(microseconds=round(at_us))
    except (OverflowError, ValueError):
        return f"{at_us:.6g}"
    return at.strftime("%Y-%m-%d" if gap_us >= 2 * _DAY_US else "%Y-%m-%d %H:%M")


def _label(part: str, end: tuple[str | None, str | None]) -> str:
    low, high = end
    if part == "value":
        return str(low)
    if low is None:
        return f"< {high}"
    return f"> {low}" if high is None else f"{low} to {high}"
