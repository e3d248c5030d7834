import json
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest

from driftline.monitor.performance.reference_performance import ReferencePerformance
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.task import Task, TaskKind
from driftline.monitor.report.drift_report import QUALITY, QUALITY_JSON
from driftline.monitor.report.evidently_child import make_pages
from driftline.monitor.report.labelled_rows import LEAST_LABELS, LabelledRows, labelled_rows
from driftline.store.prediction_columns import ColumnType, PredictionColumn

ROWS = 200
RNG = np.random.default_rng(0)


def found(answers: object, labels: list[object], type_: ColumnType) -> LabelledRows | str | None:
    rows = pd.DataFrame({"out_prediction": answers})
    said = [None if label is None else orjson.dumps(label).decode() for label in labels]
    output = PredictionColumn("output", "prediction", "out_prediction", type_)
    return labelled_rows("m", [output], rows, said, PerformanceSettings())


@pytest.mark.parametrize(
    ("answers", "labels", "type_", "quality"),
    [
        (RNG.normal(size=ROWS), RNG.normal(size=ROWS).tolist(), ColumnType.DOUBLE, "regression"),
        (RNG.uniform(size=ROWS), RNG.integers(0, 2, ROWS).tolist(), ColumnType.DOUBLE, "binary"),
        (
            RNG.choice(["a", "b", "c"], ROWS),
            RNG.choice(["a", "b", "c"], ROWS).tolist(),
            ColumnType.STRING,
            "multiclass",
        ),
    ],
)
def test_outputs_and_labels_tell_what_evidently_is_asked(
    answers: object, labels: list[object], type_: ColumnType, quality: str
) -> None:
    made = found(answers, labels, type_)
    assert isinstance(made, LabelledRows)
    assert (made.quality, len(made.frame)) == (quality, ROWS)


def test_the_same_class_is_one_however_it_was_written() -> None:
    made = found([1, 0] * 50, [True, 0.0] * 25 + ["1", 0] * 25, ColumnType.LONG)
    assert isinstance(made, LabelledRows)
    assert (made.frame["target"] == made.frame["prediction"]).all()


def test_without_labels_there_is_nothing_to_say_and_with_one_class_or_a_few_the_reason() -> None:
    assert found([1.0] * ROWS, [None] * ROWS, ColumnType.DOUBLE) is None
    assert (
        found([1, 0] * 100, [1] * ROWS, ColumnType.LONG)
        == "all 200 labelled rows of the sample have one and the same label"
    )
    few = found([1, 0] * 100, [1] * 5 + [None] * 195, ColumnType.LONG)
    assert few == f"5 labelled rows in the sample, {LEAST_LABELS} are needed"


BOTH = [
    PredictionColumn("output", "prediction", "out_prediction", ColumnType.LONG),
    PredictionColumn("output", "probability", "out_probability", ColumnType.DOUBLE),
]


def _of_two_classes(columns: list[PredictionColumn]) -> LabelledRows:
    scores = RNG.uniform(size=ROWS)
    rows = pd.DataFrame({"out_prediction": (scores > 0.5).astype(int), "out_probability": scores})
    labels = [orjson.dumps(int(truth)).decode() for truth in RNG.uniform(size=ROWS) < scores]
    made = labelled_rows("m", columns, rows, labels, PerformanceSettings())
    assert isinstance(made, LabelledRows)
    return made


@pytest.mark.parametrize(("columns", "quality"), [(BOTH, "binary"), (BOTH[:1], "binary classes")])
def test_evidently_judges_two_classes_by_the_probability_or_else_by_the_class(
    columns: list[PredictionColumn], quality: str, tmp_path: Path
) -> None:
    made = _of_two_classes(columns)
    assert (made.quality, len(made.frame)) == (quality, ROWS)
    made.frame.to_parquet(tmp_path / "labelled.parquet", index=False)
    (tmp_path / "order.json").write_text(json.dumps({"kinds": {}, "task": made.quality}))
    make_pages(tmp_path)
    assert not (tmp_path / "failed.txt").exists()
    metrics = json.loads((tmp_path / QUALITY_JSON).read_text())["metrics"]
    accuracy = next(float(each["value"]) for each in metrics if "Accuracy" in each["metric_name"])
    predicted = (made.frame["prediction"] > 0.5).astype(int)
    assert accuracy == pytest.approx((predicted == made.frame["target"]).mean())


def test_the_task_of_the_reference_holds_for_the_sample_too_and_a_row_without_probabilities_has_no_class() -> None:
    outputs = [PredictionColumn("output", name, f"out_{name}", ColumnType.DOUBLE) for name in "abc"]
    names = tuple(c.column_name for c in outputs)
    task = Task(TaskKind.MULTICLASS, probabilities=names, classes=("low", "medium", "high"))
    rows = pd.DataFrame([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]] * 50 + [[np.nan] * 3], columns=names)
    said = [orjson.dumps(label).decode() for label in ["low", "high"] * 50 + ["low"]]
    held = ReferencePerformance(task, {}, None, 1_000, "held-out rows")
    made = labelled_rows("m", outputs, rows, said, PerformanceSettings(), held)
    assert isinstance(made, LabelledRows)
    assert (made.quality, len(made.frame)) == ("multiclass", 100)
    assert (made.frame["target"] == made.frame["prediction"]).all()


def test_a_text_of_a_request_ends_no_script_of_evidentlys_page(tmp_path: Path) -> None:
    text = "</script><img src=x onerror=alert(1)>"
    frame = pd.DataFrame({"target": [text, "b", "c"] * 50, "prediction": [text, "c", "b"] * 50})
    frame.to_parquet(tmp_path / "labelled.parquet", index=False)
    (tmp_path / "order.json").write_text(json.dumps({"kinds": {}, "task": "multiclass"}))
    make_pages(tmp_path)
    assert not (tmp_path / "failed.txt").exists()
    page = (tmp_path / QUALITY).read_text()
    assert text not in page
    assert text.replace("<", "\\u003c") in page
