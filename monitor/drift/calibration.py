"""How large a score gets by chance: simulated once per reference, kept inside it.

For each column and statistic, pairs of a reference of the same N rows and a window of n rows are drawn from the
reference's own profile and scored; n takes several sizes. What chance exceeds with probability ``alpha`` is drawn for
Wasserstein down to 1e-8 (``tilted``); for the others it is read from the simulated scores down to about 30 of them and
continued beyond by ``ln(alpha) ~ -score**1.5``: between the tail of normal counts (2) and that of skewed columns in
small windows (1). Between sizes ``score / sqrt(1/n + 1/N)`` is interpolated.

What the reference happens to lack has a probability too: one row in N beyond each of its extremes (as far as its tails
reach, continued), and for categories that of Good and Turing, the share of its rows whose category occurs once. A
reference of one value tells nothing of others: one row in N, in 10,000 at most, may be another.

The promise holds for rows that are independent of each other. Daily cycles are not: see ``docs/statistics.md``.
"""

import math
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.coarse_bins import FEW_VALUES as FEW_COARSE_VALUES
from driftline.monitor.drift.heavy_tails import heavy_tailed_columns, held_means, inherited_tails
from driftline.monitor.drift.registry import SHARE_STATISTICS, compares_categories, share_counts
from driftline.monitor.drift.shares import shares
from driftline.monitor.drift.tails import continue_tail, exceeded
from driftline.monitor.drift.tilted import tilted_pairs, weighted_exceeded
from driftline.monitor.drift.wasserstein import unit, winsor_limits
from driftline.store.profile.columns import ProfiledColumn
from driftline.store.profile.numeric import NumericCounts
from driftline.store.profile.reference import Reference

FORMAT = 4
SIZES = (100, 400, 2000, 20_000)
ALPHAS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
_SIMULATIONS = 4000
_MOST_CELLS = 1_000_000  # of one simulated table: columns of many categories are simulated less often
_FEWEST_SIMULATIONS = 1000
_SUPPORT = 128
_TAIL_POWER = 1.5
_STRANGERS = 1e-4  # of the rows at least, where the reference has one value only and tells nothing of them
_PAIRS = 2500  # of samples whose rare differences are drawn often


class Table(TypedDict):
    """Simulated scores of one column and statistic, free of the size's own effect.

    ``exceeded``: per size what chance exceeds with probability ``ALPHAS``; ``typical``: per size the root mean square.
    """

    exceeded: list[list[float]]
    typical: list[float]


def calibrate(reference: Reference) -> Reference:
    """Return the reference with simulated tables for every column and statistic; same bins, same ``spec_hash``.

    The same reference and seed give the same tables. Takes about 0.3 s per column.
    """
    heavy, tables = heavy_tailed_columns(reference), {}
    for profiled in reference.profiled:
        name = profiled.column.column_name
        rng = np.random.default_rng([reference.seed, zlib.crc32(name.encode())])
        tables[name] = _column_tables(profiled, reference, rng, heavy=name in heavy)
    return reference.with_calibration(_content(heavy, tables))


def calibrate_for(
    reference: Reference, chosen: Callable[[ProfiledColumn, Reference], str], whole: Reference | None = None
) -> Reference:
    """Return the reference with tables of one statistic per column only, which take a fraction of the time.

    Args:
        chosen: the statistic of a column; the reference that it is asked about knows which columns are heavy-tailed.
        whole: what the reference is a part of. The few rows of a part seldom show a heavy tail (of 1,000 lognormal
            ones, half do not), so what has one in the whole, or may have, has one in a part that reaches into it.
    """
    heavy = heavy_tailed_columns(reference)
    if whole is not None:
        heavy = sorted({*heavy, *inherited_tails(reference.profile, whole)})
    found = reference.with_calibration(_content(heavy, {}))
    tables = {}
    for profiled in reference.profiled:
        name = profiled.column.column_name
        rng = np.random.default_rng([reference.seed, zlib.crc32(name.encode())])
        wanted = {chosen(profiled, found)}
        tables[name] = _column_tables(profiled, reference, rng, wanted, heavy=name in heavy)
    return reference.with_calibration({**(found.calibration or {}), "columns": tables})


def simulated_statistics(reference: Reference) -> dict[str, set[str]]:
    """Return the statistics that have tables, by column name."""
    return {name: set(tables) for name, tables in (reference.calibration or {}).get("columns", {}).items()}


def _content(heavy: Sequence[str], tables: dict[str, dict[str, Table]]) -> dict[str, Any]:
    return {"format": FORMAT, "sizes": list(SIZES), "alphas": list(ALPHAS), "heavy": list(heavy), "columns": tables}


