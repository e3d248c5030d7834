"""The requests for each framework's model: every way to send rows that its signature takes, and some it does not."""

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

JSON = "application/json"
COLUMNS = ["a", "b", "c"]
ROWS = np.random.default_rng(20).normal(size=(7, 3)).round(3)
TENSORS = ("onnx", "pytorch", "keras")


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        rows: what the model is asked about, one element per row; None where it must not be answered with a 2xx.
    """

    name: str
    body: bytes
    rows: list[Any] | None
    content_type: str = JSON

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": self.content_type}


def corpus(flavor: str) -> list[Case]:
    if flavor == "tensor":
        return _tensors(np.arange(30.0).reshape(5, 2, 3) / 8)
    if flavor in TENSORS:
        return _tensors(ROWS)
    return [*_tables(), *(_parameters() if flavor == "params" else [])]


def _json(name: str, document: Any, rows: Any) -> Case:
    return Case(name, json.dumps(document).encode(), None if rows is None else np.asarray(rows).tolist())


def _tables() -> list[Case]:
    table = pd.DataFrame(ROWS, columns=COLUMNS)
    csv = io.BytesIO()
    table.to_csv(csv, index=False)
    one, five = ROWS[:1], ROWS[:5]
    return [
        _json("one row", {"dataframe_split": {"columns": COLUMNS, "data": one.tolist()}}, one),
        _json("rows", {"dataframe_split": {"columns": COLUMNS, "data": five.tolist()}}, five),
        _json("other order", {"dataframe_split": {"columns": COLUMNS[::-1], "data": five[:, ::-1].tolist()}}, five),
        _json("records", {"dataframe_records": table.to_dict("records")}, ROWS),
        _json("integers", {"dataframe_records": [{"a": 1, "b": 2, "c": 3}]}, [[1.0, 2.0, 3.0]]),
        _json("inputs", {"inputs": table.to_dict("list")}, ROWS),
        _json("instances", {"instances": table.to_dict("records")}, ROWS),
        Case("csv", csv.getvalue(), ROWS.tolist(), "text/csv"),
        _json("a column is missing", {"dataframe_split": {"columns": ["a"], "data": [[1]]}}, None),
        _json("no number", {"dataframe_records": [{"a": "x", "b": 2, "c": 3}]}, None),
        Case("no JSON", b"{", None),
        Case("no such type", b"a,b,c\n1,2,3\n", None, "text/plain"),
    ]


def _tensors(rows: np.ndarray) -> list[Case]:
    flat = rows.reshape(len(rows), -1)
    return [
        _json("one row", {"inputs": rows[:1].tolist()}, rows[:1]),
        _json("inputs", {"inputs": rows.tolist()}, rows),
        _json("instances", {"instances": rows.tolist()}, rows),
        _json("integers", {"inputs": np.ones(rows[:2].shape, int).tolist()}, np.ones(rows[:2].shape)),
        _json("another shape", {"inputs": flat[:, :-1].tolist()}, None),
        _json("ragged", {"inputs": [flat[0].tolist(), [1.0]]}, None),
        _json("no number", {"inputs": "x"}, None),
        Case("no JSON", b"{", None),
        Case("csv", b"a,b,c\n1,2,3\n", None, "text/csv"),
    ]


def _parameters() -> list[Case]:
    split = {"columns": COLUMNS, "data": ROWS[:2].tolist()}
    return [
        _json("a parameter", {"dataframe_split": split, "params": {"scale": 0.5}}, ROWS[:2]),
        _json("an integer for a number", {"dataframe_split": split, "params": {"scale": 3}}, ROWS[:2]),
        _json("an unknown parameter", {"dataframe_split": split, "params": {"size": 3}}, ROWS[:2]),
        _json("text for a number", {"dataframe_split": split, "params": {"scale": "3"}}, None),
    ]
