"""Shares, numbers and names as operators read them."""

import math

_LONGEST_NAME = 40


def percent(share: float) -> str:
    """Return a share in [0, 1] as a percentage of three digits."""
    return f"{100 * share:.3g} %"


def number(value: float) -> str:
    """Return a number of three digits, a whole one below a million in full."""
    value += 0.0  # no sign of a zero
    if math.isfinite(value) and value == int(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if 999.5 <= abs(value) < 1e9 else f"{value:.3g}"


def went(before: float, now: float) -> str:
    """Return the verb for what became of a number."""
    return "rose" if now > before else "fell" if now < before else "stayed"


def shortened(name: str) -> str:
    """Return a category's name, cut where it is long."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
