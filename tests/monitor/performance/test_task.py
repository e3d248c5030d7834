"""What a model's outputs mean is told from outputs, labels and settings, or a sentence names the setting that tells."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.task import Task, TaskKind, TaskUnclear, decide_task
from driftline.store.errors import ConfigurationError
from driftline.store.prediction_columns import ColumnType, PredictionColumn

Outputs = dict[str, tuple[ColumnType, Sequence[Any]]]


def decided(outputs: Outputs, labels: Sequence[Any], **settings: Any) -> Task:
    columns = [PredictionColumn("output", name, f"out_{name}", type_) for name, (type_, _) in outputs.items()]
    answers = {f"out_{name}": _array(type_, cells) for name, (type_, cells) in outputs.items()}
    return decide_task("m", columns, answers, labels, PerformanceSettings(**settings))


def _array(type_: ColumnType, cells: Sequence[Any]) -> np.ndarray:
    if type_ in (ColumnType.STRING, ColumnType.JSON):
        column = np.empty(len(cells), np.object_)
        column[:] = cells
        return column
    return np.array(cells)


SCORES = (ColumnType.DOUBLE, [0.2, 0.8, 0.6])
WHOLE = (ColumnType.LONG, [0, 1, 1])
TEXTS = (ColumnType.STRING, ["yes", "no", "no"])
THREE = {name: (ColumnType.DOUBLE, cells) for name, cells in
         (("a", [0.2, 0.1, 0.7]), ("b", [0.3, 0.1, 0.2]), ("c", [0.5, 0.8, 0.1]))}  # fmt: skip


@pytest.mark.parametrize(
    ("outputs", "labels", "settings", "task"),
    [
        ({"p": SCORES}, [0, 1], {}, Task(TaskKind.BINARY, "", ("out_p",), ("0", "1"))),
        ({"p": SCORES}, [0], {}, Task(TaskKind.BINARY, "", ("out_p",), ("0", "1"))),
        ({"p": SCORES}, [False, True], {}, Task(TaskKind.BINARY, "", ("out_p",), ("0", "1"))),
        ({"p": SCORES}, [0.5, 1.5], {}, Task(TaskKind.REGRESSION, "out_p")),
        ({"p": SCORES}, [0, 1], {"task": "regression"}, Task(TaskKind.REGRESSION, "out_p")),
        ({"p": SCORES}, [0, 3, 17], {}, Task(TaskKind.REGRESSION, "out_p")),
        ({"y": WHOLE}, [0, 1], {}, Task(TaskKind.BINARY, "out_y", (), ("0", "1"))),
        ({"y": WHOLE}, [2, 1], {}, Task(TaskKind.BINARY, "out_y", (), ("1", "2"))),
        ({"y": WHOLE}, [0, 1, 2], {}, Task(TaskKind.MULTICLASS, "out_y", (), ("0", "1", "2"))),
        ({"y": WHOLE}, range(200), {}, Task(TaskKind.REGRESSION, "out_y")),
        ({"y": WHOLE}, [0.5, 2], {}, Task(TaskKind.REGRESSION, "out_y")),
        ({"y": (ColumnType.DOUBLE, [0.0, 1.0, 1.0])}, [0, 1], {}, Task(TaskKind.BINARY, "out_y", (), ("0", "1"))),
        ({"y": TEXTS}, ["yes", "no"], {"positive_label": "no"}, Task(TaskKind.BINARY, "out_y", (), ("yes", "no"))),
        ({"y": TEXTS}, ["yes", "no"], {"positive_label": "other=x,m=yes"},
         Task(TaskKind.BINARY, "out_y", (), ("no", "yes"))),
        ({"y": TEXTS}, ["yes", "no", "perhaps"], {}, Task(TaskKind.MULTICLASS, "out_y", (), ("no", "perhaps", "yes"))),
        ({"prediction": WHOLE, "probability": SCORES}, [0, 1], {},
         Task(TaskKind.BINARY, "out_prediction", ("out_probability",), ("0", "1"))),
        ({"y": WHOLE, "s": SCORES}, [0, 1], {"prediction_column": "y", "probability_column": "s"},
         Task(TaskKind.BINARY, "out_y", ("out_s",), ("0", "1"))),
        (THREE, [0, 1, 2], {}, Task(TaskKind.MULTICLASS, "", ("out_a", "out_b", "out_c"), ("0", "1", "2"))),
        (THREE, ["low", "mid"], {"classes": "low|mid|high"},
         Task(TaskKind.MULTICLASS, "", ("out_a", "out_b", "out_c"), ("low", "mid", "high"))),
        ({"p": (ColumnType.JSON, ["[0.25,0.75]", "[0.5,0.5]", "[1,0]"])}, [0, 1], {},
         Task(TaskKind.BINARY, "", ("out_p",), ("0", "1"))),
        ({"n": (ColumnType.DOUBLE, [0.75, 0.5, 0.0]), "y": (ColumnType.DOUBLE, [0.25, 0.5, 1.0])}, [0, 1], {},
         Task(TaskKind.BINARY, "", ("out_y",), ("0", "1"))),
        ({"n": (ColumnType.DOUBLE, [0.75, 0.5, 0.0]), "y": (ColumnType.DOUBLE, [0.25, 0.5, 1.0])}, ["bad", "good"],
         {"positive_label": "bad"}, Task(TaskKind.BINARY, "", ("out_n",), ("good", "bad"))),
    ],
)  # fmt: skip
def test_the_task_is_told(outputs: Outputs, labels: Sequence[Any], settings: dict[str, Any], task: Task) -> None:
    found = decided(outputs, labels, **settings)
    assert found == task
    assert Task.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("outputs", "labels", "settings", "said"),
    [
        ({"y": TEXTS}, ["yes", "no"], {}, "performance.positive_label"),
        ({"y": TEXTS}, ["yes"], {}, "performance.classes"),
        ({"y": TEXTS}, ["yes", "no"], {"positive_label": "maybe"}, "performance.positive_label is maybe"),
        ({"a": SCORES, "b": WHOLE}, [0, 1], {}, "performance.prediction_column"),
        ({"a": SCORES, "b": WHOLE}, [0, 1], {"prediction_column": "c"}, "it has a, b"),
        (THREE, ["low", "mid"], {}, "performance.classes"),
        ({"probability": SCORES, "other": WHOLE}, [0, 1, 2], {}, "performance.probability_column"),
        ({"p": (ColumnType.JSON, ['{"a": 1}', "3", "null"])}, [0, 1], {}, "neither a number nor a class"),
        ({"p": SCORES}, [], {}, "no labels yet"),
        ({"p": SCORES}, [None, float("nan")], {}, "no labels yet"),
    ],
)
def test_what_cannot_be_told_names_the_setting(
    outputs: Outputs, labels: Sequence[Any], settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(TaskUnclear, match=said):
        decided(outputs, labels, **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"task": "ranking"}, "binary, multiclass or regression"),
        ({"classes": "a=,b"}, "performance.classes should be"),
        ({"windows": "90m"}, "whole hours"),
        ({"tolerance": 1.0}, "tolerance"),
        ({"min_labelled_rows": 1}, "at least 10"),
        ({"decision_threshold": 0.0}, "decision_threshold"),
    ],
)
def test_settings_that_no_judgement_can_keep_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        PerformanceSettings(**settings)
