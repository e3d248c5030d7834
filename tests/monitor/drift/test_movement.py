"""What changed in a column: bars that people can read, exact shares, and words that name what moved most."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from driftline.monitor.drift.movement import MOST_BARS, ColumnPicture, picture, picture_of

RNG_ROWS = 10_000


def _picture(pair: Any) -> ColumnPicture:
    reference, window = pair
    return picture_of(reference.profiled[0], reference, window)


def test_a_category_that_rose_is_named_with_both_shares(string_pair: Callable[..., Any]) -> None:
    drawn = _picture(string_pair(["A"] * 96 + ["B"] * 4, ["A"] * 69 + ["B"] * 31))
    assert drawn.labels == ("A", "B")
    assert drawn.reference == pytest.approx((0.96, 0.04))
    assert drawn.window == pytest.approx((0.69, 0.31))
    assert "`x=B` rose from 4 % to 31 %" in drawn.words


def test_categories_that_training_never_held_have_a_bar_and_no_name(string_pair: Callable[..., Any]) -> None:
    drawn = _picture(string_pair(["A"] * 90 + ["B"] * 10, ["A"] * 80 + ["secret"] * 20))
    assert drawn.parts[-1] == "unseen"
    assert drawn.window[-1] == pytest.approx(0.2)
    assert "20 % of the values are in no category of training" in drawn.words
    assert "secret" not in str(drawn.to_json())


def test_a_run_of_bars_that_gained_is_said_as_one_range(numeric_pair: Callable[..., Any]) -> None:
    before = np.linspace(0, 10, RNG_ROWS, endpoint=False)
    now = np.concatenate([before[before < 4], np.linspace(4, 5, 6000, endpoint=False)])
    drawn = _picture(numeric_pair(before, now))
    said = re.fullmatch(r"([\d.]+) % of the values are now between 4 and 5, ([\d.]+) % in training", drawn.words[0])
    assert said
    assert float(said[1]) == pytest.approx(60, abs=0.5)
    assert float(said[2]) == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(
    "before",
    [
        np.random.default_rng(1).normal(50, 10, RNG_ROWS),
        np.random.default_rng(2).lognormal(3, 2, RNG_ROWS),
        np.random.default_rng(3).poisson(40, RNG_ROWS).astype(float),
        np.random.default_rng(4).integers(0, 8, RNG_ROWS).astype(float),
        np.where(
            np.random.default_rng(5).random(RNG_ROWS) < 0.6, 0.0, np.random.default_rng(6).exponential(9, RNG_ROWS)
        ),
        np.full(100, 3.5),
        np.full(100, np.nan),
        np.array([1e300, -1e300, 0.0, 1e-200]),
    ],
    ids=["normal", "lognormal", "poisson", "few", "zeros", "constant", "missing", "extreme"],
)
def test_bars_are_few_and_shares_are_those_of_the_rows(before: Any, numeric_pair: Callable[..., Any]) -> None:
    now = np.concatenate([before[: before.size // 2] * 1.5 + 1, [np.inf, np.nan]])
    drawn = _picture(numeric_pair(before, now))
    assert 0 < len(drawn.labels) <= MOST_BARS
    assert len(drawn.labels) == len(set(drawn.labels)) == len(drawn.parts) == len(drawn.reference) == len(drawn.window)
    assert sum(drawn.window) == pytest.approx(1)
    assert sum(drawn.reference) == pytest.approx(0 if np.isnan(before).all() else 1)
    assert drawn.missing == pytest.approx((np.isnan(before).mean(), np.isnan(now).mean()))
    if before.size == RNG_ROWS:
        assert max(drawn.reference[1:]) <= 0.62
        above = drawn.parts.index("above")
        assert drawn.window[above] == pytest.approx(((now > before.max()).sum()) / (~np.isnan(now)).sum())


def test_a_label_is_where_its_bar_begins_and_ends_to_a_fiftieth_of_the_bar(numeric_pair: Callable[..., Any]) -> None:
    rng = np.random.default_rng(7)
    before, now = rng.normal(500, 100, RNG_ROWS), rng.normal(530, 100, 3000)
    drawn = _picture(numeric_pair(before, now))
    for label, part, share in zip(drawn.labels, drawn.parts, drawn.window, strict=True):
        if part == "range":
            low, high = map(float, label.replace(",", "").split(" to "))
            assert share == pytest.approx(((now >= low) & (now < high)).mean(), abs=0.012), label


def test_a_value_that_many_rows_share_has_a_bar_of_its_own(numeric_pair: Callable[..., Any]) -> None:
    rng = np.random.default_rng(8)
    before = np.where(rng.random(RNG_ROWS) < 0.6, 0.0, rng.exponential(100, RNG_ROWS))
    drawn = _picture(numeric_pair(before, np.where(rng.random(RNG_ROWS) < 0.4, 0.0, before + 1e-9)))
    place = drawn.labels.index("0")
    assert drawn.parts[place] == "value"
    assert drawn.reference[place] == pytest.approx((before == 0).mean())


def test_cells_gone_missing_are_said_first_when_nothing_else_moved(numeric_pair: Callable[..., Any]) -> None:
    values = np.random.default_rng(9).normal(0, 1, RNG_ROWS)
    now = values.copy()
    now[::2] = np.nan
    assert _picture(numeric_pair(values, now)).words[0] == "missing cells rose from 0 % to 50 %"


def test_equal_sides_need_no_words(numeric_pair: Callable[..., Any], string_pair: Callable[..., Any]) -> None:
    values = np.random.default_rng(10).normal(0, 1, RNG_ROWS)
    assert _picture(numeric_pair(values, values)).words == ()
    assert _picture(string_pair(["A", "B"] * 50, ["B", "A"] * 50)).words == ()


def test_a_window_without_values_draws_training_alone(numeric_pair: Callable[..., Any]) -> None:
    drawn = _picture(numeric_pair(np.arange(1000.0), np.array([])))
    assert drawn.words == ()
    assert not any(drawn.window)
    assert sum(drawn.reference) == pytest.approx(1)


def test_times_are_written_as_times(numeric_pair: Callable[..., Any]) -> None:
    hour = 3_600_000_000
    before = np.arange(0, 1000 * hour, hour, dtype=float)
    reference, window = numeric_pair(before, before + 2000 * hour)
    drawn = picture(reference.profile.numeric("x"), window.numeric("x"), times=True)
    assert drawn.labels[-1].startswith("> 1970-02-11")


def test_a_picture_is_a_kilobyte_of_json_that_reads_back(string_pair: Callable[..., Any]) -> None:
    rng = np.random.default_rng(11)
    cells = [f"category {n}" for n in rng.geometric(0.05, 5000)]
    drawn = _picture(string_pair(cells, cells[:700] + ["new"] * 300))
    raw = orjson.dumps(drawn.to_json())
    assert len(raw) < 2000
    assert ColumnPicture.from_json(orjson.loads(raw)).to_json() == drawn.to_json()


def test_the_two_halves_of_a_column_do_not_make_a_picture(
    numeric_pair: Callable[..., Any], string_pair: Callable[..., Any]
) -> None:
    numbers, names = numeric_pair([1.0, 2.0], [1.0]), string_pair(["A"], ["A"])
    with pytest.raises(TypeError):
        picture(numbers[0].profile.numeric("x"), names[1].categories("x"))
