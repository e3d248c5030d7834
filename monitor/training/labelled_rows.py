"""Labelled rows of a reference: what the model's performance is measured on, training rows or such as it never saw."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.frames import TrainingDataMismatch, typed_columns
from driftline.monitor.mlflow_link import MlflowLink, exact_uri
from driftline.monitor.performance.reference_performance import ReferencePerformance, measure
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.task import TaskUnclear
from driftline.monitor.training.model_answers import answers, features_of, has_outputs, require_inputs
from driftline.store.prediction_columns import PredictionColumn
from driftline.store.records import ModelIdentity

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 10  # columns in a message


class Labelled(NamedTuple):
    """Rows that performance is measured on: columns by ``column_name``, labels (None: not known), and what they are."""

    data: dict[str, NDArray[Any]]
    truth: NDArray[Any] | None
    source: str


def labels_of(frame: "pd.DataFrame", labels: "str | NDArray[Any] | None", names: set[str]) -> NDArray[Any] | None:
    """Return the labels of a frame's rows; None where none are given.

    Args:
        labels: the name of their column, or themselves.
        names: of the model's inputs, which are no labels.

    Raises:
        TrainingDataMismatch: there is no such column, or not one label for each row.
    """
    if not isinstance(labels, str):
        if labels is not None and len(labels) != len(frame):
            raise TrainingDataMismatch(f"{len(labels)} labels for {len(frame)} rows: give one for each row")
        return None if labels is None else np.asarray(labels)
    if labels not in frame.columns or labels in names:
        found = "is an input of the model" if labels in names else "is not in the data"
        raise TrainingDataMismatch(
            f"the column of labels {labels} {found}: name the one that holds what to predict; "
            f"beside the inputs there is {_beside(frame, names)}"
        )
    return np.asarray(frame[labels])


def _beside(frame: "pd.DataFrame", names: set[str]) -> str:
    others = [str(name) for name in frame.columns if name not in names]
    return ", ".join(others[:_NAMED]) + (" ..." if len(others) > _NAMED else "") or "no column"


def held_out_rows(
    link: MlflowLink,
    identity: ModelIdentity,
    frame: "pd.DataFrame",
    labels: "str | NDArray[Any] | None",
    columns: tuple[PredictionColumn, ...],
) -> Labelled:
    """Return held-out rows with the model's answers to them, its own columns where the data have them.

    Raises:
        TrainingDataMismatch: labels are not named, or the model does not take the rows.
    """
    if not isinstance(labels, str):
        raise TrainingDataMismatch(
            "rows to measure performance on need the name of their column of labels: give it as `labels` (`--labels`)"
        )
    inputs, outputs = ([c for c in columns if c.side == side] for side in ("input", "output"))
    names = {c.name for c in inputs}
    truth = labels_of(frame, labels, names)
    if has_outputs(frame, outputs, names):
        data = typed_columns(frame, outputs)
    else:
        require_inputs(identity, frame, inputs)
        model = link.load(exact_uri(identity))
        data = answers(identity, model, features_of(identity, frame, inputs), outputs, lambda rows: None)
    return Labelled(data, truth, f"{len(frame)} held-out rows")


def performance_on(
    identity: ModelIdentity, outputs: list[PredictionColumn], rows: Labelled, settings: PerformanceSettings
) -> tuple[ReferencePerformance | None, str]:
    """Return the performance on labelled rows, or why there is none."""
    if rows.truth is None:
        return None, "give the column of labels by --labels COLUMN"
    try:
        return measure(identity.name, outputs, rows.data, rows.truth.tolist(), settings, rows.source), ""
    except TaskUnclear as error:
        return None, f"{error}; then build the reference again"
