"""A classifier that tries to tell live rows from training rows: the one module with scikit-learn, in its own process.

Run as ``python -m driftline.monitor.multivariate.domain_classifier FOLDER``, it reads ``rows.npz`` there and writes
``found.json``. Its memory ends with it; it runs on one core, at a low priority.

Rows are halved; each half is scored by boosted trees that learned from the other. The AUC is the mean of both: 0.5
where the two kinds of rows are alike, whatever the trees found in what they learned from. ``z`` is its distance from
0.5 in standard deviations. A half's AUC is Mann and Whitney's statistic, whose variance without drift is known; the two
halves' hang together (what one half happens to share with the other helps both), and a mean varies at most as much as
one of them alone: that is taken, so that ``z`` promises too little rather than too much.

Source: Hanley and McNeil (1982), the variance of an AUC; Lopez-Paz and Oquab (2017), classifier two-sample tests.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.child_process import child_main

FOLDS = 2
NAMED = 5  # columns, at most
_TREES = 40
_LEAVES = 15
_SEED = 0
_NICER = 10


@dataclass(frozen=True, slots=True)
class Separation:
    """How well live rows can be told from training rows.

    Attributes:
        auc: the probability that a live row looks more like one than a training row does; 0.5 without drift.
        z: its distance from 0.5 in standard deviations.
        importances: by position of the column, how much AUC is lost when its cells are shuffled, the most first; empty
            unless asked for.
    """

    auc: float
    z: float
    importances: dict[int, float]


def separate(
    live: NDArray[np.float64],
    training: NDArray[np.float64],
    categorical: NDArray[np.bool_],
    *,
    named_from: tuple[float, float] = (0.0, 0.0),
) -> Separation:
    """Learn to tell two sets of rows apart and measure on rows that were not learned from.

    Args:
        live, training: shape (rows, columns), NaN where missing; at least 100 rows each.
        categorical: which columns hold codes of categories, 0 to 254, shape (columns,).
        named_from: AUC and z from which on the columns are told that it took.
    """
    rows = np.concatenate([live, training])
    is_live = np.concatenate([np.ones(len(live), np.int8), np.zeros(len(training), np.int8)])
    rng = np.random.default_rng(_SEED)
    fold = np.concatenate([rng.permutation(np.arange(len(side)) % FOLDS) for side in (live, training)])
    models, aucs, variances = [], [], []
    for k in range(FOLDS):
        held = fold == k
        model = _learn(rows[~held], is_live[~held], categorical)
        models.append(model)
        aucs.append(_auc(model.decision_function(rows[held]), is_live[held]))
        variances.append(_null_variance(int(is_live[held].sum()), int((1 - is_live[held]).sum())))
    auc = float(np.mean(aucs))
    z = (auc - 0.5) / np.sqrt(max(variances))
    importances = {}
    if auc >= named_from[0] and z >= named_from[1]:
        held = fold == 0
        importances = _importances(models[0], rows[held], is_live[held], aucs[0], rng)
    return Separation(auc, float(z), importances)


def _learn(rows: NDArray[np.float64], is_live: NDArray[np.int8], categorical: NDArray[np.bool_]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows = np.where(np.isnan(rows).all(axis=0), 0.0, rows)  # the trees refuse a column without any number
    model = HistGradientBoostingClassifier(
        max_iter=_TREES,
        max_leaf_nodes=_LEAVES,
        early_stopping=False,
        categorical_features=categorical,
        class_weight="balanced",
        random_state=_SEED,
    )
    return model.fit(rows, is_live)


def _auc(scores: NDArray[np.float64], is_live: NDArray[np.int8]) -> float:
    """Return the share of pairs of a live and a training row of which the live one has the higher score."""
    order = np.sort(scores[is_live == 0])
    own = scores[is_live == 1]
    below = np.searchsorted(order, own, side="left") + np.searchsorted(order, own, side="right")
    return float(below.mean() / 2 / len(order))


def _null_variance(live_rows: int, training_rows: int) -> float:
    """Return the variance of an AUC of rows that are alike."""
    return (live_rows + training_rows + 1) / (12 * live_rows * training_rows)


def _importances(
    model: Any, rows: NDArray[np.float64], is_live: NDArray[np.int8], auc: float, rng: np.random.Generator
) -> dict[int, float]:
    """Return how much AUC each column's cells carry, on rows that were not learned from."""
    lost = np.zeros(rows.shape[1])
    for column in range(rows.shape[1]):
        shuffled = rows.copy()
        rng.shuffle(shuffled[:, column])
        lost[column] = auc - _auc(model.decision_function(shuffled), is_live)
    most = [int(column) for column in np.argsort(-lost)[:NAMED] if lost[column] > 0]
    return {column: float(lost[column]) for column in most}


def _separate(folder: Path) -> None:
    """Write what was found; in the child."""
    with np.load(folder / "rows.npz") as arrays:
        found = separate(
            arrays["live"],
            arrays["training"],
            arrays["categorical"],
            named_from=(float(arrays["named_from"][0]), float(arrays["named_from"][1])),
        )
    (folder / "found.json").write_text(
        json.dumps({"auc": found.auc, "z": found.z, "importances": list(found.importances.items())})
    )


def _work(folder: Path) -> None:
    os.nice(_NICER)
    _separate(folder)


if __name__ == "__main__":
    child_main(_work)