def is_calibrated(reference: Reference) -> bool:
    """Whether the reference carries tables that this version reads."""
    return reference.calibration is not None and reference.calibration.get("format") == FORMAT


def is_heavy_tailed(reference: Reference, column_name: str) -> bool:
    """Whether single rows may move a column's Wasserstein distance: by its fitted tail the fourth moment is infinite.

    Its extremes are then worth a bounded score only: ``winsorised_wasserstein``.
    """
    return column_name in (reference.calibration or {}).get("heavy", ())


def noise(
    reference: Reference, column_name: str, statistic: str, window_rows: int, reference_rows: int, alpha: float
) -> float:
    """Return the score that chance exceeds with probability ``alpha``.

    Args:
        reference: a calibrated one.
        column_name, statistic: what is judged.
        window_rows, reference_rows: rows with a value on each side, at least 1.
        alpha: of one judgement.

    Raises:
        ValueError: nothing was simulated for the column and statistic.
    """
    table = _table(reference, column_name, statistic)["exceeded"]
    logarithms = -np.log(ALPHAS)
    wanted = min(max(-math.log(alpha), logarithms[0]), logarithms[-1])
    return _at_size(
        [float(np.interp(wanted, logarithms, row)) for row in table], statistic, window_rows, reference_rows
    )


def typical_noise(
    reference: Reference, column_name: str, statistic: str, window_rows: int, reference_rows: int
) -> float:
    """Return the root mean square of the scores of windows drawn from the reference; arguments as for ``noise``."""
    table = _table(reference, column_name, statistic)["typical"]
    return _at_size(table, statistic, window_rows, reference_rows)


def _table(reference: Reference, column_name: str, statistic: str) -> Table:
    columns = (reference.calibration or {}).get("columns", {})
    if statistic not in columns.get(column_name, {}):
        raise ValueError(f"no simulated scores of {statistic} for {column_name}: calibrate the reference")
    return cast(Table, columns[column_name][statistic])


def _at_size(by_size: list[float], statistic: str, window_rows: int, reference_rows: int) -> float:
    scaled = float(np.interp(math.log(window_rows), np.log(SIZES), by_size))
    return float(scaled * (1 / window_rows + 1 / reference_rows) ** _rate(statistic))


def _column_tables(
    profiled: ProfiledColumn,
    reference: Reference,
    rng: np.random.Generator,
    wanted: Collection[str] | None = None,
    *,
    heavy: bool,
) -> dict[str, Table]:
    """Return the tables of all statistics, or of those wanted."""
    name = profiled.column.column_name
    tables: dict[str, Table] = {}
    if profiled.bins is not None and reference.profile.numeric(name).value_rows:
        tables |= _simulate_numbers(reference.profile.numeric(name), rng, wanted, heavy=heavy)
    if _has_values(profiled, reference):
        tables |= _simulate(_shares(profiled, reference), rng, wanted)
    return tables


def _has_values(profiled: ProfiledColumn, reference: Reference) -> bool:
    name, profile = profiled.column.column_name, reference.profile
    return bool((profile.numeric(name) if profiled.categories is None else profile.categories(name)).value_rows)


class _Heights:
    """Numbers, reduced to at most ``_SUPPORT`` values that stand for the reference, and the heights between them."""

    statistics = ("kolmogorov_smirnov",)

    def __init__(self, support: "_Support") -> None:
        self.rows, self.probabilities = support.rows, support.probabilities

    def score(self, statistic: str, reference: NDArray[np.int64], window: NDArray[np.int64]) -> NDArray[np.float64]:
        heights: NDArray[np.float64] = _gaps(reference, window).max(axis=1)
        return heights


class _Shares:
    """Rows per category or coarse bin, with what lies outside the reference."""

    statistics = tuple(SHARE_STATISTICS)

    def __init__(self, counts: NDArray[np.int64], outside: Sequence[int], outside_share: float) -> None:
        self.rows = int(counts.sum())
        self.probabilities = counts / self.rows
        self.probabilities[list(outside)] += outside_share
        self.probabilities /= self.probabilities.sum()
        self._inside = np.ones(counts.size, np.int64)
        self._inside[[place for place in outside if not counts[place]]] = 0

    def score(self, statistic: str, reference: NDArray[np.int64], window: NDArray[np.int64]) -> NDArray[np.float64]:
        inside = reference * self._inside  # no reference holds what lies outside of it
        inside[inside.sum(axis=1) == 0, int(np.argmax(self._inside))] = 1
        return SHARE_STATISTICS[statistic](inside, window)


