"""Profiles from plain arrays, for the drift tests."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference, build_reference

Pair = tuple[Reference, Profile]


def make_pair(before: Sequence[Any] | NDArray[Any], now: Sequence[Any] | NDArray[Any], type_: ColumnType) -> Pair:
    """A reference of one column ``x`` and a window on its bins."""

    def cells(values: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
        return np.asarray(values) if type_ is ColumnType.DOUBLE else np.asarray(values, dtype=object)

    reference = build_reference(
        [PredictionColumn("input", "x", "x", type_)], {"x": cells(before)}, source="made up", made_at_us=0
    )
    window = reference.empty_profile()
    window.add({"x": cells(now)}, len(now))
    return reference, window


@pytest.fixture(scope="session")
def numeric_pair() -> Callable[..., Pair]:
    """A numeric reference and window from their rows."""
    return lambda before, now: make_pair(before, now, ColumnType.DOUBLE)


@pytest.fixture(scope="session")
def string_pair() -> Callable[..., Pair]:
    """A categorical reference and window from their rows."""
    return lambda before, now: make_pair(before, now, ColumnType.STRING)
