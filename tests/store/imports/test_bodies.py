"""Bodies of other servers as MLflow's server takes and gives them."""

import json
from typing import Any

import pytest

from driftline.store.imports.bodies import answer_body, request_body
from driftline.store.imports.call import UnreadableEvent

_SPLIT = {"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0], [3.0, 4.0]]}}
_FLAT = {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}
_COLUMNS = [
    {"name": "a", "shape": [2, 1], "datatype": "FP64", "data": [[1.0], [3.0]]},
    {"name": "b", "shape": [2], "datatype": "FP64", "data": [2.0, 4.0]},
]


@pytest.mark.parametrize(
    "document",
    [
        _SPLIT,
        [[1.0, 2.0], [3.0, 4.0]],
        {"instances": [[1.0, 2.0], [3.0, 4.0]]},
        {"inputs": [_FLAT]},
        {"inputs": _COLUMNS},
        {"data": {"ndarray": [[1.0, 2.0], [3.0, 4.0]]}},
        {"data": {"names": ["a", "b"], "tensor": {"shape": [2, 2], "values": [1.0, 2.0, 3.0, 4.0]}}},
        {"jsonData": {"instances": [[1.0, 2.0], [3.0, 4.0]]}},
    ],
    ids=["MLflow", "bare lists", "V1", "V2 one tensor", "V2 by column", "Seldon ndarray", "Seldon tensor", "jsonData"],
)
def test_rows_of_every_form_come_under_the_signatures_names(document: Any) -> None:
    content_type, body = request_body(b"application/json", json.dumps(document).encode(), ["a", "b"])
    assert (content_type, json.loads(body)) == (b"application/json", _SPLIT)


def test_what_mlflow_takes_stays_byte_for_byte() -> None:
    for body in (b'{"dataframe_records":  [{"a": 1}]}', b'{"inputs": {"a": [1]}}', b'{"instances": [{"a": NaN}]}'):
        assert request_body(b"application/json", body, ["a", "b"])[1] == body
    assert answer_body(b"application/json", b'{"predictions":  [NaN]}') == b'{"predictions":  [NaN]}'


def test_csv_without_a_header_gets_one_and_with_one_stays() -> None:
    assert request_body(b"text/csv; charset=utf-8", b"1,2\n3,4\n", ["a", "b,c"])[1] == b'a,"b,c"\n1,2\n3,4\n'
    assert request_body(b"text/csv", b"b,a\n1,2\n", ["a", "b"])[1] == b"b,a\n1,2\n"


@pytest.mark.parametrize(
    ("content_type", "body", "predictions"),
    [
        (b"text/csv; charset=utf-8", b"0.5\n0.25\n", [0.5, 0.25]),
        (b"text/csv", b"0.5,yes\n", [[0.5, "yes"]]),
        (b"application/json", b"[1, 2]", [1, 2]),
        (b"application/json", json.dumps({"outputs": [{**_FLAT, "shape": [4]}]}).encode(), [1.0, 2.0, 3.0, 4.0]),
        (b"application/json", json.dumps({"outputs": _COLUMNS}).encode(), [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}]),
        (b"application/json", b'{"data": {"ndarray": [[0.5], [1.5]]}}', [0.5, 1.5]),
    ],
)
def test_answers_of_every_form_become_predictions(content_type: bytes, body: bytes, predictions: Any) -> None:
    assert json.loads(answer_body(content_type, body)) == {"predictions": predictions}


@pytest.mark.parametrize(
    "body",
    [b"nonsense", b"5", b"[[1.0]]", b'{"inputs": [{"name": "x", "shape": [3], "data": [1.0]}]}',
     b'{"inputs": [{"name": "x", "shape": [1]}]}', b'{"data": {"strData": "x"}}',
     b'{"inputs": [{"shape": [null], "data": [1.0]}]}', b'{"inputs": [{"shape": [2], "data": [[1.0], 2]}]}',
     b'{"data": {"names": 5, "ndarray": [[1.0, 2]]}}', b'["\\ud800"]'],
)  # fmt: skip
def test_what_cannot_be_read_says_why_without_a_value(body: bytes) -> None:
    with pytest.raises(UnreadableEvent) as raised:
        request_body(b"application/json", body, ["a", "b"])
    assert "1.0" not in str(raised.value)


def test_csv_that_is_none_is_unreadable_on_either_side() -> None:
    for body in (b"1.0,2\rx", b'"' + b"1" * 200_000):
        with pytest.raises(UnreadableEvent):
            request_body(b"text/csv", body, ["a", "b"])
        with pytest.raises(UnreadableEvent):
            answer_body(b"text/csv", body)
