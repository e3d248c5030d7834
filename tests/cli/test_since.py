"""``--since``: spans and times, and for a window that ends now only what lies before."""

import click
import pytest

from driftline.cli.since import Since
from driftline.store.records import now_us


@pytest.mark.parametrize("text", ["0h", "0d", "2999-01-01", "2999-01-01T00:00:00Z"])
def test_a_window_that_ends_now_cannot_begin_later(text: str) -> None:
    with pytest.raises(click.BadParameter, match="not before now, where the window ends: name a span back"):
        Since(before_now=True).convert(text, None, None)
    assert Since().convert(text, None, None) >= now_us() - 10_000_000  # as the end of a window it may


@pytest.mark.parametrize("text", ["yesterday", "7", "h", "2026-13-01"])
def test_what_is_neither_a_span_nor_a_time_is_refused_with_examples_of_both(text: str) -> None:
    with pytest.raises(click.BadParameter, match="neither a span like 24h"):
        Since(before_now=True).convert(text, None, None)


def test_times_without_a_zone_are_utc() -> None:
    since = Since(before_now=True)
    assert since.convert("2026-01-31T12:00:00", None, None) == since.convert("2026-01-31T13:00:00+01:00", None, None)
