"""How much a model relies on each of its inputs: given by the user, left by its fit, or measured on labelled rows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from driftline.monitor.frames import TrainingDataMismatch
from driftline.monitor.training.fitted_importance import fitted_importances
from driftline.monitor.training.permutation_importance import permutation_importances
from driftline.store.prediction_columns import PredictionColumn

if TYPE_CHECKING:
    import pandas as pd

_FITTED_ROWS = 10_000
_LARGEST = 1e300  # of a sum of which there is a number


@dataclass(frozen=True)
class Importances:
    """Shares that sum to 1 by column name, and where they came from, for people."""

    shares: dict[str, float]
    source: str


def given_importances(given: Mapping[str, float], inputs: Sequence[PredictionColumn]) -> Importances:
    """Return what the user says; inputs that are not named have none.

    Raises:
        TrainingDataMismatch: a name is no input, or a number is none that an importance can be.
    """
    unknown = sorted(given.keys() - {column.name for column in inputs})
    if unknown:
        raise TrainingDataMismatch(
            f"importances name {', '.join(unknown[:5])}, which the model does not take: it takes "
            f"{', '.join(column.name for column in inputs[:10])}"
        )
    if not all(isinstance(value, (int, float)) and 0 <= value <= _LARGEST for value in given.values()):
        raise TrainingDataMismatch(
            "importances should be numbers of at least 0 by input: for coefficients, their sizes"
        )
    found = _shares(given, inputs, "given")
    if found is None:
        raise TrainingDataMismatch("importances are all 0: leave them out, or say what the model relies on")
    return found


def measured_importances(
    model: Any, features: "pd.DataFrame", inputs: Sequence[PredictionColumn], labels: NDArray[Any] | None
) -> Importances | None:
    """Return what the model's fit left behind, else what shuffling columns of labelled rows shows, else None.

    Args:
        model: as ``mlflow.pyfunc.load_model`` gives it.
        features: rows of its inputs.
        inputs: the columns of its signature.
        labels: what was to be predicted for these rows; None where not known.

    Raises:
        Exception: whatever the model raises when it predicts.
    """
    try:
        estimator = model.get_raw_model()
    except NotImplementedError:  # of a kind that has none
        estimator = None
    fitted = None if estimator is None else fitted_importances(estimator, features.head(_FITTED_ROWS))
    if fitted is not None and (found := _shares(fitted[0], inputs, fitted[1])) is not None:
        return found
    if labels is None:
        return None
    shuffled = permutation_importances(model.predict, features, labels)
    return None if shuffled is None else _shares(shuffled, inputs, "shuffling of columns on labelled training rows")


def _shares(by_name: Mapping[str, float], inputs: Sequence[PredictionColumn], source: str) -> Importances | None:
    total = math.fsum(by_name.values())
    if not (math.isfinite(total) and total > 0):
        return None
    return Importances({column.column_name: by_name.get(column.name, 0.0) / total for column in inputs}, source)
