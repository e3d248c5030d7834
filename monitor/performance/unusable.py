"""Why a labelled row does not count in performance. Each such row has one reason, the first that holds."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.phrases import number

LABEL_CLASS = "label_class"
LABEL_NUMBER = "label_number"
PREDICTION_MISSING = "prediction_missing"
PREDICTION_CLASS = "prediction_class"
PREDICTION_NUMBER = "prediction_number"
PROBABILITIES = "probabilities"
UNTOLD = "untold"

_WORDS = {
    LABEL_CLASS: "with a label of another class (performance.classes names the classes)",
    LABEL_NUMBER: "with a label that is no number up to 1e70",
    PREDICTION_MISSING: "without a prediction",
    PREDICTION_CLASS: "with a prediction of another class (performance.classes names the classes)",
    PREDICTION_NUMBER: "with a prediction that is no number up to 1e70",
    PROBABILITIES: "without a probability from 0 to 1 of each class",
    UNTOLD: "for reasons that an earlier release did not keep",
}


def count_reasons(reasons: Mapping[str, NDArray[np.bool_]]) -> Counter[str]:
    """Return how many rows each reason keeps out.

    Args:
        reasons: by reason the rows that it holds of, each of shape (rows,); of several the first one counts.
    """
    found: Counter[str] = Counter()
    told: NDArray[np.bool_] = np.zeros_like(next(iter(reasons.values())))
    for reason, holds in reasons.items():
        if rows := int((holds & ~told).sum()):
            found[reason] = rows
        told = told | holds
    return found


def reasons_from_json(found: Any) -> Counter[str]:
    """Return the rows by reason that a store keeps; an earlier release kept only their number."""
    if isinstance(found, dict):
        return Counter({str(reason): int(rows) for reason, rows in found.items()})
    return Counter({UNTOLD: int(found)} if found else {})


def said_of_unusable(unusable: Mapping[str, int]) -> str:
    """Return rows that do not count, and why, as people read it; empty where there are none."""
    rows = sum(unusable.values())
    if not rows:
        return ""
    reasons = sorted(unusable, key=lambda reason: (-unusable[reason], reason))
    why = ", ".join(f"{number(unusable[reason])} {_WORDS.get(reason, reason)}" for reason in reasons)
    return f"{number(rows)} labelled {'row does' if rows == 1 else 'rows do'} not count: {why}"
