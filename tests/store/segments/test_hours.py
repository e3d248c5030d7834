"""Hours by segment: every row once, exact, late or twice; windows of them; verification."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import store_traffic as traffic
from sqlalchemy import Engine, delete, select, update

from driftline.store import schema
from driftline.store.backfill import put_in_force
from driftline.store.engine import writing
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.prediction_tables import ModelVersion, ensure_model_version
from driftline.store.profile.profile import Profile
from driftline.store.profile.segments import segmented_column, segmented_reference
from driftline.store.profile_levels import HOUR, HOUR_US
from driftline.store.reads import window_profile
from driftline.store.records import Arm
from driftline.store.references import newest_reference
from driftline.store.retention.prune import prune
from driftline.store.retention.settings import RetentionSettings
from driftline.store.rollup import roll_up
from driftline.store.segments.hours import CountReport, count_hours, settled_until, uncounted_hours
from driftline.store.segments.windows import growing_segment_windows, segment_window, whole_hour_spans
from driftline.store.verify import verify

START = traffic.START_US - traffic.START_US % HOUR_US
HOURS = 4
END = START + HOURS * HOUR_US
PLANS = ["gold", "gold", "basic", "new", None]


class Rig:
    """A store whose reference tells `plan` and `age` apart, and the spools before it."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        with writing(engine) as connection:
            self.version: ModelVersion = ensure_model_version(connection, traffic.CLF)
        whole = traffic.clf_reference()
        data = traffic.clf_training()
        age, _, plan, _ = whole.columns
        told = (
            segmented_column(plan, (), data[plan.column_name], 1),
            segmented_column(age, (40.0,), data[age.column_name], 1),
        )
        rows = len(data[plan.column_name])
        segments = tuple(segmented_reference(whole, column, data, rows) for column in told)
        put_in_force(engine, self.version.id, replace(whole, segments=segments))
        with engine.connect() as connection:
            found = newest_reference(connection, self.version.id)
        assert found is not None
        self.in_force = found
        self.plan, self.age = (segmented.column for segmented in found[1].segments)

    def load(self, start: int, end: int, count: int, seed: int = 0) -> None:
        rng = random.Random(seed)
        step = (end - start) // count
        sent = []
        for i in range(count):
            data = [[rng.gauss(40, 10), rng.randrange(20), rng.choice(PLANS)] for _ in range(3)]
            body = {"dataframe_split": {"columns": ["age", "visits", "plan"], "data": data}}
            arm = Arm.SHADOW if i % 5 == 0 else Arm.CHAMPION
            answer = {"predictions": [1, 0, 1]}
            sent.append(traffic.invocation(body, answer, at_us=start + i * step, arm=arm))
        traffic.fill(self.folder, sent)
        Loader(self.engine, self.folder, LoaderSettings()).load_once()

    def count(self, seconds: float = 60) -> CountReport:
        columns = [self.plan, self.age]
        return count_hours(self.engine, self.version, self.in_force, columns, (START, END), seconds)

    def window(self, start: int, end: int, arm: Arm = Arm.CHAMPION) -> dict[str, Profile]:
        with self.engine.connect() as connection:
            return segment_window(connection, self.version, self.in_force, self.plan, arm, start, end)

    def whole(self, start: int, end: int, arm: Arm = Arm.CHAMPION) -> Profile:
        with self.engine.connect() as connection:
            return window_profile(connection, self.version.id, *self.in_force, arm, start, end)

    def assert_agrees(self) -> None:
        assert not [check for check in verify(self.engine) if not check.agrees]


@pytest.fixture
def rig(engine: Engine, tmp_path: Path) -> Rig:
    one = Rig(engine, tmp_path / "spool")
    one.load(START, END, 200)
    return one


def total(rig: Rig, parts: dict[str, Profile]) -> Profile:
    found = rig.in_force[1].empty_profile()
    for part in parts.values():
        found += part
    return found


