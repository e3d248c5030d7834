import numpy as np
import pandas as pd
import pytest

from driftline.monitor.report.drift_report import ReportFailed
from driftline.monitor.report.evidently_report import choose_columns, make_report
from driftline.monitor.report.samples import choose
from driftline.store.prediction_columns import ColumnType, PredictionColumn


def test_columns_that_cannot_be_compared_are_left_out_and_named() -> None:
    kinds = [("number", ColumnType.DOUBLE), ("empty", ColumnType.DOUBLE), ("absent", ColumnType.LONG),
             ("words", ColumnType.STRING), ("new", ColumnType.STRING), ("truth", ColumnType.BOOLEAN),
             ("object", ColumnType.JSON)]  # fmt: skip
    columns = [PredictionColumn("input", name, f"in_{name}", type_) for name, type_ in kinds]
    reference = pd.DataFrame({
        "in_number": np.arange(2_000.0), "in_empty": np.nan, "in_absent": 1,
        "in_words": [f"word {i}" for i in range(2_000)], "in_new": "usual", "in_truth": True, "in_object": "{}",
    })  # fmt: skip
    window = reference.drop(columns="in_absent").assign(in_new=reference["in_words"])
    chosen, left_out = choose_columns(window, reference, columns)
    assert chosen == {"in_number": "numerical", "in_truth": "categorical"}
    assert left_out == {
        "in_empty": "no values in the window",
        "in_absent": "no values in the window",
        "in_words": "more than 1000 different texts",
        "in_new": "more than 1000 different texts",
        "in_object": "json is neither a number nor a category",
    }


def test_where_nothing_can_be_compared_evidently_is_not_asked_and_the_report_says_so() -> None:
    frame = pd.DataFrame({"in_a": [np.nan] * 100})
    made = make_report(frame, frame, [PredictionColumn("input", "a", "in_a", ColumnType.DOUBLE)], timeout_seconds=0.01)
    assert (made.files, made.left_out) == ({}, {"a": "no values in the window"})
    assert "no column has values" in made.notes[0]


def test_of_thousands_of_columns_those_go_to_evidently_that_drifted_most() -> None:
    columns = [PredictionColumn("input", f"f{i}", f"in_f{i}", ColumnType.DOUBLE) for i in range(3_000)]
    columns += [PredictionColumn("input", "image", "in_image", ColumnType.JSON)]
    columns += [PredictionColumn("output", "score", "out_score", ColumnType.DOUBLE)]
    chosen, left_out = choose(columns, ["in_f2999", "in_f7"], most=4)
    assert [c.name for c in chosen] == ["f0", "f7", "f2999", "score"]
    assert len(left_out) == 2_998
    assert left_out["image"] == "json is neither a number nor a category"


def test_a_child_that_takes_too_long_is_one_line() -> None:
    frame = pd.DataFrame({"in_a": np.arange(100.0)})
    with pytest.raises(ReportFailed, match="more than 0 s"):
        make_report(frame, frame, [PredictionColumn("input", "a", "in_a", ColumnType.DOUBLE)], timeout_seconds=0.01)
