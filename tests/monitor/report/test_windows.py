from datetime import UTC, datetime, timedelta

import pytest
from report_rig import DAY_US, MONDAY, WEEK_US

from driftline.monitor.report.windows import due_windows, is_covered, period, report_cron
from driftline.monitor.settings import ReportSettings
from driftline.store.errors import ConfigurationError
from driftline.store.records import MICROSECONDS

SETTINGS = ReportSettings(schedule="0 6 * * mon", catch_up=3)


def test_due_windows_end_at_the_newest_scheduled_times_the_oldest_first() -> None:
    wednesday = int(datetime(2026, 1, 7, 12, tzinfo=UTC).timestamp()) * MICROSECONDS
    windows = due_windows(SETTINGS, wednesday)
    assert [end for _, end in windows] == [MONDAY - i * WEEK_US for i in (3, 2, 1, 0)]
    assert all(end - start == WEEK_US for start, end in windows)
    assert due_windows(SETTINGS, MONDAY)[-1][1] == MONDAY
    assert due_windows(SETTINGS, MONDAY - 1)[-1][1] == MONDAY - WEEK_US


def test_an_uneven_schedule_gives_its_own_times() -> None:
    settings = ReportSettings(schedule="0 6 1 * *", catch_up=2)
    ends = [datetime.fromtimestamp(end / MICROSECONDS, UTC) for _, end in due_windows(settings, MONDAY)]
    assert [(e.month, e.day, e.hour) for e in ends] == [(11, 1, 6), (12, 1, 6), (1, 1, 6)]


def test_a_schedule_that_moves_by_hours_asks_for_no_second_report_of_a_week() -> None:
    moved = ReportSettings(schedule="30 9 * * tue", catch_up=0)
    (window,) = due_windows(moved, MONDAY + 3 * DAY_US)
    assert window[1] != MONDAY
    assert is_covered(window, [MONDAY], moved)
    assert not is_covered(window, [MONDAY - WEEK_US], moved)
    assert not is_covered(window, [], moved)


def test_every_time_of_an_uneven_schedule_gets_its_report() -> None:
    settings = ReportSettings(schedule="0 6 * * mon-fri", catch_up=0)
    kept: list[int] = []
    for day in range(14):
        (window,) = due_windows(settings, MONDAY + day * DAY_US)
        kept += [] if is_covered(window, kept, settings) else [window[1]]
    assert kept == [MONDAY + day * DAY_US for day in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)]


@pytest.mark.parametrize(
    ("numbers", "names"),
    [("1", "mon"), ("0", "sun"), ("7", "sun"), ("1-5", "mon-fri"), ("5-7,2", "tue,fri,sat,sun"), ("*/3", "sun,wed,sat"),
     ("mon,4", "mon,thu")],
)  # fmt: skip
def test_numbers_of_days_are_those_of_cron(numbers: str, names: str) -> None:
    said, meant = (ReportSettings(schedule=f"0 6 * * {days}", catch_up=6) for days in (numbers, names))
    assert due_windows(said, MONDAY) == due_windows(meant, MONDAY)


@pytest.mark.parametrize("schedule", ["0 6 30 2 *", "0 6 * * 8", "0 6 * * 5-1", "", "@weekly"])
def test_a_schedule_that_never_comes_or_is_none_is_refused_in_one_line(schedule: str) -> None:
    with pytest.raises(ConfigurationError, match="write for example `0 6 "):
        report_cron(ReportSettings(schedule=schedule))


@pytest.mark.parametrize("catch_up", [0, 8])
def test_a_schedule_of_working_hours_has_its_newest_windows_on_a_sunday_too(catch_up: int) -> None:
    settings = ReportSettings(schedule="0 9-17 * * mon-fri", catch_up=catch_up)
    sunday = MONDAY - DAY_US + 6 * 3600 * MICROSECONDS
    ends = [datetime.fromtimestamp(end / MICROSECONDS, UTC) for _, end in due_windows(settings, sunday)]
    assert [(end.strftime("%a"), end.hour) for end in ends] == [("Fri", hour) for hour in range(17 - catch_up, 18)]
    assert period(settings) > timedelta(days=2)
