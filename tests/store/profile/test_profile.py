"""Profiles add exactly, whatever the batches, and survive their bytes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from driftline.store.errors import ProfileCorrupt
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference, build_reference

Rows = Callable[[int, int], dict[str, NDArray[Any]]]


def profile_of(reference: Reference, data: dict[str, NDArray[Any]], rows: int) -> Profile:
    profile = reference.empty_profile()
    profile.add(data, rows)
    return profile


def part(data: dict[str, NDArray[Any]], start: int, stop: int) -> dict[str, NDArray[Any]]:
    return {name: cells[start:stop] for name, cells in data.items()}


def test_the_sum_of_parts_equals_the_whole_exactly(reference: Reference, rows_of: Rows) -> None:
    data = rows_of(2, 3000)
    whole = profile_of(reference, data, 3000)
    for batch in (1, 7, 1000, 2999):
        parts = reference.empty_profile()
        for start in range(0, 3000, batch):
            stop = min(3000, start + batch)
            parts += profile_of(reference, part(data, start, stop), stop - start)
        assert parts == whole


def test_adding_is_associative_and_commutative(reference: Reference, rows_of: Rows) -> None:
    a, b, c = (profile_of(reference, rows_of(seed, 400), 400) for seed in (3, 4, 5))
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert (a + b).to_bytes() == (b + a).to_bytes()


def test_the_order_of_rows_does_not_matter(reference: Reference, rows_of: Rows) -> None:
    data = rows_of(6, 2500)
    shuffled = np.random.default_rng(0).permutation(2500)
    assert profile_of(reference, data, 2500) == profile_of(
        reference, {name: cells[shuffled] for name, cells in data.items()}, 2500
    )


def test_one_row_more_makes_another_profile(reference: Reference, rows_of: Rows) -> None:
    data = rows_of(7, 100)
    assert profile_of(reference, data, 100) != profile_of(reference, part(data, 0, 99), 99)


def test_bytes_hold_the_whole_profile(reference: Reference, rows_of: Rows) -> None:
    for rows in (0, 1, 3000):
        profile = profile_of(reference, rows_of(8, rows), rows)
        assert Profile.from_bytes(reference, profile.to_bytes()) == profile


def test_every_row_is_counted_once_in_every_column(reference: Reference, rows_of: Rows) -> None:
    profile = profile_of(reference, rows_of(9, 1500), 1500)
    for profiled in reference.profiled:
        name = profiled.column.column_name
        if profiled.bins is not None:
            n = profile.numeric(name)
            assert n.value_rows + n.missing + n.not_a_number + n.plus_infinity + n.minus_infinity == 1500
        if profiled.categories is not None:
            c = profile.categories(name)
            assert c.value_rows + c.missing == 1500


def test_absent_column_counts_as_missing(reference: Reference, rows_of: Rows) -> None:
    data = rows_of(10, 50)
    del data["amount"], data["region"]
    profile = profile_of(reference, data, 50)
    assert profile.numeric("amount").missing == 50
    assert profile.categories("region").missing == 50


def test_mean_and_deviation_are_those_of_the_rows(reference: Reference, rows_of: Rows) -> None:
    data = rows_of(11, 2000)
    data["score"] = data["score"] * 40 - 3  # mostly outside the reference's range
    profile = profile_of(reference, data, 2000)
    for name in ("amount", "age", "score"):
        values = data[name].astype(float)
        assert profile.numeric(name).mean == pytest.approx(np.nanmean(values), rel=1e-8)
        assert profile.numeric(name).deviation == pytest.approx(np.nanstd(values), rel=1e-4)


def test_extreme_values_are_counted_and_add_exactly(reference: Reference, rows_of: Rows) -> None:
    extreme = np.array([1e300, -1e300, 1.7e308, -1.7e308, 5e-324, np.inf, -np.inf, np.nan, 2.0**63 - 1, -0.0, 0.0, 1.0])
    data = {"amount": extreme, "age": np.array([2**63 - 1, -(2**63), *range(10)], dtype=np.int64)}
    whole = profile_of(reference, data, 12)
    parts = reference.empty_profile()
    for i in reversed(range(12)):
        parts += profile_of(reference, part(data, i, i + 1), 1)
    assert parts == whole
    assert Profile.from_bytes(reference, whole.to_bytes()) == whole
    amount = whole.numeric("amount")
    assert (amount.plus_infinity, amount.minus_infinity, amount.missing, amount.value_rows) == (1, 1, 1, 9)
    assert (amount.least, amount.greatest) == (-1.7e308, 1.7e308)


def test_mixed_objects_never_fail_and_are_counted(reference: Reference) -> None:
    strange = np.empty(8, dtype=object)
    strange[:] = ["text", 3, None, float("nan"), [1, 2], {"a": 1}, 10**400, b"raw"]
    profile = profile_of(reference, {c.column_name: strange for c in reference.columns}, 8)
    amount = profile.numeric("amount")
    assert (amount.missing, amount.not_a_number, amount.plus_infinity, amount.value_rows) == (2, 4, 1, 1)
    region = profile.categories("region")
    assert (region.missing, region.unseen) == (2, 6)
    assert Profile.from_bytes(reference, profile.to_bytes()) == profile


def test_arrays_may_change_after_they_were_added(reference: Reference) -> None:
    ages = np.array([30], dtype=np.int32)
    profile = profile_of(reference, {"age": ages}, 1)
    ages[0] = 60
    assert profile == profile_of(reference, {"age": np.array([30], dtype=np.int32)}, 1)


def test_array_of_another_length_is_refused(reference: Reference) -> None:
    with pytest.raises(ValueError, match="column age has 2 cells, 3 rows are added"):
        reference.empty_profile().add({"age": np.array([1, 2])}, 3)


def test_profile_on_other_bins_is_refused(reference: Reference, rows_of: Rows) -> None:
    data = rows_of(12, 200)
    other = build_reference(reference.columns, data, source="other", made_at_us=0)
    with pytest.raises(ValueError, match="other bins"):
        profile_of(other, data, 200).__iadd__(profile_of(reference, data, 200))
    with pytest.raises(ProfileCorrupt, match="of another reference"):
        Profile.from_bytes(reference, profile_of(other, data, 200).to_bytes())


def test_any_damaged_byte_is_noticed(reference: Reference, rows_of: Rows) -> None:
    raw = profile_of(reference, rows_of(13, 20), 20).to_bytes()
    for position in range(0, len(raw), 11):
        damaged = raw[:position] + bytes([raw[position] ^ 0x55]) + raw[position + 1 :]
        with pytest.raises(ProfileCorrupt):
            Profile.from_bytes(reference, damaged)
    for size in (0, 3, 12, len(raw) // 2, len(raw) - 1):
        with pytest.raises(ProfileCorrupt):
            Profile.from_bytes(reference, raw[:size])


def test_float_column_meets_its_training_data_in_32_bits() -> None:
    column = PredictionColumn("input", "x", "x", ColumnType.FLOAT)
    training = np.array([0.1, 0.2, 0.3] * 50)
    reference = build_reference([column], {"x": training}, source="", made_at_us=0)
    assert profile_of(reference, {"x": training.astype(np.float32)}, 150) == reference.profile


numbers = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), max_size=40)


@settings(max_examples=150, deadline=None)
@given(reference_values=numbers, values=numbers, cut=st.integers(0, 40), shuffle=st.randoms(use_true_random=False))
def test_any_numbers_in_any_split_and_order_make_one_profile(
    reference_values: list[float], values: list[float], cut: int, shuffle: Any
) -> None:
    column = PredictionColumn("input", "x", "x", ColumnType.DOUBLE)
    reference = build_reference([column], {"x": np.array(reference_values, dtype=float)}, source="", made_at_us=0)
    whole = profile_of(reference, {"x": np.array(values, dtype=float)}, len(values))
    mixed = list(values)
    shuffle.shuffle(mixed)
    left, right = mixed[:cut], mixed[cut:]
    parts = profile_of(reference, {"x": np.array(right, dtype=float)}, len(right))
    parts += profile_of(reference, {"x": np.array(left, dtype=float)}, len(left))
    assert parts == whole
    assert Profile.from_bytes(reference, parts.to_bytes()) == whole


cells = st.lists(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.binary(max_size=3)),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(reference_cells=cells, live=cells, cut=st.integers(0, 30))
def test_any_cells_in_any_split_make_one_profile(reference_cells: list[Any], live: list[Any], cut: int) -> None:
    def array(values: list[Any]) -> NDArray[Any]:
        made = np.empty(len(values), dtype=object)
        made[:] = values
        return made

    column = PredictionColumn("input", "x", "x", ColumnType.STRING)
    reference = build_reference([column], {"x": array(reference_cells)}, source="", made_at_us=0)
    assert reference.profile.categories("x").unseen == 0
    whole = profile_of(reference, {"x": array(live)}, len(live))
    parts = profile_of(reference, {"x": array(live[cut:])}, len(live[cut:]))
    parts += profile_of(reference, {"x": array(live[:cut])}, len(live[:cut]))
    assert parts == whole
    assert Profile.from_bytes(reference, parts.to_bytes()) == whole
