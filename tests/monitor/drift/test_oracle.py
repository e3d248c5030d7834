"""Beside Evidently and SciPy on the raw rows, and beside plain formulas over counted rows.

The columns are real ones that ship in packages, split as time or group would, and made ones: discrete ones, live values
off the reference's grid, values that collapse to one.
"""

import math
import warnings
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import distance

from driftline.monitor.drift.chi_square import chi_square_test
from driftline.monitor.drift.coarse_bins import coarse_groups
from driftline.monitor.drift.kolmogorov_smirnov import kolmogorov_smirnov_p_value
from driftline.monitor.drift.registry import score, share_counts
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference, build_reference

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pandas as pd
    from evidently.legacy.calculations.stattests.jensenshannon import jensenshannon_stat_test
    from evidently.legacy.calculations.stattests.ks_stattest import ks_stat_test
    from evidently.legacy.calculations.stattests.wasserstein_distance_norm import wasserstein_stat_test
    from evidently.legacy.core import ColumnType as EvidentlyType

Column = tuple[NDArray[Any], NDArray[Any]]


@cache
def real_columns(dataset: str) -> dict[str, Column]:
    """Columns of a data set that ships in a package: the first two thirds of the rows, and the rest."""
    if dataset == "randhie":
        source = pytest.importorskip("statsmodels.datasets", reason="comes with the extra `demo`")
        frame = source.randhie.load_pandas().data
    else:
        source = pytest.importorskip("sklearn.datasets", reason="comes with the extra `monitor`")
        frame = getattr(source, f"load_{dataset}")(as_frame=True).frame
    cut = len(frame) * 2 // 3
    columns = {name: frame[name].to_numpy(dtype=float) for name in list(frame.columns)[:14]}
    return {name: (column[:cut], column[cut:]) for name, column in columns.items()}


@cache
def made_columns() -> dict[str, Column]:
    """Columns that bins find hard."""
    rng = np.random.default_rng(20_260_101)
    grades, shares = np.array([1.0, 2, 3, 5, 8, 13]), [0.3, 0.3, 0.2, 0.1, 0.06, 0.04]
    normal, lognormal = rng.normal(size=20_000), rng.lognormal(2, 0.7, 20_000)
    return {
        "shifted": (normal, rng.normal(0.3, 1, 5_000)),
        "spread": (lognormal, rng.lognormal(2, 0.9, 5_000)),
        "counts": (rng.poisson(3, 20_000).astype(float), rng.poisson(3.5, 5_000).astype(float)),
        "counts off the grid": (
            rng.poisson(3, 20_000).astype(float),
            rng.poisson(3, 5_000) + rng.uniform(-0.3, 0.3, 5_000),
        ),
        "grades": (rng.choice(grades, 20_000, p=shares), rng.choice(grades, 900, p=shares[::-1])),
        "grades off the grid": (rng.choice(grades, 20_000, p=shares), rng.choice(grades, 900) + 0.5),
        "prices": (np.round(lognormal, 1), np.round(rng.lognormal(2.1, 0.7, 5_000), 2)),
        "many zeros": (
            np.where(rng.random(20_000) < 0.6, 0, rng.exponential(10, 20_000)),
            np.where(rng.random(5_000) < 0.5, 0, rng.exponential(10, 5_000)),
        ),
        "one value": (normal, np.full(500, 0.123)),
        "far out": (normal, rng.normal(40, 5, 500)),
    }


COLUMNS = ("randhie", "breast_cancer", "diabetes", "wine", "made")


def columns_of(dataset: str) -> dict[str, Column]:
    return made_columns() if dataset == "made" else real_columns(dataset)


def profiled(
    before: NDArray[Any], now: NDArray[Any], type_: ColumnType = ColumnType.DOUBLE
) -> tuple[Reference, Profile]:
    reference = build_reference([PredictionColumn("input", "x", "x", type_)], {"x": before}, source="", made_at_us=0)
    window = reference.empty_profile()
    window.add({"x": now}, now.size)
    return reference, window


def ours(statistic: str, sides: tuple[Reference, Profile]) -> float:
    reference, window = sides
    return score(statistic, reference.profiled[0], reference.profile, window)


