"""What a model's task is, and which of its outputs say what: decided once from signature, labels and settings.

| outputs | labels | task |
|---|---|---|
| a text, whole number or truth | two classes | binary, without probabilities |
| a text, whole number or truth | more classes, at most 100 | several classes, without probabilities |
| a number of [0, 1] | 0 and 1 | binary, the number is the probability of 1 |
| any other number, or more than 100 whole ones | numbers | regression |
| k numbers, or a list of k, that sum to 1 | k classes | the probabilities of the classes in their order |
| several, one named ``prediction`` or ``probability`` | | as if it were the only one |

What cannot be told so is no guess but ``TaskUnclear``, which names the setting that tells it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.monitor.performance.classes import class_name, in_order
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.store.errors import DriftlineError
from driftline.store.prediction_columns import ColumnType, PredictionColumn

MOST_CLASSES = 100
_FLOATS = (ColumnType.DOUBLE, ColumnType.FLOAT)
_SUM_TOLERANCE = 0.01


class TaskKind(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class TaskUnclear(DriftlineError):
    """Outputs and labels do not tell what the task is; the message names the setting that does."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a model's outputs mean.

    Attributes:
        prediction: ``column_name`` of the output that holds the predicted class or number; empty where it follows from
            the probabilities.
        probabilities: ``column_name`` of the outputs that hold them: one for the positive label, or one per class, or
            one of lists; empty where there are none.
        classes: names of the classes (``class_name``); of a binary task the negative one first; none of a regression.
        threshold: from which probability on the positive class is predicted where ``prediction`` is empty.
    """

    kind: TaskKind
    prediction: str = ""
    probabilities: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    threshold: float = 0.5

    @property
    def columns(self) -> tuple[str, ...]:
        """The outputs that are read, by ``column_name``."""
        return tuple(dict.fromkeys(name for name in (self.prediction, *self.probabilities) if name))

    def to_json(self) -> dict[str, Any]:
        """Return the task as JSON values."""
        return {
            "kind": self.kind.value,
            "prediction": self.prediction,
            "probabilities": list(self.probabilities),
            "classes": list(self.classes),
            "threshold": self.threshold,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Task":
        """Return what ``to_json`` gave.

        Raises:
            KeyError, ValueError, TypeError: it did not.
        """
        return cls(
            TaskKind(found["kind"]),
            str(found["prediction"]),
            tuple(map(str, found["probabilities"])),
            tuple(map(str, found["classes"])),
            float(found["threshold"]),
        )


def decide_task(
    model: str,
    outputs: Sequence[PredictionColumn],
    answers: Mapping[str, NDArray[Any]],
    labels: Iterable[Any],
    settings: PerformanceSettings,
) -> Task:
    """Return the task of a model.

    Args:
        model: its name, for the settings.
        outputs: the signature's.
        answers: some rows of the outputs by ``column_name``, all of one length.
        labels: of these rows or of others, as Python values.

    Raises:
        TaskUnclear: it cannot be told; also while there are no labels.
    """
    return _Deciding(model, outputs, answers, [x for x in labels if class_name(x) is not None], settings).task()


def probability_matrix(cells: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Return probabilities as numbers, shape (rows, k): of k columns, or of one whose cells are JSON lists of k.

    Rows that hold no k numbers are NaN.
    """
    if len(cells) == 1 and cells[0].dtype == object:
        rows = [_numbers(cell) for cell in cells[0]]
        width = max((len(row) for row in rows), default=0)
        return np.array([row if len(row) == width else [np.nan] * width for row in rows]).reshape(len(rows), width)
    if not cells:
        return np.empty((0, 0))
    return np.stack([np.asarray(column, dtype=np.float64) for column in cells], axis=1)


