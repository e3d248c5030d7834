"""One finding on data quality: what was seen, what was to be expected, and from where on it counts."""

from dataclasses import dataclass
from enum import StrEnum

WHOLE = ""  # side and column name of what is about the rows as a whole


class Kind(StrEnum):
    """What a finding is about."""

    MISSING = "missing"
    OUT_OF_RANGE = "out_of_range"
    UNSEEN_CATEGORY = "unseen_category"
    CONSTANT = "constant"
    COERCED = "coerced"
    DUPLICATE_ROWS = "duplicate_rows"
    VOLUME = "volume"

    @property
    def words(self) -> str:
        """As people read it."""
        return self.value.replace("_", " ")


class QualityVerdict(StrEnum):
    """What a finding came to."""

    BREACH = "breach"
    OK = "ok"
    INSUFFICIENT_DATA = "insufficient data"


@dataclass(frozen=True, slots=True)
class QualityFinding:
    """One check of one column, or of the rows as a whole, in one window.

    Attributes:
        kind: see ``Kind``.
        side, name: of the column in the signature; ``WHOLE`` for the rows as a whole.
        window: start and end, microseconds since the epoch.
        window_rows: rows of the window; for duplicate rows those of the sample.
        observed, expected: shares in [0, 1]; rows for ``VOLUME``; 1 or 0 for ``CONSTANT``. None without rows.
        threshold: from where on ``observed`` is a breach; None where there was no verdict. ``VOLUME`` has two, and this
            is the one on the side of what was observed.
        verdict: see ``QualityVerdict``.
        reason: one sentence for an operator; it holds no value of a request.
    """

    kind: Kind
    side: str
    name: str
    window: tuple[int, int]
    window_rows: int
    observed: float | None
    expected: float | None
    threshold: float | None
    verdict: QualityVerdict
    reason: str

    @property
    def ratio(self) -> float:
        """How far ``observed`` is from ``expected`` in units of what is allowed; -1 without a verdict."""
        if self.observed is None or self.expected is None or self.threshold is None:
            return -1.0
        allowed = self.threshold - self.expected
        return (self.observed - self.expected) / allowed if allowed else float("inf")


def share_finding(
    kind: Kind,
    place: tuple[str, str],
    window: tuple[int, int],
    rows: int,
    shares: tuple[float, float, float],
    reason: str,
) -> QualityFinding:
    """Return the finding on a share that breaches when it reaches its threshold.

    Args:
        place: side and column name.
        shares: observed, expected, threshold.
    """
    observed, expected, threshold = shares
    verdict = QualityVerdict.BREACH if observed >= threshold else QualityVerdict.OK
    return QualityFinding(kind, *place, window, rows, observed, expected, threshold, verdict, reason)


def unjudged(
    kind: Kind, place: tuple[str, str], window: tuple[int, int], rows: int, observed: float | None, reason: str
) -> QualityFinding:
    """Return a finding without a verdict, and why there is none."""
    return QualityFinding(kind, *place, window, rows, observed, None, None, QualityVerdict.INSUFFICIENT_DATA, reason)
