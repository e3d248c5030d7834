"""What the user may set of the performance on labelled rows; section ``performance``."""

from dataclasses import dataclass

from driftline.monitor.drift.windows import parse_spans
from driftline.store.errors import ConfigurationError

_TASKS = ("", "binary", "multiclass", "regression")
BY_MODEL = ("task", "prediction_column", "probability_column", "positive_label", "classes")


@dataclass(frozen=True, slots=True)
class PerformanceSettings:
    """The section ``[performance]``. Where a model is to be named, a text holds for all of them (``churned``), or for
    those that it names (``churn=churned, fraud=true``).

    Attributes:
        interval_seconds: pause between two looks for new labels.
        windows: spans of requests, up to now, that are judged: whole hours (h) or days (d).
        min_labelled_rows: fewer labelled rows get no verdict, and so do fewer than ten of either class.
        tolerance: how much worse than on the reference is still well, as a part of the reference's value; what chance
            explains comes on top.
        chance_deviations: how many standard deviations of live and reference value together chance explains.
        task: ``binary``, ``multiclass`` or ``regression``, by model; empty: told from outputs and labels.
        prediction_column: the output that holds the predicted class or number, by model; empty: the only one, or the
            one named ``prediction``.
        probability_column: the output that holds the probability of the positive label, by model; or those of all
            classes, as ``p0|p1|p2``; empty: the one named ``probability``, or told from the outputs.
        positive_label: the label that a binary model gives the probability of, by model; empty: 1, true, or the larger
            of two numbers.
        classes: the labels in the order of the probabilities of several classes, by model, as ``low|medium|high``;
            empty: sorted.
        decision_threshold: from which probability on the positive label is predicted, where no output says so.
    """

    interval_seconds: float = 300.0
    windows: str = "24h,7d,30d"
    min_labelled_rows: int = 100
    tolerance: float = 0.05
    chance_deviations: float = 3.0
    task: str = ""
    prediction_column: str = ""
    probability_column: str = ""
    positive_label: str = ""
    classes: str = ""
    decision_threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.interval_seconds <= 0 or self.min_labelled_rows < 10:
            raise ConfigurationError(
                "interval_seconds should be more than 0 and min_labelled_rows at least 10: "
                "correct section [performance]"
            )
        if not 0 <= self.tolerance < 1 or not 0 <= self.chance_deviations <= 10:
            raise ConfigurationError(
                "tolerance should lie from 0 to below 1 and chance_deviations from 0 to 10: "
                "correct section [performance]"
            )
        if not 0 < self.decision_threshold < 1:
            raise ConfigurationError("decision_threshold should lie between 0 and 1: correct section [performance]")
        if any(span % 3600 for span in self.spans()):
            raise ConfigurationError(f"performance.windows should be whole hours, as 24h,7d, found {self.windows!r}")
        for name in BY_MODEL:
            by_model(getattr(self, name), name)
        for found in by_model(self.task, "task").values():
            if found not in _TASKS:
                raise ConfigurationError(
                    f"performance.task should be binary, multiclass or regression, found {found!r}"
                )

    def spans(self) -> tuple[int, ...]:
        """Return ``windows`` in seconds, rising."""
        return parse_spans(self.windows)

    def of_model(self, model: str, name: str) -> str:
        """Return what a setting that is by model says of this one; empty where it says nothing."""
        found = by_model(getattr(self, name), name)
        return found.get(model, found.get("", ""))


def by_model(text: str, setting: str) -> dict[str, str]:
    """Return the values of a setting by model; what holds for all has the empty name.

    Raises:
        ConfigurationError: it is neither a value nor ``MODEL=VALUE, ...``.
    """
    if "=" not in text:
        return {"": text.strip()}
    values = {}
    for part in text.split(","):
        name, _, value = (each.strip() for each in part.partition("="))
        if not name or not value:
            raise ConfigurationError(
                f"performance.{setting} should be a value or `MODEL=VALUE, MODEL=VALUE`, found {text!r}"
            )
        values[name] = value
    return values