class _Deciding:
    def __init__(
        self,
        model: str,
        outputs: Sequence[PredictionColumn],
        answers: Mapping[str, NDArray[Any]],
        labels: list[Any],
        settings: PerformanceSettings,
    ) -> None:
        self._model, self._outputs, self._answers, self._labels = model, list(outputs), answers, labels
        self._settings = settings
        self._kind = settings.of_model(model, "task")
        self._names = in_order(str(class_name(label)) for label in labels)

    def task(self) -> Task:
        if not self._labels:
            raise TaskUnclear(f"{self._model} has no labels yet: post some to /labels, or `driftline labels load FILE`")
        prediction = self._chosen("prediction_column", "prediction")
        probabilities = self._chosen("probability_column", "probability")
        if self._kind == TaskKind.REGRESSION and not prediction and len(self._outputs) > 1:
            raise TaskUnclear(
                f"{self._model} has several outputs: "
                "name the one that holds the number by performance.prediction_column"
            )
        if self._kind == TaskKind.REGRESSION and not prediction:
            prediction = self._outputs
        elif not prediction and not probabilities:
            prediction, probabilities = self._told_apart()
        if prediction and not probabilities and self._is_regression(prediction[0]):
            return Task(TaskKind.REGRESSION, prediction[0].column_name)
        return self._classes(prediction[0].column_name if prediction else "", [p.column_name for p in probabilities])

    def _chosen(self, setting: str, usual: str) -> list[PredictionColumn]:
        """Return the outputs that a setting names, else the one that is named as usual beside others."""
        named = self._settings.of_model(self._model, setting)
        if not named:
            return [c for c in self._outputs if c.name == usual and len(self._outputs) > 1]
        found = []
        for name in (part.strip() for part in named.split("|")):
            matching = [c for c in self._outputs if name in (c.name, c.column_name)]
            if not matching:
                raise TaskUnclear(
                    f"performance.{setting} names {name}, which is no output of {self._model}: "
                    f"it has {', '.join(c.name for c in self._outputs[:10])}"
                )
            found.append(matching[0])
        return found

    def _told_apart(self) -> tuple[list[PredictionColumn], list[PredictionColumn]]:
        """Return which outputs are the prediction and which are probabilities, where no name says so."""
        cells = [self._answers[c.column_name] for c in self._outputs]
        if len(self._outputs) == 1:
            only = self._outputs[0]
            if only.type is ColumnType.JSON:
                if _are_probabilities(probability_matrix(cells)):
                    return [], [only]
                raise TaskUnclear(
                    f"the output of {self._model} is neither a number nor a class nor probabilities that sum to 1, so "
                    "its performance is not judged: give its signature scalar outputs"
                )
            if only.type in _FLOATS and set(self._names) <= {"0", "1"} and self._kind != TaskKind.MULTICLASS:
                values = np.asarray(cells[0], dtype=np.float64)
                values = values[np.isfinite(values)]
                if ((values >= 0) & (values <= 1)).all() and not np.isin(values, (0.0, 1.0)).all():
                    return [], [only]
            return [only], []
        if all(c.type in _FLOATS for c in self._outputs) and _are_probabilities(probability_matrix(cells)):
            return [], self._outputs
        raise TaskUnclear(
            f"{self._model} has the outputs {', '.join(c.name for c in self._outputs[:10])}: "
            "name the one that holds the prediction by performance.prediction_column, or the probability of the "
            "positive label by performance.probability_column"
        )

    def _is_regression(self, output: PredictionColumn) -> bool:
        if self._kind:
            return self._kind == TaskKind.REGRESSION
        if not all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in self._labels):
            return False
        if output.type in _FLOATS:
            values = np.asarray(self._answers[output.column_name], dtype=np.float64)
            return not (set(self._names) <= {"0", "1"} and np.isin(values[np.isfinite(values)], (0.0, 1.0)).all())
        is_whole = all(float(x).is_integer() for x in self._labels)
        return output.type is not ColumnType.STRING and (not is_whole or len(self._names) > MOST_CLASSES)

    def _classes(self, prediction: str, probabilities: list[str]) -> Task:
        width = probability_matrix([self._answers[p] for p in probabilities]).shape[1] if probabilities else 0
        classes = self._named_classes(width)
        threshold = self._settings.decision_threshold
        if len(classes) == 2 and self._kind != TaskKind.MULTICLASS:
            if width == 2:
                return self._of_both(prediction, probabilities, classes, threshold)
            return Task(TaskKind.BINARY, prediction, tuple(probabilities), self._positive(classes), threshold)
        if width == 1:
            raise TaskUnclear(
                f"the labels of {self._model} have {len(classes)} classes, its probability is one number: name "
                "the two by performance.classes, as `0|1`, where other labels are mistakes, the probabilities of all "
                "classes by performance.probability_column, or say `regression` in performance.task"
            )
        return Task(TaskKind.MULTICLASS, prediction, tuple(probabilities), classes, threshold)

    def _of_both(self, prediction: str, probabilities: list[str], classes: tuple[str, ...], threshold: float) -> Task:
        """Return the task of a model that gives both probabilities; where each has a column, the positive one's."""
        ordered = self._positive(classes)
        if len(probabilities) == 2:
            return Task(TaskKind.BINARY, prediction, (probabilities[classes.index(ordered[1])],), ordered, threshold)
        if ordered != classes:
            raise TaskUnclear(
                f"{self._model} answers lists of two probabilities: the second should be that of the positive label; "
                f"give the order by performance.classes, as `{ordered[0]}|{ordered[1]}`"
            )
        return Task(TaskKind.BINARY, prediction, tuple(probabilities), ordered, threshold)

    def _named_classes(self, width: int) -> tuple[str, ...]:
        """Return the classes in the order of the probabilities."""
        given = self._settings.of_model(self._model, "classes")
        classes = tuple(part.strip() for part in given.split("|")) if given else self._names
        numbered = tuple(str(i) for i in range(max(width, 2)))
        if not given and set(classes) <= set(numbered) and (width > 1 or len(classes) < 2):
            classes = numbered
        if not given and len(classes) > MOST_CLASSES:
            raise TaskUnclear(
                f"the labels of {self._model} have more than {MOST_CLASSES} classes: say `regression` in "
                "performance.task where they are numbers; so many classes are not judged"
            )
        if (width > 1 and len(classes) != width) or len(classes) < 2:
            raise TaskUnclear(
                f"the labels of {self._model} have {len(classes)} class{'' if len(classes) == 1 else 'es'}"
                f"{f', its outputs {width} probabilities' if width > 1 else ''}: "
                "name all classes in their order by performance.classes, as `low|medium|high`"
            )
        return classes

    def _positive(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """Return two classes, the positive one last."""
        positive = self._settings.of_model(self._model, "positive_label")
        if positive:
            positive = {"true": "1", "false": "0"}.get(positive, positive)
            if positive not in classes:
                raise TaskUnclear(
                    f"performance.positive_label is {positive}, which is none of the labels of {self._model}: "
                    "name one of the two that its labels have"
                )
            return (classes[1 - classes.index(positive)], positive)
        try:
            low, high = sorted(classes, key=float)
        except ValueError:
            raise TaskUnclear(
                f"the labels of {self._model} are two texts: name the one that is to be found by "
                f"performance.positive_label, as `[performance] positive_label = {_quoted(classes[1])}` "
                f"or `{_quoted(classes[0])}`"
            ) from None
        return (low, high)


def _are_probabilities(matrix: NDArray[np.float64]) -> bool:
    whole = matrix[np.isfinite(matrix).all(axis=1)] if matrix.ndim == 2 else matrix
    if whole.ndim != 2 or whole.shape[1] < 2 or not whole.size:
        return False
    return bool(((whole >= 0) & (whole <= 1)).all() and (np.abs(whole.sum(axis=1) - 1) < _SUM_TOLERANCE).all())


def _quoted(text: str) -> str:
    """Return a text as the file of settings has it."""
    return json.dumps(text, ensure_ascii=False)


def _numbers(cell: Any) -> list[float]:
    try:
        found = orjson.loads(cell)
    except (orjson.JSONDecodeError, TypeError):
        return []
    if not isinstance(found, list) or not all(isinstance(x, (int, float)) for x in found):
        return []
    return [float(x) for x in found]
