"""What labelled rows add up to: sums that merge, so that a window's performance costs its hours and not its rows.

Of classes: a confusion table, counts of probabilities in fine bins by whether it came true, and the sums of the log
loss. Of numbers: the sums of the errors, mean and spread of the labels, and a bounded sample of rows, which intervals
are drawn from.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftline.monitor.performance.classes import class_name
from driftline.monitor.performance.score_bins import score_bins, score_edges
from driftline.monitor.performance.task import Task, TaskKind, probability_matrix
from driftline.monitor.performance.unusable import (
    LABEL_CLASS,
    LABEL_NUMBER,
    PREDICTION_CLASS,
    PREDICTION_MISSING,
    PREDICTION_NUMBER,
    PROBABILITIES,
    count_reasons,
    reasons_from_json,
)

HOUR_SAMPLE_ROWS = 128
_LARGEST = 1e70  # of a number: intervals take fourth powers, whose sums have to stay finite
_SMALLEST = np.finfo(np.float64).eps  # of a probability inside a logarithm, as scikit-learn's


@dataclass
class ScoreCells:
    """Rows by probability and truth.

    Of a binary task the probability of the positive label, and whether it was that; of several classes the largest
    probability, and whether its class was the label.

    Attributes:
        counts: rows, shape (2, bins): not come true, come true.
        sums: of their probabilities, same shape.
    """

    counts: NDArray[np.int64]
    sums: NDArray[np.float64]

    @classmethod
    def empty(cls) -> "ScoreCells":
        bins = score_edges().size - 1
        return cls(np.zeros((2, bins), np.int64), np.zeros((2, bins)))

    @classmethod
    def of(cls, scores: NDArray[np.float64], came_true: NDArray[np.bool_]) -> "ScoreCells":
        """Return the cells of rows, both shapes (rows,)."""
        bins = score_edges().size - 1
        places = came_true * bins + score_bins(scores)
        counts = np.bincount(places, minlength=2 * bins).reshape(2, bins)
        sums = np.bincount(places, weights=scores, minlength=2 * bins).reshape(2, bins)
        return cls(counts, sums.astype(np.float64))

    def add(self, other: "ScoreCells") -> None:
        self.counts = self.counts + other.counts
        self.sums = self.sums + other.sums

    def to_json(self) -> dict[str, Any]:
        filled = np.flatnonzero(self.counts)
        counts, sums = self.counts.ravel()[filled], self.sums.ravel()[filled]
        return {"bins": self.counts.shape[1], "at": filled.tolist(), "rows": counts.tolist(), "sums": sums.tolist()}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "ScoreCells":
        cells = cls.empty()
        if found["bins"] != cells.counts.shape[1]:
            raise ValueError("counted on other bins")
        cells.counts.ravel()[found["at"]] = found["rows"]
        cells.sums.ravel()[found["at"]] = found["sums"]
        return cells


@dataclass
class ClassSums:
    """Sums over labelled rows of a task with classes.

    Attributes:
        confusion: rows by label and prediction, by name.
        cells: None where the task has no probabilities.
        loss, loss_squares: sums of the log loss of the rows and of its square, natural logarithm.
        unusable: labelled rows that do not count, by reason (``unusable``).
    """

    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    cells: ScoreCells | None = None
    loss: float = 0.0
    loss_squares: float = 0.0
    unusable: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """Labelled rows that count."""
        return self.confusion.total()

    def add(self, other: "ClassSums") -> None:
        """Add the sums of other rows of the same task."""
        self.confusion.update(other.confusion)
        if other.cells is not None:
            self.cells = self.cells or ScoreCells.empty()
            self.cells.add(other.cells)
        self.loss += other.loss
        self.loss_squares += other.loss_squares
        self.unusable.update(other.unusable)

    def to_json(self) -> dict[str, Any]:
        """Return the sums as JSON values."""
        return {
            "confusion": [[truth, predicted, rows] for (truth, predicted), rows in self.confusion.items()],
            "cells": None if self.cells is None else self.cells.to_json(),
            "loss": [self.loss, self.loss_squares],
            "unusable": self.unusable,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "ClassSums":
        """Return what ``to_json`` gave."""
        confusion = Counter({(truth, predicted): rows for truth, predicted, rows in found["confusion"]})
        cells = None if found["cells"] is None else ScoreCells.from_json(found["cells"])
        loss, squares = map(float, found["loss"])
        return cls(confusion, cells, loss, squares, reasons_from_json(found["unusable"]))


@dataclass
class NumberSums:
    """Sums over labelled rows of a regression; an error is the prediction less the label.

    Attributes:
        rows: labelled rows that count.
        absolute, error, square: sums of the errors' sizes, the errors, and their squares.
        mean, spread: of the labels: the mean, and the sum of the squared distances from it.
        sample: label, prediction and how many rows each stands for, shape (3, at most 128 an hour), see
            ``bounded_sample``.
        unusable: labelled rows that do not count, by reason (``unusable``).
    """

    rows: int = 0
    absolute: float = 0.0
    error: float = 0.0
    square: float = 0.0
    mean: float = 0.0
    spread: float = 0.0
    sample: NDArray[np.float64] = field(default_factory=lambda: np.empty((3, 0)))
    unusable: Counter[str] = field(default_factory=Counter)

    def add(self, other: "NumberSums") -> None:
        """Add the sums of other rows. Means and spreads: Chan, Golub and LeVeque (1983)."""
        rows = self.rows + other.rows
        if other.rows:
            apart = other.mean - self.mean
            self.mean += apart * other.rows / rows
            self.spread += other.spread + apart**2 * self.rows * other.rows / rows
        self.rows = rows
        self.absolute += other.absolute
        self.error += other.error
        self.square += other.square
        self.sample = np.concatenate([self.sample, other.sample], axis=1)
        self.unusable.update(other.unusable)

    def to_json(self) -> dict[str, Any]:
        """Return the sums as JSON values."""
        sums = [self.rows, self.absolute, self.error, self.square, self.mean, self.spread, self.unusable]
        return {"sums": sums, "sample": self.sample.tolist()}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "NumberSums":
        """Return what ``to_json`` gave."""
        rows, absolute, error, square, mean, spread, unusable = found["sums"]
        sample = np.array(found["sample"], dtype=np.float64).reshape(3, -1)
        return cls(rows, absolute, error, square, mean, spread, sample, reasons_from_json(unusable))


Sums = ClassSums | NumberSums


def empty_sums(task: Task) -> Sums:
    """Return the sums of no rows."""
    return NumberSums() if task.kind is TaskKind.REGRESSION else ClassSums()


def sums_from_json(task: Task, found: Mapping[str, Any]) -> Sums:
    """Return the sums that a task's ``to_json`` gave."""
    return (NumberSums if task.kind is TaskKind.REGRESSION else ClassSums).from_json(found)