def test_the_segments_of_a_window_add_up_to_the_window_to_the_bit(rig: Rig) -> None:
    assert rig.count() == CountReport(HOURS, 600)
    for start, end in ((START, END), (START + HOUR_US, END), (START + HOUR_US // 2, END - HOUR_US // 3)):
        for arm in (Arm.CHAMPION, Arm.SHADOW):
            assert total(rig, rig.window(start, end, arm)) == rig.whole(start, end, arm)
    assert set(rig.window(START, END)) == {*rig.plan.values, "other", "missing"}
    rig.assert_agrees()


def test_a_window_is_the_same_whether_its_hours_are_counted_or_not(rig: Rig) -> None:
    before = rig.window(START, END)
    rig.count()
    assert rig.window(START, END) == before


def test_an_hour_is_read_once_and_anew_when_rows_come_late(rig: Rig) -> None:
    rig.count()
    assert rig.count() == CountReport()
    rig.load(START + HOUR_US, START + 2 * HOUR_US, 10, seed=1)
    (check,) = [c for c in verify(rig.engine) if c.name.startswith("segments")]
    assert check.agrees
    assert "1 hours to be counted anew" in check.detail
    assert rig.count() == CountReport(1, 180)
    assert total(rig, rig.window(START, END)) == rig.whole(START, END)
    rig.assert_agrees()


def test_hours_that_were_rolled_up_are_not_read_again(rig: Rig) -> None:
    rig.count()
    roll_up(rig.engine, RetentionSettings(keep_minute_profile_hours=1), END + 3 * HOUR_US)
    assert rig.count() == CountReport()


def test_no_further_hour_is_begun_after_the_time_and_the_newest_come_first(rig: Rig) -> None:
    report = rig.count(seconds=-1)
    assert report.left == tuple(END - (i + 1) * HOUR_US for i in range(HOURS))
    spans = (HOUR, 3 * HOUR, 90 * 60)
    assert whole_hour_spans(spans, END, ()) == (HOUR, 3 * HOUR)
    assert whole_hour_spans(spans, END, [END - 2 * HOUR_US]) == (HOUR,)


def test_windows_of_all_spans_are_sums_of_their_hours(rig: Rig) -> None:
    rig.count()
    spans = (HOUR, 3 * HOUR, 24 * HOUR)
    with rig.engine.connect() as connection:
        grown = growing_segment_windows(connection, rig.version.id, rig.in_force, rig.plan, Arm.CHAMPION, spans, END)
    for span in spans:
        expected = rig.window(END - span * 1_000_000, END)
        assert {name: windows[span] for name, windows in grown.items()} == expected


def test_other_segments_of_a_column_replace_those_that_are_not_wanted_any_more(rig: Rig) -> None:
    rig.count()
    count_hours(rig.engine, rig.version, rig.in_force, [rig.plan], (START, END), 60)
    with rig.engine.connect() as connection:
        assert set(connection.scalars(select(schema.segment_profile.c.spec))) == {rig.plan.spec}


def test_verification_finds_a_segment_that_counts_rows_of_another(rig: Rig) -> None:
    rig.count()
    t = schema.segment_profile
    with writing(rig.engine) as connection:
        mine = (t.c.spec == rig.plan.spec) & (t.c.hour_start == START) & (t.c.arm == Arm.CHAMPION)
        found = connection.execute(select(t).where(mine & (t.c.segment == rig.plan.values[0]))).one()
        swapped = {"row_count": found.row_count, "counts": found.counts}
        other = mine & (t.c.segment == "other")
        gone = connection.execute(select(t).where(other)).one()
        connection.execute(update(t).where(other).values(**swapped))
        connection.execute(update(t).where(t.c.id == found.id).values(row_count=gone.row_count, counts=gone.counts))
    (check,) = [c for c in verify(rig.engine) if c.name.startswith("segments")]
    assert not check.agrees
    assert "2 profiles differ" in check.detail


def test_a_lost_segment_is_counted_anew(rig: Rig) -> None:
    rig.count()
    t = schema.segment_profile
    with writing(rig.engine) as connection:
        connection.execute(delete(t).where((t.c.hour_start == START) & (t.c.segment == rig.plan.values[0])))
    assert rig.count().hours == 1
    rig.assert_agrees()


def test_hours_whose_rows_retention_took_stay_as_they_were_counted(rig: Rig) -> None:
    rig.count()
    before = rig.window(START, END)
    later = END + 3 * 24 * HOUR_US
    prune(rig.engine, RetentionSettings(keep_days=1), later)
    assert rig.count() == CountReport()
    assert rig.window(START, END) == before
    rig.assert_agrees()
    prune(rig.engine, RetentionSettings(keep_hour_profile_days=2), later)
    with rig.engine.connect() as connection:
        assert connection.scalar(select(schema.segment_profile.c.id).limit(1)) is None
        assert uncounted_hours(connection, rig.version.id, rig.in_force[0], [rig.plan], START, END) == []


def test_an_hour_is_over_when_it_has_settled() -> None:
    assert settled_until(START + 299_000_000) == START - HOUR_US
    assert settled_until(START + 300_000_000) == START
