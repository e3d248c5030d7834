"""Cells as numbers."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from driftline.store.profile.cells import to_floats


def objects(*cells: object) -> np.ndarray:
    made = np.empty(len(cells), dtype=object)
    made[:] = cells
    return made


def test_missing_cells_are_nan_and_no_mistakes() -> None:
    values, mistakes = to_floats(objects(1, None, float("nan"), pd.NA, pd.NaT, True, Decimal("2.5")))
    assert values.tolist() == pytest.approx([1, np.nan, np.nan, np.nan, np.nan, 1, 2.5], nan_ok=True)
    assert mistakes == 0


def test_what_is_no_number_is_a_mistake_even_if_it_looks_like_one() -> None:
    assert to_floats(objects("1.5", b"2", [3], {}, object()))[1] == 5


def test_numbers_beyond_a_float_are_infinite() -> None:
    assert to_floats(objects(10**400, -(10**400), "x"))[0].tolist()[:2] == [np.inf, -np.inf]


def test_times_are_microseconds() -> None:
    stamp = datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    expected = 1_704_164_645_678_901.0
    assert to_floats(objects(stamp, stamp.replace(tzinfo=None), pd.Timestamp(stamp)))[0].tolist() == [expected] * 3
    values = to_floats(np.array(["2024-01-02T03:04:05.678901", "NaT"], dtype="datetime64[ns]"))[0]
    assert values.tolist() == pytest.approx([expected, np.nan], nan_ok=True)
