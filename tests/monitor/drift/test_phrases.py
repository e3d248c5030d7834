"""Shares, numbers and names as operators read them."""

import pytest

from driftline.monitor.drift.phrases import number, percent, shortened, went


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (-0.0, "0"), (0.12345, "0.123"), (12.34, "12.3"), (999.4, "999"), (999.9, "1,000"), (-999.5, "-1,000"),
        (1000.6, "1,001"), (123_456.0, "123,456"), (1e8, "100,000,000"), (1e9, "1e+09"), (2.5e-7, "2.5e-07"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits_or_all_before_the_point(value: float, said: str) -> None:
    assert number(value) == said


def test_shares_verbs_and_long_names() -> None:
    assert [percent(share) for share in (0.0, 0.12345, 1.0)] == ["0 %", "12.3 %", "100 %"]
    assert [went(1, now) for now in (2, 0, 1)] == ["rose", "fell", "stayed"]
    assert shortened("x" * 50) == "x" * 39 + "…"
