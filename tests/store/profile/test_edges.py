"""Where bins lie, by what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.store.profile.edges import BINS, QUANTILE_BINS, cut_edges


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=60))
def test_edges_rise_and_enclose_exactly_the_reference(values: list[float]) -> None:
    edges = cut_edges(np.array(values, dtype=float))
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    clipped = np.clip(values, -1e300, 1e300) if values else np.zeros(1)
    assert edges[0] == clipped.min()
    assert edges[-1] == np.nextafter(clipped.max(), np.inf)


def test_every_value_of_a_discrete_reference_is_a_bin_of_its_own() -> None:
    values = np.repeat([0.0, 1.0, 5.0, 100.0], [400, 300, 2, 1])
    edges = cut_edges(values)
    for value in (0.0, 1.0, 5.0, 100.0):
        place = int(np.searchsorted(edges, value))
        assert edges[place] == value
        assert edges[place + 1] == np.nextafter(value, np.inf)
    for low, high in ((0, 1), (1, 5), (5, 100)):
        assert np.count_nonzero((edges > low + 1e-9) & (edges < high)) > 50


def test_a_value_that_holds_much_mass_is_a_bin_of_its_own() -> None:
    rng = np.random.default_rng(1)
    edges = cut_edges(np.append(rng.normal(5, 1, 50_000), np.zeros(500)))
    assert {0.0, float(np.nextafter(0.0, 1.0))} <= set(edges.tolist())


@pytest.mark.parametrize("heavy", [False, True])
def test_no_bin_but_an_atom_holds_more_than_its_share(heavy: bool) -> None:
    rng = np.random.default_rng(2)
    values = rng.lognormal(0, 3, 40_000) if heavy else rng.normal(size=40_000)
    counts = np.histogram(values, np.append(cut_edges(values), np.inf))[0]
    assert counts.max() <= 40_000 / QUANTILE_BINS + 1
    assert counts.size <= BINS + 8


def test_wide_tails_have_bins_too() -> None:
    values = np.random.default_rng(3).standard_t(2.5, 50_000)
    edges = cut_edges(values)
    beyond = np.quantile(values, 0.999)
    assert np.count_nonzero(edges > beyond) >= 15  # quantile edges alone have none there
