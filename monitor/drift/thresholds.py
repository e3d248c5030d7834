"""What a score must reach: the least effect worth saying, what chance reaches, and what the past reached."""

from dataclasses import dataclass

from driftline.monitor.drift import wording
from driftline.monitor.drift.past_scores import PastScores


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Probabilities of a false alarm that one column's judgement in one window may have.

    Attributes:
        chance: by rows that happen to differ.
        past: by natural variation beyond what the past has shown.
    """

    chance: float
    past: float


@dataclass(frozen=True, slots=True)
class Chance:
    """What scores independent rows have in a window of that size.

    Attributes:
        limit: exceeded at ``ErrorRates.chance``.
        typical: root mean square.
    """

    limit: float
    typical: float


def threshold(
    least_effect: float, chance: Chance, past: PastScores | None, span_seconds: int, past_rate: float
) -> tuple[float, str]:
    """Return the threshold of a score, and what it is made of.

    Args:
        least_effect: worth saying.
        chance: of the window's size.
        past: of like windows; None where too few are known.
        span_seconds: of the window.
        past_rate: ``ErrorRates.past``.
    """
    parts = {wording.LEAST_EFFECT: least_effect}
    parts[wording.CHANCE if past is None else wording.CHANCE_AND_PAST] = chance.limit
    if past is not None:
        limit = past.limit(span_seconds, chance.limit, chance.typical, past_rate)
        parts[wording.past_windows(past.windows)] = limit
    because = max(parts, key=lambda part: parts[part])
    return parts[because], because
