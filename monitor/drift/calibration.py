"""How large a score gets by chance: simulated once per reference, kept inside it.

For each column and statistic, windows of several sizes are drawn from the reference's own profile and scored. What
chance exceeds with probability ``alpha`` is read from the simulated scores down to ``1 / simulations`` and continued
beyond by ``ln(alpha) ~ -score**1.5``: between the tail of normal counts (2) and that of heavy-tailed columns in small
windows (1). Between sizes ``score * sqrt(rows)`` is interpolated. That the reference is itself a sample of N rows widens a window of n rows by
``sqrt(1 + n / N)``.

The promise holds for rows that are independent of each other. Daily cycles are not: see ``docs/statistics.md``.
"""

import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.registry import SHARE_STATISTICS, share_counts
from driftline.monitor.drift.wasserstein import unit
from driftline.store.profile.columns import ProfiledColumn
from driftline.store.profile.numeric import NumericCounts
from driftline.store.profile.reference import Reference

FORMAT = 1
SIZES = (100, 300, 1000, 5000, 50_000)
ALPHAS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
_SIMULATIONS = 4000
_MOST_CELLS = 1_000_000  # of one simulated table: columns of many categories are simulated less often
_FEWEST_SIMULATIONS = 1000
_SUPPORT = 128
_TAIL_POWER = 1.5


def calibrate(reference: Reference) -> Reference:
    """Return the reference with simulated tables for every column and statistic; same bins, same ``spec_hash``.

    The same reference and seed give the same tables. Takes about 0.2 s per column.
    """
    tables = {}
    for profiled in reference.profiled:
        name = profiled.column.column_name
        rng = np.random.default_rng([reference.seed, zlib.crc32(name.encode())])
        tables[name] = _column_tables(profiled, reference, rng)
    content = {"format": FORMAT, "sizes": list(SIZES), "alphas": list(ALPHAS), "columns": tables}
    return reference.with_calibration(content)


def is_calibrated(reference: Reference) -> bool:
    """Whether the reference carries tables that this version reads."""
    return reference.calibration is not None and reference.calibration.get("format") == FORMAT


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
    content: dict[str, Any] = reference.calibration or {}
    table = content.get("columns", {}).get(column_name, {}).get(statistic)
    if table is None:
        raise ValueError(f"no simulated scores of {statistic} for {column_name}: calibrate the reference")
    logarithms = -np.log(content["alphas"])
    wanted = min(max(-math.log(alpha), logarithms[0]), logarithms[-1])
    rooted = [float(np.interp(wanted, logarithms, row)) for row in table]
    scaled = float(np.interp(math.log(window_rows), np.log(content["sizes"]), rooted))
    return float(scaled * (1 / window_rows + 1 / reference_rows) ** _rate(statistic))


def _column_tables(
    profiled: ProfiledColumn, reference: Reference, rng: np.random.Generator
) -> dict[str, list[list[float]]]:
    name = profiled.column.column_name
    simulated: dict[str, list[NDArray[np.float64]]] = {}
    if profiled.bins is not None and reference.profile.numeric(name).value_rows:
        for size in SIZES:
            for statistic, scores in _distribution_scores(reference.profile.numeric(name), size, rng).items():
                simulated.setdefault(statistic, []).append(scores)
    shares_known = profiled.bins is not None and profiled.categories is None
    held = (
        reference.profile.numeric(name).value_rows if shares_known else (reference.profile.categories(name).value_rows)
    )
    if held:
        counts = share_counts(profiled, reference.profile, reference.profile)
        for size in SIZES:
            windows = _draw(rng, counts / counts.sum(), size)
            for statistic, function in SHARE_STATISTICS.items():
                simulated.setdefault(statistic, []).append(function(counts, windows))
    return {
        statistic: [
            _tail(scores * size**rate, _TAIL_POWER / (2 * rate))
            for size, scores in zip(SIZES, by_size, strict=True)
        ]
        for statistic, by_size in simulated.items()
        for rate in (_rate(statistic),)
    }


def _rate(statistic: str) -> float:
    """The power of 1 / rows at which chance shrinks: a distance by its root, a squared distance as it stands."""
    return 1.0 if statistic == "population_stability_index" else 0.5


def _draw(rng: np.random.Generator, probabilities: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    held = np.nonzero(probabilities)[0]
    simulations = max(_FEWEST_SIMULATIONS, min(_SIMULATIONS, _MOST_CELLS // held.size))
    windows = np.zeros((simulations, probabilities.size), np.int64)
    windows[:, held] = rng.multinomial(size, probabilities[held] / probabilities[held].sum(), simulations)
    return windows


def _distribution_scores(counts: NumericCounts, size: int, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Score windows drawn from at most ``_SUPPORT`` values that stand for the reference."""
    values, probabilities = _support(counts)
    windows = _draw(rng, probabilities, size)
    gaps = np.cumsum(windows / size - probabilities, axis=1)
    return {
        "wasserstein": np.abs(gaps[:, :-1]) @ np.diff(values) / unit(counts.bins),
        "kolmogorov_smirnov": np.abs(gaps).max(axis=1),
    }


def _support(counts: NumericCounts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    held = np.nonzero(counts.counts)[0]
    lower = np.concatenate([counts.bins.edges[:1], counts.bins.edges])[held]
    rows = counts.counts[held]
    means = lower + counts.offset_sums[held] / rows
    starts = np.unique(np.linspace(0, held.size, _SUPPORT + 1)[:-1].astype(np.int64))
    merged = np.add.reduceat(rows, starts)
    return np.add.reduceat(means * (rows / rows.sum()), starts) / (merged / rows.sum()), merged / rows.sum()


def _tail(scores: NDArray[np.float64], power: float) -> list[float]:
    """Return the scores that are exceeded with probability ``ALPHAS``; ``score**power`` rises as ``-ln(alpha)``."""
    ordered = np.sort(scores)
    seen = [alpha for alpha in ALPHAS if alpha * scores.size >= 30]
    quantiles = np.quantile(ordered, [1 - alpha for alpha in seen]).tolist()
    levels = np.arange(int(0.05 * scores.size), 4, -1)
    slope, start = np.polyfit(-np.log((levels - 0.5) / scores.size), ordered[-levels] ** power, 1)
    beyond = [max(start - slope * math.log(alpha), 0.0) ** (1 / power) for alpha in ALPHAS[len(seen) :]]
    rising: list[float] = np.maximum.accumulate([*quantiles, *beyond]).tolist()
    return rising
