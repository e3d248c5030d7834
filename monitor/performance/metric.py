"""The metrics: their names, which way is better, and a value with its interval."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Metric:
    """What is known of a metric beforehand.

    Attributes:
        higher_is_better: else lower is.
        floor: the tolerance is a part of the reference's value, or of this where that is nearer to 0.
        needs_both_classes: whether few rows of one class leave it without a verdict.
        worst: the value that none is worse than; None where there is no such value.
    """

    name: str
    higher_is_better: bool
    floor: float = 0.0
    needs_both_classes: bool = False
    worst: float | None = None

    def can_be_worse(self, limit: float) -> bool:
        """Return whether there are values on the bad side of a limit."""
        if self.worst is None:
            return True
        return limit > self.worst if self.higher_is_better else limit < self.worst


@dataclass(frozen=True, slots=True)
class MetricInterval:
    """A metric's value and the 95 % interval around it; equal where there is no telling."""

    value: float
    low: float
    high: float

    @property
    def deviation(self) -> float:
        """The standard deviation that an interval of this width stands for under a normal distribution."""
        return (self.high - self.low) / (2 * 1.959964)

    def to_json(self) -> list[float]:
        """Return value, low and high."""
        return [self.value, self.low, self.high]

    @classmethod
    def from_json(cls, found: Any) -> "MetricInterval":
        """Return what ``to_json`` gave.

        Raises:
            ValueError, TypeError: it did not.
        """
        value, low, high = (float(each) for each in found)
        if not all(map(math.isfinite, (value, low, high))):
            raise ValueError("a metric that is no number")
        return cls(value, low, high)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", True, worst=0.0),
        Metric("precision", True, needs_both_classes=True, worst=0.0),
        Metric("recall", True, needs_both_classes=True, worst=0.0),
        Metric("f1", True, needs_both_classes=True, worst=0.0),
        Metric("precision_macro", True, worst=0.0),
        Metric("recall_macro", True, worst=0.0),
        Metric("f1_macro", True, worst=0.0),
        Metric("roc_auc", True, needs_both_classes=True, worst=0.0),
        Metric("log_loss", False, floor=0.1),
        Metric("brier", False, floor=0.02, worst=1.0),
        Metric("calibration_error", False, floor=0.4, worst=1.0),
        Metric("mae", False),
        Metric("rmse", False),
        Metric("r2", True),
        Metric("bias", False),  # the tolerance is a part of the reference's mean absolute error
    )
}
