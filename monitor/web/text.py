"""How pages write numbers and times."""

from datetime import datetime

from markupsafe import Markup, escape

_SPANS = ((86_400 * 2, 86_400, "d"), (3600 * 2, 3600, "h"), (60, 60, "min"), (0, 1, "s"))
_NONE = "\N{EN DASH}"
_TIMES = "\N{MULTIPLICATION SIGN}"


def span(seconds: float) -> str:
    """Return a span in its largest unit: ``40 s``, ``90 min``, ``47 h``, ``12 d``."""
    seconds = max(0.0, seconds)
    _, unit, name = next(each for each in _SPANS if seconds >= each[0])
    return f"{seconds / unit:.0f} {name}"


def age(at: str | None, now: str) -> str:
    """Return how long ago a time was."""
    return _NONE if at is None else span((_time(now) - _time(at)).total_seconds())


def day_and_time(at: str) -> str:
    """Return ``20 Nov 18:58``, in UTC as all times are."""
    return _time(at).strftime("%d %b %H:%M").lstrip("0")


def number(value: float | None) -> str:
    """Return three digits."""
    if value is None:
        return _NONE
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def count(value: int | None) -> str:
    """Return a whole number, thousands apart."""
    return _NONE if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """Return a share in percent."""
    if share is None:
        return _NONE
    return f"{100 * share:.1f} %" if 0.0005 <= share < 0.9995 else f"{100 * share:.3g} %"


def times(ratio: float | None) -> str:
    """Return a score in units of its threshold."""
    if ratio is None:
        return _NONE
    return f"{ratio:.2f} {_TIMES}" if ratio < 10 else f"{ratio:,.0f} {_TIMES}"


def rate(per_second: float) -> str:
    """Return a rate in the unit that makes it a readable number."""
    for factor, unit in ((1, "s"), (60, "min"), (3600, "h")):
        if per_second * factor >= 1 or unit == "h":
            return f"{number(per_second * factor)}/{unit}"
    raise AssertionError("the last unit takes every rate")


def milliseconds(value: float) -> str:
    """Return a latency."""
    return f"{number(value)} ms" if value < 10_000 else f"{number(value / 1000)} s"


def shortened(text: str, longest: int = 60) -> str:
    """Return a name that does not push others off the page."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def marked(text: str) -> Markup:
    """Return what stands between backticks as code; everything is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one has no partner: it is part of a name
        return escape(text)
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(parts))


def _time(at: str) -> datetime:
    return datetime.fromisoformat(at)


FILTERS = {
    each.__name__: each
    for each in (span, age, day_and_time, number, count, percent, times, rate, milliseconds, shortened, marked)
}