def sums_of(
    task: Task,
    answers: Mapping[str, NDArray[Any]],
    labels: Sequence[Any],
    seed: int = 0,
    sample_rows: int = HOUR_SAMPLE_ROWS,
) -> Sums:
    """Return the sums of labelled rows.

    Args:
        answers: the task's outputs by ``column_name``, each of shape (rows,).
        labels: as Python values, of these rows; None where there is none.
        seed: of the sample; ``sample_rows`` its size, where the task is a regression.
    """
    if task.kind is TaskKind.REGRESSION:
        return _number_sums(answers[task.prediction], labels, seed, sample_rows)
    return _class_sums(task, answers, labels)


def _number_sums(answers: NDArray[Any], labels: Sequence[Any], seed: int, sample_rows: int) -> NumberSums:
    truth, predicted = _as_numbers(labels), _as_numbers(answers.tolist())
    there = np.array([label is not None for label in labels], dtype=bool)
    has_truth, has_answer = np.abs(truth) <= _LARGEST, np.abs(predicted) <= _LARGEST  # and is not NaN
    reasons = {LABEL_NUMBER: ~has_truth, PREDICTION_MISSING: pd.isna(answers), PREDICTION_NUMBER: ~has_answer}
    unusable = count_reasons({reason: there & holds for reason, holds in reasons.items()})
    truth, predicted = truth[has_truth & has_answer], predicted[has_truth & has_answer]
    rows = truth.size
    if not rows:
        return NumberSums(unusable=unusable)
    errors = predicted - truth
    sample = bounded_sample(np.stack([truth, predicted, np.ones(rows)]), sample_rows, np.random.default_rng(seed))
    mean = float(truth.mean())
    return NumberSums(
        rows=rows,
        absolute=float(np.abs(errors).sum()),
        error=float(errors.sum()),
        square=float((errors**2).sum()),
        mean=mean,
        spread=float(((truth - mean) ** 2).sum()),
        sample=sample,
        unusable=unusable,
    )