@pytest.mark.parametrize("dataset", COLUMNS)
def test_normed_wasserstein_is_evidentlys_and_scipys(dataset: str) -> None:
    for name, (before, now) in columns_of(dataset).items():
        sides = profiled(before, now)
        if before.std() <= 1e-3:  # below, Evidently divides by 0.001
            continue
        found = ours("wasserstein", sides)
        exact = stats.wasserstein_distance(before, now) / before.std()
        theirs = wasserstein_stat_test(pd.Series(before), pd.Series(now), EvidentlyType.Numerical, 0.1)
        near = {"one value": 5e-3}.get(name, 1e-3)
        assert found == pytest.approx(exact, abs=near, rel=1e-9), name
        assert found == pytest.approx(float(theirs.drift_score), abs=near, rel=1e-9), name


@pytest.mark.parametrize("dataset", COLUMNS)
def test_winsorised_wasserstein_is_scipys_on_clipped_rows(dataset: str) -> None:
    from driftline.monitor.drift.wasserstein import unit, winsor_limits

    for name, (before, now) in columns_of(dataset).items():
        sides = profiled(before, now)
        counts = sides[0].profile.numeric("x")
        low, high = winsor_limits(counts)
        exact = stats.wasserstein_distance(np.clip(before, low, high), np.clip(now, low, high)) / unit(counts.bins)
        near = {"one value": 5e-3}.get(name, 1e-3)
        assert ours("winsorised_wasserstein", sides) == pytest.approx(exact, abs=near), name


@pytest.mark.parametrize("dataset", COLUMNS)
def test_kolmogorov_smirnov_is_scipys_and_its_p_value_evidentlys(dataset: str) -> None:
    for name, (before, now) in columns_of(dataset).items():
        found = ours("kolmogorov_smirnov", profiled(before, now))
        assert found == pytest.approx(stats.ks_2samp(before, now, method="asymp").statistic, abs=5e-3), name
        theirs = float(ks_stat_test(pd.Series(before), pd.Series(now), EvidentlyType.Numerical, 0.05).drift_score)
        assert kolmogorov_smirnov_p_value(found, before.size, now.size) == pytest.approx(theirs, abs=0.03), name


def few_valued(dataset: str) -> dict[str, Column]:
    return {name: pair for name, pair in columns_of(dataset).items() if np.unique(pair[0]).size <= 60}


def as_text(values: NDArray[Any]) -> NDArray[Any]:
    return np.array([f"category {value:g}" for value in values.tolist()], dtype=object)


def with_categories_of_its_own() -> Column:
    rng = np.random.default_rng(1)
    return as_text(rng.geometric(0.2, 4000)), as_text(rng.geometric(0.15, 900))


def category_columns() -> dict[str, Column]:
    real = {
        name: (as_text(before), as_text(now))
        for dataset in ("randhie", "wine", "made")
        for name, (before, now) in few_valued(dataset).items()
    }
    return {**real, "with new ones": with_categories_of_its_own()}


def counted(before: NDArray[Any], now: NDArray[Any]) -> NDArray[np.int64]:
    """Rows per category of both sides, every category on its own, shape (2, categories)."""
    sides = Counter(before.tolist()), Counter(now.tolist())
    names = sorted(sides[0].keys() | sides[1].keys())
    return np.array([[side[name] for name in names] for side in sides])


def test_there_are_real_columns_with_categories() -> None:
    assert len(category_columns()) >= 8


@pytest.mark.parametrize("name", category_columns())
def test_categorical_jensen_shannon_is_evidentlys_and_scipys_to_twelve_digits(name: str) -> None:
    before, now = category_columns()[name]
    found = ours("jensen_shannon", profiled(before, now, ColumnType.STRING))
    theirs = jensenshannon_stat_test(pd.Series(before), pd.Series(now), EvidentlyType.Categorical, 0.1)
    p, q = (side / side.sum() for side in counted(before, now))
    assert found == pytest.approx(float(theirs.drift_score), abs=1e-12)
    assert found == pytest.approx(float(np.nan_to_num(distance.jensenshannon(p, q))), abs=1e-12)


def test_jensen_shannon_of_numbers_of_few_values_is_evidentlys_to_twelve_digits() -> None:
    for name, (before, now) in real_columns("randhie").items():
        if np.unique(before).size <= 5:
            theirs = jensenshannon_stat_test(pd.Series(before), pd.Series(now), EvidentlyType.Categorical, 0.1)
            found = ours("jensen_shannon", profiled(before, now))
            assert found == pytest.approx(float(theirs.drift_score), abs=1e-12), name


