"""Beside Evidently and SciPy on the raw rows: real columns that ship in packages, split as time or group would."""

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from driftline.monitor.drift.registry import score
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.reference import build_reference


def _randhie() -> dict[str, NDArray[Any]]:
    statsmodels = pytest.importorskip("statsmodels.datasets", reason="comes with the extra `demo`")
    frame = statsmodels.randhie.load_pandas().data
    return {name: frame[name].to_numpy(dtype=float) for name in frame.columns}


def _breast_cancer() -> dict[str, NDArray[Any]]:
    datasets = pytest.importorskip("sklearn.datasets", reason="comes with the extra `monitor`")
    frame = datasets.load_breast_cancer(as_frame=True).frame
    return {name: frame[name].to_numpy(dtype=float) for name in list(frame.columns)[:12]}


def _halves(column: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return column[: column.size * 2 // 3], column[column.size * 2 // 3 :]


def _scores(before: NDArray[Any], now: NDArray[Any], type_: ColumnType, *statistics: str) -> list[float]:
    reference = build_reference([PredictionColumn("input", "x", "x", type_)], {"x": before}, source="", made_at_us=0)
    window = reference.empty_profile()
    window.add({"x": now}, now.size)
    return [score(statistic, reference.profiled[0], reference.profile, window) for statistic in statistics]


@pytest.mark.parametrize("data", [_randhie, _breast_cancer])
def test_wasserstein_and_kolmogorov_smirnov_are_evidentlys_and_scipys(data: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas as pd
        from evidently.legacy.calculations.stattests.wasserstein_distance_norm import wasserstein_stat_test
        from evidently.legacy.core import ColumnType as EvidentlyType

    for name, column in data().items():
        before, now = _halves(column)
        area, height = _scores(before, now, ColumnType.DOUBLE, "wasserstein", "kolmogorov_smirnov")
        assert height == pytest.approx(stats.ks_2samp(before, now, method="asymp").statistic, abs=5e-3), name
        if before.std() > 1e-3:  # below, Evidently divides by 0.001
            theirs = wasserstein_stat_test(pd.Series(before), pd.Series(now), EvidentlyType.Numerical, 0.1)
            assert area == pytest.approx(float(theirs.drift_score), abs=1e-3), name


def test_categorical_jensen_shannon_is_evidentlys_to_twelve_digits() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas as pd
        from evidently.legacy.calculations.stattests.jensenshannon import jensenshannon_stat_test
        from evidently.legacy.core import ColumnType as EvidentlyType

    rng = np.random.default_rng(1)
    before = np.array([f"k{i}" for i in rng.geometric(0.2, 4000)], dtype=object)
    now = np.array([f"k{i}" for i in rng.geometric(0.15, 900)], dtype=object)  # with categories of its own
    theirs = jensenshannon_stat_test(pd.Series(before), pd.Series(now), EvidentlyType.Categorical, 0.1)
    (ours,) = _scores(before, now, ColumnType.STRING, "jensen_shannon")
    assert ours == pytest.approx(float(theirs.drift_score), abs=1e-12)
    for name, column in _randhie().items():
        if np.unique(column).size <= 5:
            before, now = _halves(column)
            theirs = jensenshannon_stat_test(pd.Series(before), pd.Series(now), EvidentlyType.Categorical, 0.1)
            (ours,) = _scores(before, now, ColumnType.DOUBLE, "jensen_shannon")
            assert ours == pytest.approx(float(theirs.drift_score), abs=1e-12), name
