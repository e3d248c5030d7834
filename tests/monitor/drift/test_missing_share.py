"""How much more is missing, and what of it chance explains."""

import numpy as np
import pytest

from driftline.monitor.drift.missing_share import missing_share_difference, share_noise


def test_the_hand_worked_value() -> None:
    assert missing_share_difference(1, 10, 60, 100) == pytest.approx(0.5)
    assert missing_share_difference(60, 100, 1, 10) == pytest.approx(0.5)
    assert missing_share_difference(5, 50, 10, 100) == 0


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3])
def test_chance_stays_below_its_noise(share: float) -> None:
    rng = np.random.default_rng(1)
    before, now = rng.binomial(5000, share, 20_000) / 5000, rng.binomial(200, share, 20_000) / 200
    assert np.mean(np.abs(before - now) >= share_noise(share, 5000, 200, 0.01)) <= 0.01


def test_noise_shrinks_with_the_rows() -> None:
    assert share_noise(0.1, 5000, 10_000, 1e-5) < share_noise(0.1, 5000, 1000, 1e-5) < share_noise(0.1, 5000, 100, 1e-5)
