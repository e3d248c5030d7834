"""What a binary classifier does on rows without labels, by its own probabilities: confidence-based estimation (CBPE).

A score of 0.8 that came true in 70 % of such rows of the reference is taken to come true in 70 % of the window's. So
each row counts by 70 % as a positive and by 30 % as a negative one, and every metric follows. It sees that the rows
became harder or easier to tell apart. It cannot see that scores came to mean something else: where the truth moves and
the inputs do not (concept drift), nothing changes here.

Source: NannyML's documentation, "Confidence-based Performance Estimation", for the method; Kivimäki, Białek, Kuberski
et al., Performance Estimation in Binary Classification Using Calibrated Confidence (2025), for what it rests on.
"""

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.performance.calibration_curve import DRAWS, CalibrationCurve
from driftline.monitor.performance.metric import MetricInterval
from driftline.monitor.performance.window_scores import WindowScores

ESTIMABLE = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier")
_NORMAL = 1.959964
_SMALLEST = np.finfo(np.float64).eps  # of a probability inside a logarithm, as for realised values
_UNBOUNDED = ("log_loss",)


def estimate(window: WindowScores, curve: CalibrationCurve, seed: int = 0) -> dict[str, MetricInterval]:
    """Return the metrics that labels of all rows are expected to show, each with where they lie in 95 of 100 windows.

    With n rows of score s in a point, c = ``curve.at(s)`` of which come true: TP, FP are the sums of n c and n (1 - c)
    over the points with a positive prediction, FN, TN over the others; accuracy, precision, recall and F1 follow. ROC
    AUC is the share of pairs of a true and a false row in the right order, half of those inside a point; log loss and
    Brier's score are the means of theirs over n c rows of label 1 and n (1 - c) of label 0.

    The interval is drawn: labels of the window as the curve says, and curves of other references of the same size
    (``CalibrationCurve.drawn``). How far the estimates by those curves are from the metrics of those labels makes the
    interval; how far they are from this estimate on average (a curve of few rows promises too much) is taken off.

    Args:
        window: at least one row.
        curve: of the reference.
        seed: of the draws.

    Returns:
        By name, ``ESTIMABLE``. Log loss in nats, all others in [0, 1]; log loss and Brier's score only where all scores
        are probabilities. A share of nothing is 0, as for realised values. It costs points and draws, not rows.
    """
    expected = _metrics(window, window.rows * curve.at(window.scores))
    rng = np.random.default_rng([seed, 1])  # not the stream that the curves were drawn from
    came = rng.binomial(window.rows, curve.at(window.scores), (DRAWS, window.rows.size))
    drawn = _metrics(window, came.astype(np.float64))
    foreseen = _metrics(window, window.rows * curve.drawn_at(window.scores))
    found = {}
    for name, value in expected.items():
        centre = float(2 * value - foreseen[name].mean())
        half = _NORMAL * float((foreseen[name] - drawn[name]).std())
        most = np.inf if name in _UNBOUNDED else 1.0
        low, middle, high = (min(max(each, 0.0), most) for each in (centre - half, centre, centre + half))
        found[name] = MetricInterval(middle, low, high)
    return found


def _metrics(window: WindowScores, came: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the metrics where ``came`` of the rows came true, shape (points,) or (draws, points)."""
    failed, predicted = window.rows - came, window.predicted
    positive, negative = came.sum(axis=-1), failed.sum(axis=-1)
    hits, alarms = came[..., predicted].sum(axis=-1), failed[..., predicted].sum(axis=-1)
    found = {
        "accuracy": (hits + negative - alarms) / window.total,
        "precision": _share(hits, hits + alarms),
        "recall": _share(hits, positive),
        "f1": _share(2 * hits, hits + alarms + positive),
    }
    before = np.cumsum(failed, axis=-1) - failed / 2
    found["roc_auc"] = _share((came * before).sum(axis=-1), positive * negative)
    if window.scores[0] >= 0 and window.scores[-1] <= 1:
        likely = np.clip(window.scores, _SMALLEST, 1 - _SMALLEST)
        found["log_loss"] = -(came @ np.log(likely) + failed @ np.log1p(-likely)) / window.total
        found["brier"] = (came @ (1 - window.scores) ** 2 + failed @ window.scores**2) / window.total
    return found


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)
