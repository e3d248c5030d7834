"""The labelled rows of a sample as Evidently takes them: predictions beside what turned out to be true.

What outputs and labels mean is decided where performance is measured, so that both say the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.monitor.performance.classes import class_name
from driftline.monitor.performance.reference_performance import ReferencePerformance, task_of_reference
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.task import Task, TaskKind, TaskUnclear, decide_task, probability_matrix
from driftline.store.prediction_columns import PredictionColumn

if TYPE_CHECKING:
    import pandas as pd

Quality = Literal["regression", "binary", "binary classes", "multiclass"]
LEAST_LABELS = 30
TARGET, PREDICTION = "target", "prediction"


@dataclass(frozen=True)
class LabelledRows:
    """What Evidently judges the quality of predictions by.

    Attributes:
        quality: ``binary`` has probabilities of the class ``1`` as predictions, ``binary classes`` has 0 and 1, and
            ``multiclass`` the names of classes.
        frame: columns ``target`` and ``prediction``.
    """

    quality: Quality
    frame: "pd.DataFrame"


def labelled_rows(
    model: str,
    outputs: Sequence[PredictionColumn],
    rows: "pd.DataFrame",
    labels: Sequence[str | None],
    settings: PerformanceSettings,
    reference: ReferencePerformance | None = None,
) -> LabelledRows | str | None:
    """Return the rows that have a label; words that say why Evidently is given none; None where there is no label.

    Args:
        outputs: of the signature, those that are in ``rows`` by their ``column_name``.
        labels: JSON of the label per row, or None.
        reference: the performance that the model's reference holds; its task holds here too.
    """
    there = np.array([label is not None for label in labels], bool)
    if not there.any():
        return None
    truth = [orjson.loads(label) for label in labels if label is not None]
    if len(truth) < LEAST_LABELS:
        return f"{len(truth)} labelled rows in the sample, {LEAST_LABELS} are needed"
    answers = {c.column_name: rows[c.column_name].to_numpy()[there] for c in outputs}
    if not answers:
        return "no output is a number or a class"
    if len({class_name(value) for value in truth} - {None}) < 2:
        return f"all {len(truth)} labelled rows of the sample have one and the same label"
    try:
        task = task_of_reference(model, reference, settings)
        if task is None or not answers.keys() >= set(task.columns):
            task = decide_task(model, outputs, answers, truth, settings)
    except TaskUnclear as error:
        return str(error)
    return _rows(task, answers, truth)


def _rows(task: Task, answers: Mapping[str, NDArray[Any]], truth: Sequence[Any]) -> LabelledRows:
    import pandas as pd

    if task.kind is TaskKind.REGRESSION:
        numbers = {TARGET: truth, PREDICTION: answers[task.prediction]}
        return LabelledRows("regression", pd.DataFrame(numbers).apply(pd.to_numeric, errors="coerce").dropna())
    classes = pd.Series([class_name(value) for value in truth], dtype=object)
    if task.kind is TaskKind.BINARY:
        return _of_two_classes(task, answers, classes)
    if task.prediction:
        predicted = [class_name(value) for value in answers[task.prediction]]
    else:
        matrix = probability_matrix([answers[name] for name in task.probabilities])
        places = [int(row.argmax()) if row.size and np.isfinite(row).all() else None for row in matrix]
        predicted = [None if place is None else task.classes[place] for place in places]
    both = pd.DataFrame({TARGET: classes, PREDICTION: pd.Series(predicted, dtype=object)})
    return LabelledRows("multiclass", both.dropna())


def _of_two_classes(task: Task, answers: Mapping[str, NDArray[Any]], truth: "pd.Series") -> LabelledRows:
    """Return the rows of a binary task: by the probability where the model gives one, else by the class."""
    import pandas as pd

    quality: Quality
    if task.probabilities:
        quality = "binary"
        predicted = pd.Series(probability_matrix([answers[name] for name in task.probabilities])[:, -1])
        known = predicted.between(0, 1)
    else:
        quality = "binary classes"
        names = pd.Series([class_name(value) for value in answers[task.prediction]], dtype=object)
        predicted, known = (names == task.classes[-1]).astype(int), names.isin(task.classes)
    frame = pd.DataFrame({TARGET: (truth == task.classes[-1]).astype(int), PREDICTION: predicted})
    return LabelledRows(quality, frame[known & truth.isin(task.classes)])
