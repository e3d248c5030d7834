"""What a window's profile alone tells of each column."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.monitor.quality.columns import ColumnChecks
from driftline.monitor.quality.finding import Kind, QualityFinding, QualityVerdict
from driftline.monitor.quality.settings import QualitySettings
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.reference import Reference, build_reference

Data = dict[str, NDArray[Any]]
COLUMNS = (
    PredictionColumn("input", "income", "in_income", ColumnType.DOUBLE),
    PredictionColumn("input", "city", "in_city", ColumnType.STRING),
    PredictionColumn("input", "visits", "in_visits", ColumnType.LONG),
    PredictionColumn("input", "born", "in_born", ColumnType.DATETIME),
    PredictionColumn("output", "prediction", "out_prediction", ColumnType.DOUBLE),
)
CITIES = np.array(["Rome", "Oslo", "Lima", "Bern"], object)
WINDOW = (0, 3_600_000_000)


def rows(count: int, seed: int) -> Data:
    rng = np.random.default_rng(seed)
    income = rng.normal(50, 10, count)
    income[rng.random(count) < 0.02] = np.nan
    return {
        "in_income": income,
        "in_city": CITIES[rng.integers(0, 4, count)],
        "in_visits": rng.poisson(3, count),
        "in_born": rng.integers(0, 10**15, count),
        "out_prediction": rng.random(count),
    }


@pytest.fixture(scope="module")
def reference() -> Reference:
    return build_reference(COLUMNS, rows(3_000, 1), source="test", made_at_us=0)


def found(reference: Reference, data: Data, error_rate: float = 1e-5) -> dict[tuple[Kind, str], QualityFinding]:
    profile = reference.empty_profile()
    profile.add(data, len(data["in_income"]))
    findings = ColumnChecks(reference, profile, QualitySettings(), WINDOW, error_rate).findings()
    return {(f.kind, f.name): f for f in findings}


def breaches(findings: dict[tuple[Kind, str], QualityFinding]) -> set[tuple[Kind, str]]:
    return {key for key, f in findings.items() if f.verdict is QualityVerdict.BREACH}


def test_rows_like_the_training_rows_breach_nothing(reference: Reference) -> None:
    findings = found(reference, rows(1_000, 2))
    assert breaches(findings) == set()
    assert all(f.verdict is QualityVerdict.OK for f in findings.values())
    assert (Kind.UNSEEN_CATEGORY, "city") in findings
    assert (Kind.OUT_OF_RANGE, "born") not in findings  # times always move on
    assert (Kind.OUT_OF_RANGE, "prediction") in findings


def test_cells_that_go_missing_are_told_with_their_shares(reference: Reference) -> None:
    data = rows(1_000, 2)
    data["in_income"][:200] = np.nan
    findings = found(reference, data)
    assert breaches(findings) == {(Kind.MISSING, "income")}
    missing = findings[Kind.MISSING, "income"]
    assert missing.observed == pytest.approx(0.21, abs=0.02)
    assert missing.expected == pytest.approx(0.02, abs=0.01)
    assert missing.expected < missing.threshold < missing.observed  # type: ignore[operator]
    assert "of the cells are missing" in missing.reason
    assert "1,000 rows of 1 h" in missing.reason


def test_fewer_missing_cells_than_in_training_are_no_breach(reference: Reference) -> None:
    data = rows(1_000, 2)
    data["in_income"] = np.nan_to_num(data["in_income"], nan=50.0)
    assert breaches(found(reference, data)) == set()


@pytest.mark.parametrize("value", [1e6, np.inf, -np.inf])
def test_values_beyond_the_training_datas_extremes_are_told(reference: Reference, value: float) -> None:
    data = rows(1_000, 2)
    data["in_income"][:50] = value
    assert breaches(found(reference, data)) == {(Kind.OUT_OF_RANGE, "income")}


def test_categories_that_training_never_saw_are_told_without_their_names(reference: Reference) -> None:
    data = rows(1_000, 2)
    data["in_city"][:50] = "Atlantis"
    findings = found(reference, data)
    assert breaches(findings) == {(Kind.UNSEEN_CATEGORY, "city")}
    assert "Atlantis" not in findings[Kind.UNSEEN_CATEGORY, "city"].reason


@pytest.mark.parametrize(("column", "name", "value"), [
    ("in_income", "income", 50.0), ("in_city", "city", "Oslo"), ("in_visits", "visits", 3), ("in_born", "born", 5),
    ("out_prediction", "prediction", 0.5),
])  # fmt: skip
def test_a_column_that_freezes_is_told(reference: Reference, column: str, name: str, value: object) -> None:
    data = rows(500, 2)
    data[column] = np.full(500, value, data[column].dtype)
    findings = found(reference, data)
    assert (Kind.CONSTANT, name) in breaches(findings)
    assert "500 values are one and the same" in findings[Kind.CONSTANT, name].reason


def test_a_category_that_was_always_nearly_alone_may_be_alone() -> None:
    data = rows(3_000, 1)
    data["in_city"] = np.where(np.arange(3_000) < 5, CITIES[0], CITIES[1])
    one_sided = build_reference(COLUMNS, data, source="test", made_at_us=0)
    live = rows(500, 2) | {"in_city": np.full(500, CITIES[1], object)}
    assert found(one_sided, live)[Kind.CONSTANT, "city"].verdict is QualityVerdict.INSUFFICIENT_DATA


def test_a_column_that_was_constant_in_training_may_stay_so() -> None:
    data = rows(3_000, 1) | {"in_visits": np.zeros(3_000, np.int64)}
    frozen = build_reference(COLUMNS, data, source="test", made_at_us=0)
    assert (Kind.CONSTANT, "visits") not in found(frozen, rows(500, 2) | {"in_visits": np.zeros(500, np.int64)})


def test_few_rows_get_no_verdict(reference: Reference) -> None:
    data = rows(99, 2)
    data["in_city"][:] = "Atlantis"
    assert {f.verdict for f in found(reference, data).values()} == {QualityVerdict.INSUFFICIENT_DATA}
    assert {f.verdict for f in found(reference, rows(0, 2)).values()} == {QualityVerdict.INSUFFICIENT_DATA}


def test_chance_breaches_less_often_than_it_may(reference: Reference) -> None:
    checks, wrong = 0, 0
    for seed in range(100, 250):
        fresh = build_reference(COLUMNS, rows(1_000, seed), source="test", made_at_us=0)
        findings = found(fresh, rows(300, seed + 1_000), error_rate=0.01)
        checks += len(findings)
        wrong += len(breaches(findings))
    assert checks > 1_500
    assert wrong <= 0.01 * checks


def test_dates_are_counted_as_they_are_stored(reference: Reference) -> None:
    moments = np.array([datetime(2024, 1, 1) + timedelta(days=i) for i in range(500)], object)  # noqa: DTZ001
    assert breaches(found(reference, rows(500, 2) | {"in_born": moments})) == set()
