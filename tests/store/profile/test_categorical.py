"""Categories: their keys, their counts, and unseen names with bounded memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.store.profile.categorical import (
    UNSEEN_NAMES,
    CategoricalState,
    CategoryLayout,
    UnseenNames,
    category_key,
    count_categories,
    storable_name,
)  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        ("1", "1"), (1, "1"), (1.0, "1"), (np.int32(1), "1"), (np.float64(1.0), "1"), ("1.0", "1.0"), (1.5, "1.5"),
        (True, "True"), (np.True_, "True"), ("", ""), (" a ", " a "), (b"\x01\xff", "0x01ff"), (2**63, str(2**63)),
        (None, None), (float("nan"), None), (float("inf"), "inf"), (-0.0, "0"), ([1, 2], "[1, 2]"),
    ],
)  # fmt: skip
def test_the_key_of_a_cell(cell: object, key: str | None) -> None:
    assert category_key(cell) == key


def test_equal_objects_of_different_kinds_keep_their_keys() -> None:
    assert count_categories([1, True, 1.0, "1"]) == count_categories([True, "1", 1.0, 1]) == {"1": 3, "True": 1}


def test_text_among_other_kinds_is_counted_by_keys() -> None:
    assert count_categories(["a", 1, True, 1.0, ["x"], None, "a", "1"]) == {
        "a": 2, "1": 3, "True": 1, "['x']": 1, None: 1,
    }  # fmt: skip
    assert count_categories(["a", None, "b", "a"]) == {"a": 2, "b": 1, None: 1}
    assert count_categories(["a", float("nan"), 2.5]) == {"a": 1, None: 1, "2.5": 1}
    assert count_categories([None, None]) == {None: 2}


def test_text_that_is_no_text_is_storable() -> None:
    assert storable_name("a\ud800b") == "a\\ud800b"
    assert len(storable_name("x" * 10_000)) == 217
    assert storable_name("x" * 10_000) != storable_name("x" * 10_001)


def test_memory_of_unseen_names_is_bounded_and_the_total_exact() -> None:
    state = CategoricalState(CategoryLayout([("a",)]))
    for start in range(0, 5000, 50):
        state.absorb(0, [f"name {i % 3000}" for i in range(start, start + 50)])
    counts = state.column(0)
    assert counts.unseen == 5000
    assert len(counts.unseen_names) == UNSEEN_NAMES
    assert all(count == (2 if int(name[5:]) < 2000 else 1) for name, count in counts.unseen_names.items())


names = st.lists(st.integers(0, 400), max_size=600)


@given(names, names, names)
def test_unseen_names_add_exactly_in_any_grouping(a: list[int], b: list[int], c: list[int]) -> None:
    def kept(*parts: list[int]) -> UnseenNames:
        total = UnseenNames()
        for part in parts:
            total.add([(f"n{i}", 1) for i in part])
        return total

    left, right = kept(a, b), kept(c)
    left.add(right.counts.items())
    other = kept(c, b)
    other.add(kept(a).counts.items())
    assert left == other == kept(a + b + c)
    assert kept(a + b + c).counts == {name: (a + b + c).count(int(name[1:])) for name in left.counts}
