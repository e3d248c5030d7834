"""A threshold is its largest part, and says which that is."""

from driftline.monitor.drift import wording
from driftline.monitor.drift.past_scores import PastScores
from driftline.monitor.drift.thresholds import Chance, threshold

DAY = 86_400


def test_the_least_effect_counts_where_chance_reaches_less() -> None:
    assert threshold(0.1, Chance(0.05, 0.01), None, DAY, 1e-4) == (0.1, wording.LEAST_EFFECT)
    assert threshold(0.1, Chance(0.3, 0.1), None, DAY, 1e-4) == (0.3, wording.CHANCE)


def test_the_past_counts_where_it_varied_more_than_chance() -> None:
    chance = Chance(0.3, 0.1)
    calm, varied = PastScores(0.0, 0.09, 20), PastScores(0.0, 0.2, 20)
    assert threshold(0.1, chance, calm, DAY, 1e-4) == (0.3, wording.CHANCE_AND_PAST)
    found, because = threshold(0.1, chance, varied, DAY, 1e-4)
    assert found == varied.limit(DAY, 0.3, 0.1, 1e-4) > 0.3
    assert because == "what 20 like windows of the past reached"
