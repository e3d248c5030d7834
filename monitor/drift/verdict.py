"""The judgement of one column."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a judgement came to, in the order in which columns are shown."""

    DRIFT = "drift"
    NO_DRIFT = "no drift"
    INSUFFICIENT_DATA = "insufficient data"
    NOT_JUDGED = "values not judged"  # and the missing cells do not drift

    @property
    def place(self) -> int:
        """Where columns of this verdict are shown among the others, from 0."""
        return list(Verdict).index(self)


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """The judgement of one column in one window.

    Attributes:
        side: input or output of the model.
        name: of the column in the signature; ``column_name`` in the prediction table.
        kind: what is compared: ``numeric``, ``categorical``, ``length`` (of texts, bytes, JSON) or ``time`` (missing
            cells alone).
        statistic: the column's own, or ``missing_share_difference`` when that alone tells the drift.
        score, threshold: drift is a score that reaches the threshold. None where there was no verdict.
        effect: how far the mean moved in standard deviations of the reference, or a category's share, whichever moved
            most, signed; None where there was no verdict on values.
        window_seconds: span of the window that decided.
        window_rows: all rows of the window; ``value_rows`` those with a value in this column.
        verdict: see ``Verdict``.
        reason: one sentence for an operator.
        missing_share, reference_missing_share: shares of all rows, in [0, 1]; None without rows.
        unseen_share: of values whose category the reference does not name, in [0, 1]; None for numeric columns.
        out_of_range_share: of values beyond the reference's least and greatest; None for categorical columns.
    """

    side: str
    name: str
    column_name: str
    kind: str
    statistic: str
    score: float | None
    threshold: float | None
    effect: float | None
    window_seconds: int
    window_rows: int
    value_rows: int
    verdict: Verdict
    reason: str
    missing_share: float | None
    reference_missing_share: float | None
    unseen_share: float | None
    out_of_range_share: float | None

    @property
    def ratio(self) -> float | None:
        """The score in units of its threshold; None where there was no verdict."""
        return None if self.score is None or self.threshold is None else in_thresholds(self.score, self.threshold)


def in_thresholds(score: float, threshold: float) -> float:
    """Return a score in units of its threshold."""
    return score / threshold if threshold > 0 else float("inf")
