"""Rolled up, thinned out, late, twice at a time: every row counts exactly once."""

import threading
from itertools import pairwise
from pathlib import Path

import pytest
import store_traffic as traffic
from hypothesis import given, settings
from hypothesis import strategies as st
from retention_rig import a_day
from sqlalchemy import Engine, func, select, update

from driftline.store import schema
from driftline.store.backfill import put_in_force
from driftline.store.engine import writing
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile.profile import Profile
from driftline.store.profile_levels import DAY, DAY_US, HOUR, HOUR_US, MINUTE, MINUTE_US, ROLL_UP, Bucket, floor
from driftline.store.profile_windows import chosen
from driftline.store.reads import profile_buckets, window_profile
from driftline.store.records import Invocation
from driftline.store.references import newest_reference
from driftline.store.retention.settings import RetentionSettings
from driftline.store.rollup import roll_up
from driftline.store.verify import verify

START = 20_000  # a day
A_DAY = 12  # invocations of two rows, each in an hour of its own
ALL = RetentionSettings(keep_minute_profile_hours=0, keep_hour_profile_days=0)
NOW = (START + 4) * DAY_US + HOUR_US // 3


class Rig:
    """A store with a reference, its spools, and what windows of it hold."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        with writing(engine) as connection:
            self.version_id = ensure_model_version(connection, traffic.CLF).id
        put_in_force(engine, self.version_id, traffic.clf_reference())
        with engine.connect() as connection:
            found = newest_reference(connection, self.version_id)
        assert found is not None
        self.reference_id, self.reference = found

    def load(self, invocations: list[Invocation]) -> None:
        traffic.fill(self.folder, invocations)
        Loader(self.engine, self.folder, LoaderSettings()).load_once()

    def window(self, start: int, end: int, arm: int | None = None) -> Profile:
        with self.engine.connect() as connection:
            return window_profile(connection, self.version_id, self.reference_id, self.reference, arm, start, end)

    def spans(self) -> dict[tuple[int, bool], int]:
        """How many profiles are stored by span, and whether they are rolled up."""
        t = schema.profile.c
        rolled_up = t.writer == ROLL_UP
        with self.engine.connect() as connection:
            query = select(t.span_seconds, rolled_up, func.count()).group_by(t.span_seconds, rolled_up)
            return {(span, bool(rolled)): count for span, rolled, count in connection.execute(query)}

    def assert_agrees(self) -> None:
        assert not [check for check in verify(self.engine) if not check.agrees]


@pytest.fixture
def rig(engine: Engine, tmp_path: Path) -> Rig:
    one = Rig(engine, tmp_path / "spool")
    one.load([each for day in range(START, START + 4) for each in a_day(day, A_DAY)])
    return one


WINDOWS = [
    (0, 2**62),
    (START * DAY_US, (START + 4) * DAY_US),
    (START * DAY_US + 5 * HOUR_US + 7 * MINUTE_US, (START + 2) * DAY_US + 3 * HOUR_US + 59 * MINUTE_US),
    (START * DAY_US + HOUR_US, START * DAY_US + HOUR_US + 40 * MINUTE_US),
    ((START + 1) * DAY_US - MINUTE_US, (START + 1) * DAY_US + MINUTE_US),
]


def test_every_window_is_the_same_after_a_roll_up(rig: Rig) -> None:
    before = [rig.window(*window) for window in WINDOWS]
    assert before[0].row_count == 96
    report = roll_up(rig.engine, ALL, NOW)
    assert report.minutes == 48
    assert rig.spans() == {(MINUTE, True): 48, (HOUR, True): 48, (DAY, True): 4}
    assert [rig.window(*window) for window in WINDOWS] == before
    rig.assert_agrees()


def test_what_is_thinned_out_stays_counted_in_hours_and_days(rig: Rig) -> None:
    whole = rig.window(0, 2**62)
    settings = RetentionSettings(keep_minute_profile_hours=24, keep_hour_profile_days=2)
    roll_up(rig.engine, settings, NOW)
    assert rig.spans() == {(MINUTE, True): 12, (HOUR, True): 24, (DAY, True): 4}
    assert rig.window(0, 2**62) == whole
    hour = (START + 2) * DAY_US + 3 * HOUR_US
    assert rig.window(0, hour) + rig.window(hour, 2**62) == whole
    within_an_hour = hour + 10 * MINUTE_US
    assert rig.window(0, within_an_hour) + rig.window(within_an_hour, 2**62) == whole
    rig.assert_agrees()


@pytest.mark.parametrize("kept_hours", [0.0, 24.0, 96.0])
def test_rows_that_come_late_for_a_rolled_up_hour_count_at_once_and_after(rig: Rig, kept_hours: float) -> None:
    settings = RetentionSettings(keep_minute_profile_hours=kept_hours, keep_hour_profile_days=kept_hours / 12)
    roll_up(rig.engine, settings, NOW)
    rig.load(a_day(START, A_DAY))
    assert rig.window(0, 2**62).row_count == 120
    assert rig.window(START * DAY_US, (START + 1) * DAY_US).row_count == 48
    rig.assert_agrees()
    before = rig.window(0, 2**62)
    assert roll_up(rig.engine, settings, NOW).minutes == 12
    assert (MINUTE, False) not in rig.spans()
    assert rig.window(0, 2**62) == before
    assert rig.window(START * DAY_US, (START + 1) * DAY_US).row_count == 48
    rig.assert_agrees()


def test_a_loader_that_keeps_a_minute_in_memory_begins_it_anew_after_a_roll_up(engine: Engine, tmp_path: Path) -> None:
    rig = Rig(engine, tmp_path / "spool")
    traffic.fill(rig.folder, [one._replace(received_at_us=START * DAY_US + i) for i, one in enumerate(a_day(START))])
    loader = Loader(engine, rig.folder, LoaderSettings(batch_records=15))
    loader._load_round()
    assert 0 < rig.window(0, 2**62).row_count < 80
    roll_up(engine, ALL, NOW)
    loader.load_once()
    assert rig.window(0, 2**62).row_count == 80
    rig.assert_agrees()
    roll_up(engine, ALL, NOW)
    assert rig.spans() == {(MINUTE, True): 1, (HOUR, True): 1, (DAY, True): 1}
    rig.assert_agrees()


def test_an_hour_that_is_not_over_is_left_to_its_loaders(rig: Rig) -> None:
    assert roll_up(rig.engine, ALL, START * DAY_US + HOUR_US + 299_000_000).minutes == 0
    assert roll_up(rig.engine, ALL, START * DAY_US + HOUR_US + 300_000_000).hours == 1


def test_many_runs_at_a_time_do_what_one_does(rig: Rig) -> None:
    before = [rig.window(*window) for window in WINDOWS]
    reports = []
    threads = [threading.Thread(target=lambda: reports.append(roll_up(rig.engine, ALL, NOW))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sum(report.minutes for report in reports) == 48
    assert rig.spans() == {(MINUTE, True): 48, (HOUR, True): 48, (DAY, True): 4}
    assert [rig.window(*window) for window in WINDOWS] == before
    rig.assert_agrees()


def test_loading_while_runs_go_on_counts_every_row_once(engine: Engine, tmp_path: Path) -> None:
    rig, done = Rig(engine, tmp_path / "spool"), threading.Event()

    def keep_rolling() -> None:
        while not done.is_set():
            roll_up(engine, ALL, NOW)

    thread = threading.Thread(target=keep_rolling)
    thread.start()
    try:
        for _ in range(6):
            traffic.fill(rig.folder, a_day(START, 30))
            Loader(engine, rig.folder, LoaderSettings(batch_records=4)).load_once()
    finally:
        done.set()
        thread.join(120)
    rig.assert_agrees()
    roll_up(engine, ALL, NOW)
    assert rig.window(0, 2**62).row_count == 360
    rig.assert_agrees()


def test_a_run_never_waits_for_a_loader(postgresql_engine: Engine, tmp_path: Path) -> None:
    rig = Rig(postgresql_engine, tmp_path / "spool")
    rig.load(a_day(START, A_DAY))
    t = schema.profile
    with writing(postgresql_engine) as loading:
        held = loading.execute(select(t.c.id).order_by(t.c.id).limit(1).with_for_update()).scalar_one()
        assert roll_up(postgresql_engine, ALL, NOW).minutes == 11
        assert loading.scalar(select(t.c.writer).where(t.c.id == held)) != ROLL_UP
    rig.assert_agrees()
    assert roll_up(postgresql_engine, ALL, NOW).minutes == 1
    rig.assert_agrees()


def test_a_damaged_profile_keeps_its_hour_from_being_rolled_up_and_no_other(rig: Rig) -> None:
    t = schema.profile
    with writing(rig.engine) as connection:
        first = connection.scalar(select(func.min(t.c.id)))
        connection.execute(update(t).where(t.c.id == first).values(counts=b"junk"))
    report = roll_up(rig.engine, ALL, NOW)
    assert (report.unreadable, report.hours) == (1, 47)
    assert "drift backfill" in str(report)
    assert [check.agrees for check in verify(rig.engine)][-1] is False


def test_a_wrong_hour_or_day_is_noticed_by_verify(rig: Rig) -> None:
    roll_up(rig.engine, ALL, NOW)
    t = schema.profile
    for span in (HOUR, DAY):
        with writing(rig.engine) as connection:
            one = connection.execute(select(t).where(t.c.span_seconds == span).limit(1)).one()
            right = Profile.from_bytes(rig.reference, one.counts)
            wrong = (right + right).to_bytes()
            connection.execute(update(t).where(t.c.id == one.id).values(counts=wrong))
        assert [check.agrees for check in verify(rig.engine)][-1] is False
        with writing(rig.engine) as connection:
            connection.execute(update(t).where(t.c.id == one.id).values(counts=one.counts))
        rig.assert_agrees()


def test_the_finest_buckets_are_minutes_where_they_are_kept_and_hours_before(rig: Rig) -> None:
    roll_up(rig.engine, RetentionSettings(keep_minute_profile_hours=24, keep_hour_profile_days=2), NOW)
    with rig.engine.connect() as connection:
        found = profile_buckets(
            connection, rig.version_id, rig.reference_id, rig.reference, None, START * DAY_US, (START + 4) * DAY_US
        )
    spans = {floor(bucket.start_us, DAY) // DAY_US - START: bucket.span_seconds for bucket in found}
    assert spans == {0: DAY, 1: DAY, 2: HOUR, 3: MINUTE}
    assert sum(bucket.profile.row_count for bucket in found) == 96


MINUTES = st.dictionaries(
    st.tuples(st.integers(0, 1), st.integers(0, 3 * 24 * 60 - 1)), st.tuples(st.integers(1, 3), st.booleans()),
    min_size=1, max_size=60,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    MINUTES, st.sets(st.integers(0, 71)), st.sets(st.integers(0, 2)), st.integers(0, 4400), st.integers(0, 4400),
    st.booleans(),
)  # fmt: skip
def test_windows_side_by_side_hold_every_row_once_whatever_is_kept(
    minutes: dict[tuple[int, int], tuple[int, bool]], thin_hours: set[int], thin_days: set[int], first: int,
    second: int, finest: bool,
) -> None:  # fmt: skip
    buckets, sums = [], dict[tuple[int, int, int], int]()
    for (arm, minute), (rows, is_fresh) in minutes.items():
        start = minute * MINUTE_US
        if is_fresh:
            buckets.append(Bucket(arm, start, MINUTE, True, rows, None))
            continue
        for span in (MINUTE, HOUR, DAY):
            key = (arm, span, floor(start, span))
            sums[key] = sums.get(key, 0) + rows
    for (arm, span, start), rows in sums.items():
        hour, day = start // HOUR_US, start // DAY_US
        gone = span != DAY and (day in thin_days or (span == MINUTE and hour in thin_hours))
        if not gone:
            buckets.append(Bucket(arm, start, span, False, rows, None))
    ends = sorted([0, first * MINUTE_US, second * MINUTE_US, 5 * DAY_US])
    windows = [chosen(buckets, a, b, finest=finest) for a, b in pairwise(ends)]
    counted = sum(bucket.row_count for window in windows for bucket in window)
    assert counted == sum(rows for rows, _ in minutes.values())
    if not thin_hours and not thin_days:
        a, b = ends[1:3]
        inside = sum(rows for (_, minute), (rows, _) in minutes.items() if a <= minute * MINUTE_US < b)
        assert sum(bucket.row_count for bucket in windows[1]) == inside


def test_a_window_reads_the_coarsest_profiles_that_fit() -> None:
    day = [Bucket(0, 0, DAY, False, 1440, None)]
    hours = [Bucket(0, hour * HOUR_US, HOUR, False, 60, None) for hour in range(24)]
    minutes = [Bucket(0, minute * MINUTE_US, MINUTE, False, 1, None) for minute in range(1440)]
    everything = day + hours + minutes
    assert chosen(everything, 0, DAY_US) == day
    found = chosen(everything, 50 * MINUTE_US, 5 * HOUR_US + 20 * MINUTE_US)
    assert sorted(bucket.span for bucket in found) == [MINUTE] * 30 + [HOUR] * 4


def test_the_statement_reads_only_sizes_of_what_begins_outside(rig: Rig) -> None:
    """A day's bytes cross the wire only where the day is inside the window."""
    roll_up(rig.engine, ALL, NOW)
    start = START * DAY_US + 4 * HOUR_US
    from driftline.store.profile_windows import window_buckets

    with rig.engine.connect() as connection:
        found = window_buckets(connection, rig.version_id, rig.reference_id, None, start, start + HOUR_US)
    assert [(bucket.span, bucket.start_us) for bucket in found] == [(HOUR, start)]
    assert found[0].counts is not None