def _shares(profiled: ProfiledColumn, reference: Reference) -> _Shares:
    counts = share_counts(profiled, reference.profile, reference.profile)
    once = np.count_nonzero(counts == 1) / counts.sum()
    if np.count_nonzero(counts) == 1:
        once = max(1 / counts.sum(), _STRANGERS)
    if compares_categories(profiled, reference.profile):
        return _Shares(counts, [-1], once if profiled.kind == "categorical" else 0.0)
    few = profiled.bins is not None and profiled.bins.distinct <= FEW_COARSE_VALUES
    return _Shares(counts, [0, -1], once / 2 if few else 1 / counts.sum())


def _simulate(
    drawn: _Heights | _Shares, rng: np.random.Generator, wanted: Collection[str] | None = None
) -> dict[str, Table]:
    """Return the table of each statistic."""
    statistics = [s for s in drawn.statistics if wanted is None or s in wanted]
    if not statistics:
        return {}
    held = drawn.probabilities
    simulations = max(_FEWEST_SIMULATIONS, min(_SIMULATIONS, _MOST_CELLS // held.size))
    references = rng.multinomial(drawn.rows, held, simulations)
    tables = {statistic: Table(exceeded=[], typical=[]) for statistic in statistics}
    for size in SIZES:
        windows = rng.multinomial(size, held, simulations)
        for statistic, by_size in tables.items():
            rate = _rate(statistic)
            scores = drawn.score(statistic, references, windows) / (1 / size + 1 / drawn.rows) ** rate
            by_size["exceeded"].append(exceeded(scores, ALPHAS, _TAIL_POWER / (2 * rate)))
            by_size["typical"].append(float(np.sqrt(np.mean(scores**2))))
    return tables


def _simulate_numbers(
    counts: NumericCounts, rng: np.random.Generator, wanted: Collection[str] | None = None, *, heavy: bool
) -> dict[str, Table]:
    tables = _simulate(_Heights(_support(counts, beyond=False)), rng, wanted)
    if wanted is not None and not {"wasserstein", "winsorised_wasserstein"} & set(wanted):
        return tables
    continued = _support(counts, beyond=True)
    tables["wasserstein"] = tables["winsorised_wasserstein"] = _simulate_areas(continued, rng)
    if heavy:  # elsewhere what holds for the distance as it is is cautious for the winsorised
        limits = np.array(winsor_limits(counts)) / unit(counts.bins)
        winsorised = replace(continued, values=np.clip(continued.values, *limits))
        tables["winsorised_wasserstein"] = _simulate_areas(winsorised, rng)
    return tables


def _simulate_areas(support: "_Support", rng: np.random.Generator) -> Table:
    by_size = Table(exceeded=[], typical=[])
    for size in SIZES:
        pairs = tilted_pairs(support.values, support.probabilities, (support.rows, size), _PAIRS, rng)
        scores = _gaps(*pairs[:2])[:, :-1] @ np.diff(support.values) / math.sqrt(1 / size + 1 / support.rows)
        by_size["exceeded"].append(weighted_exceeded(scores, pairs[2], ALPHAS))
        by_size["typical"].append(float(np.sqrt(np.average(scores**2, weights=pairs[2]))))
    return by_size


def _gaps(reference: NDArray[np.int64], window: NDArray[np.int64]) -> NDArray[np.float64]:
    gaps: NDArray[np.float64] = np.abs(np.cumsum(shares(window) - shares(reference), axis=1))
    return gaps


def _rate(statistic: str) -> float:
    """The power of 1 / rows at which chance shrinks: a distance by its root, a squared distance as it stands."""
    return 1.0 if statistic == "population_stability_index" else 0.5


@dataclass(frozen=True, eq=False)
class _Support:
    """Values, in units of the score, and probabilities that stand for the reference's ``rows``."""

    values: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    rows: int


def _support(counts: NumericCounts, *, beyond: bool) -> _Support:
    """Reduce the reference to a few values; ``beyond`` its extremes, its tails are continued."""
    means, rows = held_means(counts)
    starts = np.unique(np.linspace(0, rows.size, _SUPPORT + 1)[:-1].astype(np.int64))
    merged = np.add.reduceat(rows, starts)
    probabilities = merged / rows.sum()
    values = np.add.reduceat(means * (rows / rows.sum()), starts) / probabilities
    if beyond and counts.bins.distinct > FEW_COARSE_VALUES:
        upper, lower = continue_tail(means, rows), continue_tail(-means[::-1], rows[::-1])
        probabilities = np.concatenate([lower.probabilities[::-1], probabilities, upper.probabilities])
        values = np.concatenate([-lower.values[::-1], values, upper.values])
    return _Support(values / unit(counts.bins), probabilities / probabilities.sum(), int(rows.sum()))
