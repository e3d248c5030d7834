"""Values among bins: where each one lies, whatever stands beside it."""

import numpy as np
import pytest

from driftline.store.profile.numeric import TALLIES, NumericBins, NumericLayout, NumericState

EDGES = np.array([-1.0, 0.0, 0.5, 4.0])
BINS = NumericBins(EDGES, mean=0.5, deviation=1.0, distinct=9)
ODD = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, -1.0, 4.0, 1e300, -1e300, 5e-324])


def absorbed(*batches: np.ndarray) -> NumericState:
    state = NumericState(NumericLayout([BINS, NumericBins(EDGES * 2, 0.0, 1.0, 9)]))
    for values in batches:
        state.absorb(np.stack([values, values]))
    return state


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_every_value_lies_where_a_search_among_the_edges_puts_it(share: float) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0.5, 2, 700)
    odd = rng.random(700) < share
    values[odd] = rng.choice(ODD, odd.sum())
    finite = values[np.isfinite(values)]
    state = absorbed(values)
    for column, edges in enumerate((EDGES, EDGES * 2)):
        expected = np.bincount(np.searchsorted(edges, finite, side="right"), minlength=edges.size + 1)
        assert state.column(column).counts.tolist() == expected.tolist()
        assert state.least[column] == finite.min(initial=np.inf)
        assert state.greatest[column] == finite.max(initial=-np.inf)


@pytest.mark.parametrize("value", ODD)
def test_what_is_not_finite_is_counted_apart(value: float) -> None:
    found = absorbed(np.array([value, 0.25, value])).column(0)
    apart = {"missing": np.isnan(value), "plus_infinity": value == np.inf, "minus_infinity": value == -np.inf}
    assert {name: getattr(found, name) for name in TALLIES} == {
        name: 2 * bool(apart.get(name, False)) for name in TALLIES
    }
    assert found.value_rows == (3 if np.isfinite(value) else 1)


def test_values_together_end_in_the_bits_of_values_one_by_one() -> None:
    values = np.concatenate([np.random.default_rng(2).normal(0, 3, 60), ODD, ODD])
    together, apart = absorbed(values), absorbed(*(value.reshape(1) for value in values))
    assert together.equals(apart)
    assert together.equals(absorbed(values[::-1]))
