"""Whole numbers survive their bytes; bytes that end early are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.store.profile.packing import Packer, Unpacker

whole = st.lists(st.integers(0, 2**63 - 1), max_size=20)


@given(whole, whole, st.lists(st.integers(0, 2**200), max_size=5), st.lists(st.floats(allow_nan=False), max_size=5))
def test_every_section_comes_back(a: list[int], b: list[int], c: list[int], d: list[float]) -> None:
    packer = Packer()
    packer.whole_numbers(np.array(a, np.int64))
    packer.sparse(np.array(b, np.int64))
    packer.large_numbers(c)
    packer.floats(np.array(d, np.float64))
    packer.blob(b"end")
    raw = packer.to_bytes()
    unpacker = Unpacker(raw)
    assert unpacker.whole_numbers(len(a)).tolist() == a
    assert unpacker.sparse(len(b)).tolist() == b
    assert unpacker.large_numbers(len(c)) == c
    assert unpacker.floats(len(d)).tolist() == d
    assert unpacker.blob() == b"end"
    unpacker.end()


def test_bytes_that_end_early_or_late_are_refused() -> None:
    packer = Packer()
    packer.whole_numbers(np.array([1, 2, 300]))
    raw = packer.to_bytes()
    with pytest.raises(ValueError, match="end before"):
        Unpacker(raw[:-1]).whole_numbers(3)
    late = Unpacker(raw + b"x")
    late.whole_numbers(3)
    with pytest.raises(ValueError, match="1 bytes too many"):
        late.end()
