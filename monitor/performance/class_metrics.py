"""Metrics of tasks with classes, with intervals, from sums.

What follows from the confusion table (accuracy, precision, recall, F1) has the interval of 400 draws from the
distribution of its cells given what was counted, with Jeffreys' prior; it holds where no error was seen too. What
follows from the bins of probabilities (ROC AUC, Brier's score, calibration) is bootstrapped: 400 draws of as many rows
from the cells. The log loss is a mean of rows; its interval is the normal one of a mean, which a bootstrap comes to.
"""

import math

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.performance.classes import in_order
from driftline.monitor.performance.metric import MetricInterval
from driftline.monitor.performance.score_bins import score_edges
from driftline.monitor.performance.sums import ClassSums, ScoreCells
from driftline.monitor.performance.task import Task, TaskKind

DRAWS = 400
_QUANTILES = (0.025, 0.975)
_NORMAL = 1.959964
_CALIBRATION_BINS = 10


def class_metrics(task: Task, sums: ClassSums, seed: int = 0) -> dict[str, MetricInterval]:
    """Return the metrics of some rows by name; those that the rows do not determine are left out.

    Args:
        task: binary or several classes.
        sums: of at least one row.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    found = _of_confusion(task, sums, rng)
    if sums.cells is None or not sums.rows:
        return found
    mean = sums.loss / sums.rows
    half = _NORMAL * math.sqrt(max(sums.loss_squares / sums.rows - mean**2, 0.0) / sums.rows)
    found["log_loss"] = MetricInterval(mean, max(mean - half, 0.0), mean + half)
    return found | _of_cells(task, sums.cells, rng)


def _of_confusion(task: Task, sums: ClassSums, rng: np.random.Generator) -> dict[str, MetricInterval]:
    seen = in_order(name for pair in sums.confusion for name in pair)
    classes = task.classes if task.kind is TaskKind.BINARY else seen
    places = {name: place for place, name in enumerate(classes)}
    table = np.zeros((1, len(classes), len(classes)))
    for (truth, predicted), rows in sums.confusion.items():
        table[0, places[truth], places[predicted]] += rows
    drawn = rng.dirichlet(table.ravel() + 2 / table.size, DRAWS).reshape(DRAWS, *table.shape[1:])
    exact, spread = _shares(task, table), _shares(task, drawn)
    return {name: _interval(float(exact[name][0]), spread[name]) for name in exact}


def _shares(task: Task, tables: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the metrics of confusion tables, shape (draws, labels, predictions); 0 where nothing divides, as usual."""
    right = np.diagonal(tables, axis1=1, axis2=2)
    labels, predictions = tables.sum(axis=2), tables.sum(axis=1)
    precision, recall = _divided(right, predictions), _divided(right, labels)
    f1 = _divided(2 * right, labels + predictions)
    accuracy = right.sum(axis=1) / tables.sum(axis=(1, 2))
    if task.kind is TaskKind.BINARY:
        return {"accuracy": accuracy, "precision": precision[:, 1], "recall": recall[:, 1], "f1": f1[:, 1]}
    macro = {"precision_macro": precision, "recall_macro": recall, "f1_macro": f1}
    return {"accuracy": accuracy} | {name: each.mean(axis=1) for name, each in macro.items()}


def _of_cells(task: Task, cells: ScoreCells, rng: np.random.Generator) -> dict[str, MetricInterval]:
    filled = np.flatnonzero(cells.counts.any(axis=0))
    counts = cells.counts[:, filled]
    means = _divided(cells.sums[:, filled], counts.astype(np.float64))
    tenths = np.floor(score_edges()[filled] * _CALIBRATION_BINS + 1e-9).astype(np.int64)
    drawn = rng.multinomial(counts.sum(), counts.ravel() / counts.sum(), DRAWS).reshape(DRAWS, *counts.shape)
    found = {}
    if task.kind is TaskKind.BINARY:
        if counts.sum(axis=1).all():
            found["roc_auc"] = _interval(float(_auc(counts[None])[0]), _auc(drawn))
        found["brier"] = _interval(float(_brier(counts[None], means)[0]), _brier(drawn, means))
    exact = _squared_miscalibration(counts[None], means, tenths, 1)
    spread = _squared_miscalibration(drawn, means, tenths, 2)
    found["calibration_error"] = _interval(math.sqrt(max(float(exact[0]), 0.0)), np.sqrt(np.maximum(spread, 0.0)))
    return found


def _auc(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the area under the ROC curve of each draw; rows of one bin count as ties. Shape (draws, 2, bins)."""
    negative, positive = counts[:, 0].astype(np.float64), counts[:, 1].astype(np.float64)
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = negative.sum(axis=1) * positive.sum(axis=1)
    return np.where(pairs > 0, (positive * below).sum(axis=1) / np.where(pairs > 0, pairs, 1), 0.5)


def _brier(counts: NDArray[np.int64], means: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = np.stack([means[0] ** 2, (1 - means[1]) ** 2])
    mean: NDArray[np.float64] = (counts * squares).sum(axis=(1, 2)) / counts.sum(axis=(1, 2))
    return mean


def _squared_miscalibration(
    counts: NDArray[np.int64], means: NDArray[np.float64], tenths: NDArray[np.int64], corrections: int
) -> NDArray[np.float64]:
    """Return the mean squared gap between probability and frequency over ten bins, less what chance adds to it.

    Args:
        corrections: how many times chance was drawn: once in the rows, once more in a bootstrap of them.

    Source: Kumar, Liang and Ma, Verified Uncertainty Calibration (2019), the debiased estimator.
    """
    member = (tenths[:, None] == np.arange(_CALIBRATION_BINS)).astype(np.float64)
    rows = counts.sum(axis=1) @ member
    came = counts[:, 1] @ member
    scores = (counts * means).sum(axis=1) @ member
    share = _divided(came, rows)
    gaps = (share - _divided(scores, rows)) ** 2 - corrections * _divided(share * (1 - share), np.maximum(rows - 1, 1))
    mean: NDArray[np.float64] = (gaps * rows).sum(axis=1) / rows.sum(axis=1)
    return mean


def _divided(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below > 0)


def _interval(value: float, drawn: NDArray[np.float64]) -> MetricInterval:
    low, high = np.quantile(drawn, _QUANTILES)
    return MetricInterval(value, min(value, float(low)), max(value, float(high)))
