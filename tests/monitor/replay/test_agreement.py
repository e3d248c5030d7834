"""How answers of two versions are compared."""

import numpy as np
import pytest
from scipy.stats import binomtest

from driftline.monitor.replay.agreement import (
    ClassAgreement,
    NumberAgreement,
    compare_most_probable,
    compare_output,
    most_probable,
)
from driftline.monitor.replay.intervals import of_mean, wilson
from driftline.monitor.replay.where import telling_columns
from driftline.store.payload.typed_cells import Column, typed_column
from driftline.store.prediction_columns import ColumnType, PredictionColumn


def side(type_: ColumnType, cells: list[object], name: str = "y") -> tuple[PredictionColumn, Column]:
    """An output or input and its cells."""
    return PredictionColumn("output", name, f"out_{name}", type_), typed_column(type_, cells)


def test_wilsons_interval_is_scipys() -> None:
    for count, rows in ((0, 100), (1, 7), (50, 100), (2_100, 100_000), (9, 9)):
        exact = binomtest(count, rows).proportion_ci(0.95, "wilson")
        assert wilson(count, rows) == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_interval_of_a_mean_covers_it_nineteen_times_of_twenty() -> None:
    rng = np.random.default_rng(0)
    covered = [low <= 1 <= high for low, high in (of_mean(rng.normal(1, 2, 200)) or (0, 0) for _ in range(2_000))]
    assert 0.935 < np.mean(covered) < 0.965
    assert of_mean(np.array([1.0])) is None


def test_classes_differ_or_not_and_moves_are_counted() -> None:
    found = compare_output(side(ColumnType.STRING, list("aabbc")), side(ColumnType.STRING, list("abbab")))
    assert isinstance(found, ClassAgreement)
    assert found.differing.tolist() == [False, True, False, True, True]
    assert found.moves == (("a", "b", 1), ("b", "a", 1), ("c", "b", 1))


def test_a_class_is_the_same_whatever_type_its_number_has() -> None:
    found = compare_output(side(ColumnType.LONG, [0, 1, 1]), side(ColumnType.DOUBLE, [0.0, 1.0, 0.0]))
    assert isinstance(found, ClassAgreement)
    assert found.moves == (("1", "0", 1),)
    unsigned = compare_output(side(ColumnType.LONG, [0, 1, 1]), side(ColumnType.JSON, [0, 1, 1]))
    assert not unsigned.differing.any()


def test_numbers_differ_beyond_the_tolerance_and_rounding_is_no_difference() -> None:
    then = [1.0, 2.5, 3.0, float("nan"), float("nan"), 7.25]
    now = [1.0 * (1 + 1e-15), 2.6, 4.0, float("nan"), 1.0, 7.25]
    found = compare_output(side(ColumnType.DOUBLE, then), side(ColumnType.DOUBLE, now), 0.5)
    assert isinstance(found, NumberAgreement)
    assert found.differs.tolist() == [False, True, True, False, True, False]
    assert found.differing.tolist() == [False, False, True, False, True, False]
    told = found.document()
    assert (told["unequal_rows"], told["differing_rows"], told["without_a_number"]) == (3, 2, 1)
    assert told["bias"] == pytest.approx(1.1 / 5)
    assert told["median_absolute"] == 0.0


def test_floats_of_four_bytes_are_rounded_more() -> None:
    then, now = side(ColumnType.FLOAT, [0.1, 0.7]), side(ColumnType.FLOAT, [0.1000001, 0.7001])
    assert compare_output(then, now, 0.0).differing.tolist() == [False, True]


def test_the_usual_tolerance_is_of_the_answers_scale() -> None:
    probabilities = compare_output(side(ColumnType.DOUBLE, [0.1, 0.5, 0.9]), side(ColumnType.DOUBLE, [0.14, 0.56, 0.9]))
    assert isinstance(probabilities, NumberAgreement)
    assert probabilities.differing.tolist() == [False, True, False]
    amounts = np.random.default_rng(0).normal(100, 20, 1_000)
    found = compare_output(side(ColumnType.DOUBLE, amounts.tolist()), side(ColumnType.DOUBLE, (amounts + 1).tolist()))
    assert isinstance(found, NumberAgreement)
    assert found.tolerance == pytest.approx(amounts.std() / 10)
    assert found.correlation == pytest.approx(1.0)


def test_of_probabilities_the_largest_is_the_answer() -> None:
    then = [side(ColumnType.DOUBLE, [0.7, 0.2], "a"), side(ColumnType.DOUBLE, [0.3, 0.8], "b")]
    now = [side(ColumnType.DOUBLE, [0.4, 0.1], "a"), side(ColumnType.DOUBLE, [0.6, 0.9], "b")]
    first, second = most_probable(then), most_probable(now)
    assert first is not None
    assert second is not None
    assert compare_most_probable(["a", "b"], first, second).moves == (("a", "b", 1),)
    assert most_probable([*then, side(ColumnType.DOUBLE, [0.5, 0.5], "c")]) is None
    assert most_probable([side(ColumnType.STRING, ["x", "y"]), then[0]]) is None


def test_the_input_that_tells_where_answers_differ_is_named_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    age, noise = rng.uniform(20, 80, 4_000), rng.normal(size=4_000)
    plan = rng.choice(np.array(["gold", "basic", "free"], dtype=object), 4_000)
    differing = rng.random(4_000) < np.where(age > 68, 0.3, 0.02)
    inputs = [
        (PredictionColumn("input", "noise", "in_noise", ColumnType.DOUBLE), noise),
        (PredictionColumn("input", "age", "in_age", ColumnType.DOUBLE), age),
        (PredictionColumn("input", "plan", "in_plan", ColumnType.STRING), plan),
    ]
    (found,) = telling_columns(inputs, differing)
    assert found.name == "age"
    assert found.regions[-1].said.startswith("above 6")
    assert found.regions[-1].differing > 100 > found.regions[0].differing
    (by_plan,) = telling_columns(inputs[2:], (plan == "free") & (rng.random(4_000) < 0.5))
    assert "free" not in str(by_plan.document())
    (shown,) = telling_columns(inputs[2:], (plan == "free") & (rng.random(4_000) < 0.5), show_values=True)
    assert {r.said for r in shown.regions} == {"gold", "basic", "free"}
    assert telling_columns(inputs, np.zeros(4_000, np.bool_)) == []
