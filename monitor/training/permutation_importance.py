"""How much a model relies on each input: by how much its loss grows when that column alone is shuffled.

Source: Breiman, Random Forests (2001), section 10; Fisher, Rudin and Dominici (2019) for models of any kind.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 2000
_REPEATS = 3
_MANY_COLUMNS = 50  # of which each is shuffled once


def permutation_importances(
    predict: Callable[["pd.DataFrame"], Any], features: "pd.DataFrame", labels: NDArray[Any], seed: int = 0
) -> dict[str, float] | None:
    """Return the mean growth of the loss by the name of the shuffled column, never below 0.

    Args:
        predict: the model.
        features: its inputs; at most 2,000 rows are drawn of those that have a label.
        labels: what was to be predicted, shape (rows,).
        seed: of the drawing and the shuffling.

    Returns:
        For numbers the loss is the squared error; for class probabilities, a column per class in the labels' sorted
        order, Brier's score; for anything else the share of wrong answers. None where answers and labels have no
        common shape.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    labelled = np.flatnonzero(~pd.isna(labels))
    drawn = np.sort(rng.choice(labelled, min(_ROWS, labelled.size), replace=False))
    if not drawn.size:
        return None
    rows, truth, classes = features.iloc[drawn], labels[drawn], np.unique(labels[labelled])
    base = _loss(predict(rows), truth, classes)
    if base is None:
        return None
    repeats = _REPEATS if features.shape[1] <= _MANY_COLUMNS else 1
    growth = {}
    for place, name in enumerate(features.columns):
        losses = []
        for _ in range(repeats):
            shuffled = rows.copy()
            shuffled.isetitem(place, rows.iloc[rng.permutation(drawn.size), place].array)
            losses.append(_loss(predict(shuffled), truth, classes))
        growth[str(name)] = max(float(np.mean([loss for loss in losses if loss is not None])) - base, 0.0)
    return growth


def _loss(answers: Any, labels: NDArray[Any], classes: NDArray[Any]) -> float | None:
    given = np.asarray(answers)
    given = given[:, 0] if given.ndim == 2 and given.shape[1] == 1 else given
    if given.ndim == 2 and given.shape == (labels.size, classes.size):
        return float(((given - (labels[:, None] == classes)) ** 2).sum(axis=1).mean())
    if given.shape != labels.shape:
        return None
    if given.dtype.kind == "f" and labels.dtype.kind in "fiub":
        return float(np.mean((given - labels.astype(np.float64)) ** 2))
    if given.dtype.kind in "iub" and labels.dtype.kind in "fiub":
        return float(np.mean(given.astype(np.float64) != labels.astype(np.float64)))
    return float(np.mean(given.astype(str) != labels.astype(str)))
