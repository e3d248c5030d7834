"""Which of two versions does better on the same labelled rows: metrics of both, and the paired difference.

The interval is a bootstrap's: 400 times as many requests are drawn with replacement, both versions are measured on
those, and what their difference is in the middle 95 % of the draws is told. Rows of one request are drawn together, for
they may be alike; and both versions see the same draw, so what is hard for both does not blur the difference.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.monitor.performance.classes import class_name
from driftline.monitor.performance.metric import METRICS
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.task import Task, TaskKind, TaskUnclear, decide_task, probability_matrix
from driftline.store.payload.typed_cells import Column
from driftline.store.prediction_columns import PredictionColumn

DRAWS = 400
FEWEST_ROWS = 10
_QUANTILES = (0.025, 0.975)
_SMALLEST = np.finfo(np.float64).eps  # of a probability inside a logarithm, as scikit-learn's
_TITLES = {
    "roc_auc": "AUC", "accuracy": "accuracy", "f1": "F1", "log_loss": "log loss", "brier": "Brier score",
    "mae": "mean absolute error", "rmse": "root mean squared error", "r2": "R2",
}  # fmt: skip
_HEADLINES = ("roc_auc", "accuracy", "mae")

Floats = NDArray[np.float64]
Metric = Callable[[Floats], float]  # of how often each row came, shape (rows,)


def labelled_performance(
    model: str,
    pairs: Sequence[tuple[PredictionColumn, PredictionColumn]],
    recorded: Mapping[str, Column],
    asked: Mapping[str, Column],
    labels: Sequence[str | None],
    ids: Sequence[bytes],
    settings: PerformanceSettings,
    known: Task | None = None,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Return the performance of both versions as JSON; None without labels.

    Args:
        model: its name, for the settings.
        pairs: outputs of the version that answered and of the asked one.
        recorded, asked: their cells by ``column_name``, shape (rows,).
        labels: JSON of each row's label, None where it has none.
        ids: of the requests, one per row.
        known: the task of the reference of the version that answered, which a mistaken label does not change.
        seed: of the draws.
    """
    places = np.array([i for i, label in enumerate(labels) if label is not None], np.int64)
    if not len(places):
        return None
    truth = [orjson.loads(str(labels[i])) for i in places.tolist()]
    then = {a.column_name: recorded[a.column_name][places] for a, _ in pairs}
    now = {a.column_name: asked[b.column_name][places] for a, b in pairs}
    nothing: dict[str, Any] = {"rows": len(places), "unusable_rows": 0, "task": None, "headline": None, "metrics": {},
                               "reason": ""}  # fmt: skip
    try:
        if known and set(known.columns) <= then.keys():
            task = known
        else:
            task = decide_task(model, [a for a, _ in pairs], then, truth, settings)
    except TaskUnclear as error:
        return nothing | {"reason": str(error)}
    scores = [_Scores(task, answers, truth) for answers in (then, now)]
    usable = scores[0].usable & scores[1].usable
    if usable.sum() < FEWEST_ROWS:
        return nothing | {"reason": f"{int(usable.sum())} labelled rows, {FEWEST_ROWS} are needed"}
    requests = np.unique([ids[i] for i in places[usable].tolist()], return_inverse=True)[1].reshape(-1)
    metrics = _paired(scores[0].metrics(usable), scores[1].metrics(usable), requests, seed)
    headline = next((name for name in _HEADLINES if name in metrics), None)
    rows = {"rows": int(usable.sum()), "unusable_rows": int((~usable).sum())}
    return nothing | rows | {"task": task.kind.value, "headline": headline, "metrics": metrics}


def _paired(
    then: Mapping[str, Metric], now: Mapping[str, Metric], requests: NDArray[np.int64], seed: int
) -> dict[str, Any]:
    """Return each metric of both versions and the interval of its difference."""
    count, once = int(requests.max()) + 1, np.ones(len(requests))
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in then}
    for _ in range(DRAWS):
        times = np.bincount(rng.integers(0, count, count), minlength=count)[requests].astype(np.float64)
        for name, metric in then.items():
            drawn[name].append(now[name](times) - metric(times))
    found = {}
    for name, metric in then.items():
        before, after = metric(once), now[name](once)
        differences = np.array(drawn[name])
        differences = differences[np.isfinite(differences)]
        if np.isfinite(before) and np.isfinite(after) and len(differences):
            low, high = np.quantile(differences, _QUANTILES).tolist()
            found[name] = {
                "title": _TITLES[name], "higher_is_better": METRICS[name].higher_is_better,
                "recorded": before, "asked": after, "difference": after - before, "difference_interval": (low, high),
            }  # fmt: skip
    return found


