"""How much lies outside the reference's categories."""

from collections.abc import Callable
from typing import Any

import pytest

from driftline.monitor.drift.unseen_share import unseen_share_difference


def test_the_hand_worked_value(string_pair: Callable[..., Any]) -> None:
    reference, window = string_pair(["a", "b"], ["a", "c", "d", None, "b"])
    before = reference.profile.categories("x")
    assert unseen_share_difference(before, window.categories("x")) == pytest.approx(0.5)
    assert unseen_share_difference(before, before) == 0
