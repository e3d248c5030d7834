"""Volume: an hour's rows against those of the same hour of past weeks.

Rows vary by a factor rather than by a number, so logarithms are compared: with the median of the same hour of the
past weeks, in units of their spread about such medians: the same hour's or all hours', whichever is larger, by median
deviations, so that one week of outage widens nothing; at least that of counts that vary by chance alone (Poisson).
Hours of one day hang together: seven days a week are counted as independent of each other, their hours are not.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from driftline.monitor.drift.phrases import number
from driftline.monitor.quality.finding import WHOLE, Kind, QualityFinding, QualityVerdict, unjudged
from driftline.monitor.quality.settings import QualitySettings

WEEK_HOURS = 168
MOST_WEEKS = 12
_NORMAL = 1.4826  # standard deviations of a normal distribution in its median deviation
_MEDIAN = math.pi / 2  # variance of a median in that of a mean
_HALF = 0.5  # so that an hour without rows has a logarithm


def volume_finding(
    rows: int, past: NDArray[np.int64], window: tuple[int, int], settings: QualitySettings, error_rate: float
) -> QualityFinding:
    """Judge the rows of one hour.

    Args:
        rows: of the hour.
        past: rows of the hours before it, the latest last, shape (hours,).
        window: start and end of the hour, microseconds since the epoch.
        settings: of the judgement.
        error_rate: the probability of a wrong breach.
    """
    weeks = past.size // WEEK_HOURS
    if weeks < settings.volume_weeks:
        said = f"{rows:,} rows; {weeks} weeks are known, a verdict needs {settings.volume_weeks}"
        return unjudged(Kind.VOLUME, (WHOLE, WHOLE), window, rows, rows, said)
    usual, low, high = _limits(past[-weeks * WEEK_HOURS :].reshape(weeks, WEEK_HOURS), settings, error_rate)
    is_less = rows < usual
    threshold = low if is_less else high
    breached = rows <= low if is_less else rows >= high
    said = (
        f"{rows:,} rows in this hour, about {number(round(usual))} in the same hour of the past {weeks} weeks; "
        f"a breach {'up to' if is_less else 'from'} {number(round(threshold))}"
        if threshold >= 0
        else f"{rows:,} rows in this hour, about {number(round(usual))} in the same hour of the past {weeks} weeks, "
        "which are too few to tell a lack from chance"
    )
    verdict = QualityVerdict.BREACH if breached else QualityVerdict.OK
    return QualityFinding(Kind.VOLUME, WHOLE, WHOLE, window, rows, rows, usual, threshold, verdict, said)


def _limits(weeks: NDArray[np.int64], settings: QualitySettings, error_rate: float) -> tuple[float, float, float]:
    """Return the usual rows, the most that are far too few (negative: none are) and the least that are far too many.

    Args:
        weeks: rows by past week and hour, the first of a week being like the hour that is judged, shape (weeks, 168).
    """
    logs = np.log(weeks + _HALF)
    centres = np.median(logs, axis=0)
    deviations = np.abs(logs - centres)
    count = len(weeks)
    spread = _NORMAL * max(float(np.median(deviations[:, 0])), float(np.median(deviations)))
    usual = math.exp(centres[0])
    variance = max(spread**2 * count / (count - 1), 1 / usual) * (1 + _MEDIAN / count)
    reach = float(-stdtrit(7 * (count - 1), error_rate / 2)) * math.sqrt(variance)
    factor = max(math.exp(reach), settings.volume_factor)
    return usual - _HALF, usual / factor - _HALF, usual * factor - _HALF