class _Scores:
    """One version's answers to labelled rows as what its metrics are made of."""

    def __init__(self, task: Task, answers: Mapping[str, Column], truth: Sequence[Any]) -> None:
        self._task = task
        if task.kind is TaskKind.REGRESSION:
            self._truth, self._predicted = _numbers(truth), _numbers(answers[task.prediction].tolist())
            self.usable = np.isfinite(self._truth) & np.isfinite(self._predicted)
            return
        self._names = np.array([class_name(label) for label in truth], dtype=object)
        self._shares = probability_matrix([answers[name] for name in task.probabilities])
        self._said = np.array(self._classes(answers), dtype=object)
        known = np.array([name is not None for name in self._names])
        if task.probabilities:
            known &= np.isfinite(self._shares).all(axis=1) & np.isin(self._names.astype(str), task.classes)
        self.usable = known & np.array([name is not None for name in self._said])

    def _classes(self, answers: Mapping[str, Column]) -> list[str | None]:
        if self._task.prediction:
            return [class_name(cell) for cell in answers[self._task.prediction].tolist()]
        is_binary, width = self._task.kind is TaskKind.BINARY, self._shares.shape[1]
        if width != len(self._task.classes) and not (is_binary and width == 1):
            return [None] * len(self._shares)  # another version may know other classes
        if is_binary:
            return [self._task.classes[int(p >= self._task.threshold)] for p in self._shares[:, -1].tolist()]
        return [self._task.classes[i] for i in np.nan_to_num(self._shares, nan=-1.0).argmax(axis=1).tolist()]

    def metrics(self, usable: NDArray[np.bool_]) -> dict[str, Metric]:
        """Return the metrics of the usable rows as functions of how often each came."""
        if self._task.kind is TaskKind.REGRESSION:
            return _of_numbers(self._truth[usable], self._predicted[usable])
        names, said = self._names[usable], self._said[usable]
        found: dict[str, Metric] = {"accuracy": _mean((names == said).astype(np.float64))}
        is_binary = self._task.kind is TaskKind.BINARY
        if is_binary:
            found["f1"] = _f1(names == self._task.classes[1], said == self._task.classes[1])
        if not self._task.probabilities:
            return found
        shares = self._shares[usable]
        if is_binary:
            positive = names == self._task.classes[1]
            score = shares[:, -1]
            of_truth = np.where(positive, score, 1 - score)
            found |= {"roc_auc": _auc(score, positive), "brier": _mean((positive - score) ** 2)}
        else:
            wanted = [self._task.classes.index(str(name)) for name in names]
            of_truth = shares[np.arange(len(shares)), wanted]
        found["log_loss"] = _mean(-np.log(np.clip(of_truth, _SMALLEST, 1 - _SMALLEST)))
        return found


def _mean(values: Floats) -> Metric:
    return lambda times: float(times @ values / times.sum())


def _of_numbers(truth: Floats, predicted: Floats) -> dict[str, Metric]:
    errors = predicted - truth

    def r2(times: Floats) -> float:
        spread = times @ (truth - times @ truth / times.sum()) ** 2
        return float(1 - times @ errors**2 / spread) if spread > 0 else float("nan")

    return {
        "mae": _mean(np.abs(errors)),
        "rmse": lambda times: float(np.sqrt(times @ errors**2 / times.sum())),
        "r2": r2,
    }


def _f1(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> Metric:
    def f1(times: Floats) -> float:
        both = times @ truth + times @ said
        return float(2 * (times @ (truth & said)) / both) if both > 0 else 0.0

    return f1


def _auc(scores: Floats, positive: NDArray[np.bool_]) -> Metric:
    """Return the area under the ROC curve, ties counting half; no number where one class did not come."""
    values, place = np.unique(scores, return_inverse=True)

    def auc(times: Floats) -> float:
        above = np.bincount(place, times * positive, len(values))
        below = np.bincount(place, times * ~positive, len(values))
        pairs = above.sum() * below.sum()
        return float(above @ (np.cumsum(below) - below / 2) / pairs) if pairs > 0 else float("nan")

    return auc


def _numbers(cells: Sequence[Any]) -> Floats:
    """Return numbers; NaN for what is none."""
    return np.array([float(c) if isinstance(c, (int, float)) else np.nan for c in cells], np.float64)