def bounded_sample(sample: NDArray[np.float64], most: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return at most so many rows of a sample, which stand for as many rows as all of it.

    A quarter are those with the largest errors, which say most of how far RMSE and R2 may lie from their values; the
    others are drawn by how many rows they stand for.

    Args:
        sample: label, prediction and how many rows each stands for, shape (3, rows).
    """
    if sample.shape[1] <= most:
        return sample
    kept = most // 4
    by_error = sample[:, np.argsort(-np.abs(sample[1] - sample[0]), kind="stable")]
    largest, others = by_error[:, :kept], by_error[:, kept + rng.permutation(by_error.shape[1] - kept)]
    until = np.cumsum(others[2])
    apart = until[-1] / (most - kept)
    places = np.searchsorted(until, (rng.random() + np.arange(most - kept)) * apart, side="right")
    drawn = others[:, np.minimum(places, until.size - 1)]
    drawn[2] = apart
    return np.concatenate([largest, drawn], axis=1)


def _class_sums(task: Task, answers: Mapping[str, NDArray[Any]], labels: Sequence[Any]) -> ClassSums:
    truth = [class_name(label) for label in labels]
    known = set(task.classes)
    is_open = task.kind is TaskKind.MULTICLASS and not task.probabilities  # a class may be new

    def of_task(names: Sequence[str | None]) -> NDArray[np.bool_]:
        return np.array([name is not None and (is_open or name in known) for name in names], dtype=bool)

    labelled = np.array([name is not None for name in truth], dtype=bool)
    matrix = probability_matrix([answers[name] for name in task.probabilities])
    scored = _scored(task, matrix, len(truth))
    predicted = _predicted(task, answers, matrix, len(truth))
    answered = np.array([name is not None for name in predicted], dtype=bool)
    reasons = {
        LABEL_CLASS: ~of_task(truth),
        PROBABILITIES: ~scored,
        PREDICTION_MISSING: ~answered,
        PREDICTION_CLASS: ~of_task(predicted),
    }
    rows = np.flatnonzero(labelled & ~np.any(list(reasons.values()), axis=0)).tolist()
    sums = ClassSums(unusable=count_reasons({reason: labelled & holds for reason, holds in reasons.items()}))
    sums.confusion.update((str(truth[i]), str(predicted[i])) for i in rows)
    if not task.probabilities or not rows:
        return sums
    places = {name: place for place, name in enumerate(task.classes)}
    wanted, shares = np.array([places[str(truth[i])] for i in rows]), matrix[rows]
    if task.kind is TaskKind.BINARY:
        scores, came_true = shares[:, -1], wanted == 1
        of_truth = np.where(came_true, scores, 1 - scores)
    else:
        scores, came_true = shares.max(axis=1), shares.argmax(axis=1) == wanted
        of_truth = shares[np.arange(len(rows)), wanted]
    losses = -np.log(np.clip(of_truth, _SMALLEST, 1 - _SMALLEST))
    sums.cells = ScoreCells.of(scores, came_true)
    sums.loss, sums.loss_squares = float(losses.sum()), float((losses**2).sum())
    return sums


def _scored(task: Task, matrix: NDArray[np.float64], rows: int) -> NDArray[np.bool_]:
    """Return which rows have the probabilities that the task has, shape (rows,)."""
    if not task.probabilities:
        return np.ones(rows, dtype=bool)
    width = matrix.shape[1]
    if not width or ((task.kind is TaskKind.MULTICLASS or width == 2) and width != len(task.classes)):
        return np.zeros(rows, dtype=bool)
    return np.array((np.isfinite(matrix) & (matrix >= 0) & (matrix <= 1)).all(axis=1), dtype=bool)


def _predicted(
    task: Task, answers: Mapping[str, NDArray[Any]], matrix: NDArray[np.float64], rows: int
) -> Sequence[str | None]:
    if task.prediction:
        return [class_name(cell) for cell in answers[task.prediction].tolist()]
    if task.kind is TaskKind.BINARY:
        if not matrix.shape[1]:
            return [None] * rows
        return [task.classes[int(score >= task.threshold)] for score in matrix[:, -1]]
    if matrix.shape[1] != len(task.classes):
        return [None] * rows
    return [task.classes[int(place)] for place in np.where(np.isnan(matrix), -1, matrix).argmax(axis=1)]


def _as_numbers(cells: Sequence[Any]) -> NDArray[np.float64]:
    """Return numbers; NaN for what is none."""
    return np.array([float(c) if isinstance(c, (int, float)) else np.nan for c in cells], dtype=np.float64)
