"""An episode opens at the threshold and closes below a lower one, after some time."""

import pytest

from driftline.monitor.drift.episodes import Episode, follow
from driftline.monitor.drift.settings import DriftSettings

HOUR_US = 3_600_000_000
SETTINGS = DriftSettings(close_ratio=0.8, close_after_seconds=7200)


def followed(*ratios: float | None) -> list[Episode | None]:
    """The episode after each hourly judgement."""
    found: list[Episode | None] = []
    for hour, ratio in enumerate(ratios):
        found.append(follow(found[-1] if found else None, ratio, hour * HOUR_US, SETTINGS))
    return found


def test_it_opens_at_the_threshold_only() -> None:
    assert followed(0.5, 0.99, None) == [None, None, None]
    assert followed(0.5, 1.0)[-1] == Episode(HOUR_US, HOUR_US, 1, 1.0)


def test_it_closes_after_its_time_under_the_lower_threshold() -> None:
    opened = [episode is not None for episode in followed(1.2, 0.7, 0.7, 0.7)]
    assert opened == [True, True, False, False]


def test_what_hovers_about_the_threshold_is_one_episode() -> None:
    last = followed(1.1, 0.9, 1.3, 0.7, 0.85, 0.79, 0.9)[-1]
    assert last == Episode(0, 6 * HOUR_US, 7, 1.3)


@pytest.mark.parametrize("hours", [1, 50])
def test_no_verdict_neither_opens_nor_closes(hours: int) -> None:
    assert followed(1.1, *[None] * hours)[-1] == Episode(0, 0, 1, 1.1)


def test_a_clock_that_was_ahead_and_is_set_back_keeps_no_episode_open() -> None:
    ahead = Episode(400 * 24 * HOUR_US, 400 * 24 * HOUR_US, 1, 1.2)
    found: Episode | None = ahead
    for hour in range(4):
        found = follow(found, 0.1, hour * HOUR_US, SETTINGS)
    assert found is None