@pytest.mark.parametrize("name", category_columns())
def test_chi_square_is_scipys_two_sample_test_on_all_categories(name: str) -> None:
    """Evidently's takes the reference as exact; both sides are samples."""
    before, now = category_columns()[name]
    sides = profiled(before, now, ColumnType.STRING)
    reference, window = sides
    table = counted(before, now)
    theirs = stats.chi2_contingency(table, correction=False)
    both = [share_counts(reference.profiled[0], reference.profile, p) for p in (reference.profile, window)]
    new = len(set(now.tolist()) - set(before.tolist()))
    statistic, p_value = chi_square_test(*both, unseen_categories=new)
    assert statistic == pytest.approx(float(theirs.statistic), rel=1e-9, abs=1e-9)
    assert p_value == pytest.approx(float(theirs.pvalue), rel=1e-6, abs=1e-300)
    scaled = math.sqrt(float(theirs.statistic) * (1 / before.size + 1 / now.size))
    assert ours("chi_square", sides) == pytest.approx(scaled, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", category_columns())
def test_total_variation_hellinger_and_unseen_share_are_their_formulas_on_all_categories(name: str) -> None:
    before, now = category_columns()[name]
    sides = profiled(before, now, ColumnType.STRING)
    p, q = ((side / side.sum()).tolist() for side in counted(before, now))
    pairs = list(zip(p, q, strict=True))
    assert ours("total_variation", sides) == pytest.approx(sum(abs(a - b) for a, b in pairs) / 2, abs=1e-12)
    apart = math.sqrt(sum((math.sqrt(a) - math.sqrt(b)) ** 2 for a, b in pairs) / 2)
    assert ours("hellinger", sides) == pytest.approx(apart, abs=1e-12)
    known = set(before.tolist())
    new = sum(1 for value in now.tolist() if value not in known) / now.size
    assert ours("unseen_share_difference", sides) == pytest.approx(new, abs=1e-12)


@pytest.mark.parametrize("dataset", COLUMNS)
def test_statistics_on_frozen_bins_are_their_formulas_on_rows_counted_in_them(dataset: str) -> None:
    for name, (before, now) in columns_of(dataset).items():
        sides = profiled(before, now)
        counts = sides[0].profile.numeric("x")
        fine = [np.searchsorted(counts.bins.edges, rows, side="right") for rows in (before, now)]
        groups = coarse_groups(counts)
        held = [Counter(groups[bins].tolist()) for bins in fine]
        rows = [[side[group] for group in range(int(groups[-1]) + 1)] for side in held]
        p, q = ([count / sum(side) for count in side] for side in rows)
        pairs = list(zip(p, q, strict=True))
        smooth = [[(count + 0.5) / (sum(side) + len(side) / 2) for count in side] for side in rows]
        index = sum((b - a) * math.log(b / a) for a, b in zip(*smooth, strict=True))
        assert ours("population_stability_index", sides) == pytest.approx(index, rel=1e-9), name
        apart = math.sqrt(sum((math.sqrt(a) - math.sqrt(b)) ** 2 for a, b in pairs) / 2)
        assert ours("hellinger", sides) == pytest.approx(apart, abs=1e-12), name
        assert ours("total_variation", sides) == pytest.approx(sum(abs(a - b) for a, b in pairs) / 2, abs=1e-12), name
        theirs = float(np.nan_to_num(distance.jensenshannon(p, q)))
        assert ours("jensen_shannon", sides) == pytest.approx(theirs, abs=1e-12), name
        table = np.array(rows)
        chi2 = float(stats.chi2_contingency(table[:, table.sum(axis=0) > 0], correction=False).statistic)
        scaled = math.sqrt(chi2 * (1 / before.size + 1 / now.size))
        assert ours("chi_square", sides) == pytest.approx(scaled, rel=1e-9), name


def test_an_outlier_hides_a_shift_from_bins_of_equal_width_and_not_from_frozen_ones() -> None:
    """Why index, Hellinger and Jensen-Shannon of numbers are taken on our own bins and not on Evidently's."""
    from evidently.legacy.calculations.stattests.psi import psi_stat_test

    rng = np.random.default_rng(3)
    before, now = rng.normal(size=5_000), rng.normal(0.5, 1, 5_000)
    outlier = np.append(now[:-1], 1e6)
    seen, hidden = (
        float(psi_stat_test(pd.Series(before), pd.Series(rows), EvidentlyType.Numerical, 0.1).drift_score)
        for rows in (now, outlier)
    )
    assert hidden < 0.2 * seen
    plain, disturbed = (ours("population_stability_index", profiled(before, rows)) for rows in (now, outlier))
    assert disturbed == pytest.approx(plain, rel=0.05)
    assert plain > 0.2
