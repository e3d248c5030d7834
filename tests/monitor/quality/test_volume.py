import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.monitor.quality.finding import QualityVerdict
from driftline.monitor.quality.settings import QualitySettings
from driftline.monitor.quality.volume import volume_finding

WINDOW = (0, 3_600_000_000)
USUAL = 1_000 * (1.2 + np.sin(np.arange(168) * 2 * np.pi / 24))  # rows by hour of the week


def past(weeks: int, seed: int = 1, days: float = 0.1) -> NDArray[np.int64]:
    """Rows by hour with a daily cycle, days that differ and counts that vary by chance; quiet on the last two days."""
    rng = np.random.default_rng(seed)
    usual = np.tile(np.where(np.arange(168) >= 120, 0.2, 1.0) * USUAL, weeks)
    return rng.poisson(usual * np.exp(days * np.repeat(rng.normal(size=7 * weeks), 24)))


def verdict(rows: int, history: NDArray[np.int64], error_rate: float = 1e-4) -> QualityVerdict:
    return volume_finding(rows, history, WINDOW, QualitySettings(), error_rate).verdict


def test_an_hour_is_compared_with_the_same_hour_of_past_weeks() -> None:
    history = past(6)
    quiet = np.roll(history, 24)  # the hour that follows is on a quiet day
    usual = int(history[0::168].mean())
    assert verdict(usual, history) is QualityVerdict.OK
    assert verdict(usual, quiet) is QualityVerdict.BREACH
    assert verdict(int(quiet[0::168].mean()), quiet) is QualityVerdict.OK


def test_far_fewer_and_far_more_rows_are_breaches_with_the_usual_number() -> None:
    for rows in (0, 300, 5_000):
        found = volume_finding(rows, past(6), WINDOW, QualitySettings(), 1e-4)
        assert found.verdict is QualityVerdict.BREACH
        assert found.expected == pytest.approx(1_200, rel=0.2)
        assert f"{rows:,} rows in this hour, about " in found.reason
    assert verdict(800, past(6)) is QualityVerdict.OK
    assert verdict(1_800, past(6)) is QualityVerdict.OK  # less than twice the usual


def test_there_is_no_verdict_before_enough_weeks() -> None:
    found = volume_finding(0, past(4)[1:], WINDOW, QualitySettings(), 1e-4)
    assert found.verdict is QualityVerdict.INSUFFICIENT_DATA
    assert found.reason == "0 rows; 3 weeks are known, a verdict needs 4"


def test_a_model_that_is_seldom_asked_may_be_asked_by_nobody() -> None:
    history = np.random.default_rng(2).poisson(2, 6 * 168)
    assert verdict(0, history) is QualityVerdict.OK
    assert verdict(100, history) is QualityVerdict.BREACH
    assert verdict(0, np.zeros(6 * 168, np.int64)) is QualityVerdict.OK


def test_one_week_of_outage_does_not_hide_the_next() -> None:
    history = past(6)
    history[168:336] = 0
    assert verdict(0, history) is QualityVerdict.BREACH
    assert verdict(1_200, history) is QualityVerdict.OK


@pytest.mark.parametrize("weeks", [4, 8])
def test_ordinary_weeks_breach_about_as_often_as_they_may(weeks: int) -> None:
    settings, error_rate = QualitySettings(volume_factor=1.01), 0.02
    wrong, judged = 0, 0
    for seed in range(80):
        hours = past(weeks + 1, seed)
        for at in range(0, 168, 12):
            found = volume_finding(
                int(hours[weeks * 168 + at]), hours[at : weeks * 168 + at], WINDOW, settings, error_rate
            )
            wrong += found.verdict is QualityVerdict.BREACH
            judged += 1
    assert wrong / judged <= 1.5 * error_rate  # half of the hours are of one day
