"""The frozen bins of share statistics on numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from driftline.monitor.drift.coarse_bins import coarse_counts, coarse_groups
from driftline.monitor.drift.jensen_shannon import jensen_shannon
from driftline.monitor.drift.registry import score

Pair = Callable[..., Any]


def test_ten_bins_of_about_equal_mass_and_two_outside(numeric_pair: Pair) -> None:
    reference, window = numeric_pair(np.random.default_rng(1).lognormal(size=20_000), [-1.0, 1e9, 1e9, 1.0])
    before = reference.profile.numeric("x")
    groups = coarse_groups(before)
    counts = coarse_counts(groups, before.counts)
    assert counts.size == 12
    assert counts[0] == counts[-1] == 0
    assert np.all(np.abs(counts[1:-1] - 2000) < 150)
    assert coarse_counts(groups, window.numeric("x").counts)[[0, -1]].tolist() == [1, 2]


def test_few_values_have_a_bin_each_and_one_for_the_rest(numeric_pair: Pair) -> None:
    reference, window = numeric_pair([1.0, 1, 2, 4, 4, 4], [1.0, 1.5, 3.0, 4.0, 0.0])
    groups = coarse_groups(reference.profile.numeric("x"))
    assert coarse_counts(groups, reference.profile.numeric("x").counts).tolist() == [0, 2, 1, 3, 0, 0]
    assert coarse_counts(groups, window.numeric("x").counts).tolist() == [1, 1, 0, 1, 2, 0]


def test_one_outlier_does_not_hide_a_shift(numeric_pair: Pair) -> None:
    rng = np.random.default_rng(2)
    before, now = rng.normal(size=10_000), rng.normal(0.5, 1, 2000)
    scores = []
    for values in (now, np.append(now, 1e6)):
        reference, window = numeric_pair(before, values)
        scores.append(score("jensen_shannon", reference.profiled[0], reference.profile, window))
    assert scores[0] > 0.12
    assert abs(scores[1] - scores[0]) < 0.002
    assert float(jensen_shannon(np.array([1, 1]), np.array([1, 1]))) == 0
