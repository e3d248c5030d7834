"""What is read off an answer's bytes, held against MLflow's own serialisation."""

import io

import numpy as np
import pandas as pd
import pytest

from driftline.scorer.answers import answer_rows, rejection

pytestmark = pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")  # MLflow's import, of itself


def _serialised(predictions: object) -> bytes:
    from mlflow.pyfunc.scoring_server import predictions_to_json

    text = io.StringIO()
    predictions_to_json(predictions, text)
    return text.getvalue().encode()


@pytest.mark.parametrize("rows", [0, 1, 2, 1000])
@pytest.mark.parametrize(
    "predictions",
    [
        np.arange,
        lambda rows: np.full(rows, np.nan),
        lambda rows: np.zeros((rows, 3)),
        lambda rows: np.zeros((rows, 2, 2)),
        lambda rows: [f"label {i}, with a comma" for i in range(rows)],
        lambda rows: [True] * rows,
        lambda rows: pd.DataFrame({"x": np.arange(rows), "y": [["a", 1]] * rows}),
        lambda rows: pd.Series(np.arange(rows), name="pred"),
    ],
)
def test_rows_are_counted_for_every_usual_form_of_answer(predictions, rows: int) -> None:
    assert answer_rows(_serialised(predictions(rows))) == rows


@pytest.mark.parametrize("body", [b'{"predictions": 5}', b'{"predictions": {"a": [1, 2]}}', b'{"choices": []}', b""])
def test_an_answer_that_is_no_list_is_one_row(body: bytes) -> None:
    assert answer_rows(body) == 1


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, b'{"predictions": ["Failed to enforce schema"]}', None),
        (400, b'{"error_code": "BAD_REQUEST", "message": "Invalid input. Ensure that ..."}', "malformed"),
        (400, b'{"message": "Failed to predict data. Error: Failed to enforce schema of data"}', "schema"),
        (400, b'{"message": "Encountered an unexpected error while evaluating the model."}', None),
        (404, b"{}", None),
        (413, b"", "too_large"),
        (415, b"", "malformed"),
        (429, b"", "overload"),
        (500, b"Internal Server Error", None),
        (503, b"", "overload"),
        (504, b"Request processing time exceeded limit", "timeout"),
    ],
)
def test_a_refusal_has_a_reason_and_a_failing_model_is_none(status: int, body: bytes, reason: str | None) -> None:
    assert rejection(status, body) == reason
