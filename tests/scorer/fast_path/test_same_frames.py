"""Every body that the fast path takes: the model sees MLflow's frame to the bit, the client MLflow's bytes."""

from functools import lru_cache

import pytest
from frame_recorder import Rig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from json_payloads import ODD_LITERALS, odd_body, ordinary_body

DOUBLES = {"a": "double", "b": "double", "c": "double"}
MIXED = {
    "text": "string", "d": "double", "f": "float", "l": "long", "i": "integer", "b": "boolean", "e": "double",
    "word": "string",
}  # fmt: skip
OPTIONAL = {"a": "double", "b": "double?", "s": "string?", "l": "long", "t": "boolean?"}
UNICODE = {"\u00e4 \u2603": "double", "0": "float", "data": "double", "\U0001f600": "float"}
ONE_EACH = [{"only": type_} for type_ in ("double", "float", "long", "integer", "boolean", "string")]
SIGNATURES = [DOUBLES, MIXED, OPTIONAL, UNICODE, *ONE_EACH]

_quick = settings(
    max_examples=1000, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
_long = settings(_quick, max_examples=15_000, derandomize=False)


@lru_cache
def rig(number: int) -> Rig:
    return Rig(SIGNATURES[number])


def _assert_taken(number: int, data: st.DataObject) -> None:
    body = data.draw(ordinary_body(SIGNATURES[number]))
    assert rig(number).takes(body), body


def _assert_same_if_taken(number: int, data: st.DataObject) -> None:
    rig(number).takes(data.draw(odd_body(SIGNATURES[number])))


_numbers = st.integers(0, len(SIGNATURES) - 1)


@_quick
@given(_numbers, st.data())
def test_every_ordinary_body_is_taken_and_is_mlflows_to_the_bit(number: int, data: st.DataObject) -> None:
    _assert_taken(number, data)


@_quick
@given(_numbers, st.data())
def test_an_odd_body_is_mlflows_to_the_bit_or_left_to_mlflow(number: int, data: st.DataObject) -> None:
    _assert_same_if_taken(number, data)


@pytest.mark.slow
@_long
@given(_numbers, st.data())
def test_every_ordinary_body_of_many_is_taken_and_is_mlflows_to_the_bit(number: int, data: st.DataObject) -> None:
    _assert_taken(number, data)


@pytest.mark.slow
@_long
@given(_numbers, st.data())
def test_an_odd_body_of_many_is_mlflows_to_the_bit_or_left_to_mlflow(number: int, data: st.DataObject) -> None:
    _assert_same_if_taken(number, data)


@pytest.mark.parametrize("literal", ODD_LITERALS)
@pytest.mark.parametrize("number", range(len(SIGNATURES) - len(ONE_EACH), len(SIGNATURES)))
def test_an_odd_cell_alone_or_among_others_is_mlflows_or_left_to_mlflow(number: int, literal: str) -> None:
    ordinary = {"double": "0.5", "float": "3", "long": "7", "integer": "7", "boolean": "true", "string": '"z"'}
    usual = ordinary[SIGNATURES[number]["only"]]
    for cells in ([literal], [usual, literal], [literal, "null"]):
        listed = ", ".join(cells)
        records = ", ".join(f'{{"only": {cell}}}' for cell in cells)
        rows = ", ".join(f"[{cell}]" for cell in cells)
        for text in (
            f'{{"dataframe_split": {{"columns": ["only"], "data": [{rows}]}}}}',
            f'{{"dataframe_records": [{records}]}}',
            f'{{"inputs": [{records}]}}',
            f'{{"inputs": {{"only": [{listed}]}}}}',
            f'{{"inputs": {{"only": {literal}}}}}',
            f'{{"instances": [{records}]}}',
            f'{{"instances": {{"only": [{listed}]}}}}',
        ):
            rig(number).takes(text.encode("utf-8", "surrogatepass"))
