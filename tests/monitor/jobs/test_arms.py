"""Versions that come and go, and that answer beside each other: each has its own reference, window and verdict."""

from monitor_rig import MINUTE_US, TinyModel, rows, save_reference, send
from sqlalchemy import select

from driftline.monitor.jobs import drift_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.rows.results import Result
from driftline.monitor.status import read_snapshot
from driftline.monitor.watch import find_version, watched_versions
from driftline.store import schema
from driftline.store.events import Event, leave_event, load_events
from driftline.store.records import Arm, now_us


def current(context: JobContext, name: str = "tiny") -> str:
    """Return the version that a model's name means on the status page, in the gauges and on the command line."""
    with context.engine.connect() as connection:
        first = read_snapshot(connection, context).by_name[name][0].version
        assert find_version(connection, name, 0).identity.version == first.identity.version
    return first.identity.version


def test_a_new_version_is_judged_by_its_own_reference_or_told_to_have_none(
    context: JobContext, tiny: TinyModel
) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(1_500, seed=2), at_us=now_us() - 2 * MINUTE_US)
    second = tiny.named("tiny", "2")
    send(context, second.identity, rows(1_500, seed=3, income=1.0))
    outcomes = drift_job.run(context).outcomes
    assert outcomes["tiny/1"].result is Result.SUCCESS
    assert outcomes["tiny/2"].result is Result.SKIPPED
    assert "driftline reference build models:/tiny/2" in outcomes["tiny/2"].message
    save_reference(context, second)
    assert "drift in income" in drift_job.run(context).outcomes["tiny/2"].message


def test_a_version_that_was_loaded_is_watched_before_its_first_row(context: JobContext, tiny: TinyModel) -> None:
    send(context, tiny, rows(100, seed=2), at_us=now_us() - MINUTE_US)
    second = tiny.named("tiny", "2").identity
    leave_event(context.home, Event("model loaded", now_us(), second, {"arm": "champion"}))
    load_events(context.engine, context.home)
    assert set(drift_job.run(context).outcomes) == {"tiny/1", "tiny/2"}


def test_a_name_means_the_champion_although_a_challenger_had_rows_later(context: JobContext, tiny: TinyModel) -> None:
    challenger = tiny.named("tiny", "2")
    save_reference(context, tiny)
    save_reference(context, challenger)
    send(context, tiny, rows(100, seed=2), at_us=now_us() - 2 * MINUTE_US)
    send(context, challenger.identity, rows(100, seed=2), arm=Arm.SHADOW)
    assert current(context) == "1"


def test_a_challenger_that_had_no_rows_yet_is_no_champion_and_lacks_a_reference_of_its_own(
    context: JobContext, tiny: TinyModel
) -> None:
    challenger = tiny.named("tiny", "2").identity
    save_reference(context, tiny)
    for identity, arm in ((tiny.built.identity, "champion"), (challenger, "shadow")):
        leave_event(context.home, Event("model loaded", now_us(), identity, {"arm": arm}))
        load_events(context.engine, context.home)
    with context.engine.connect() as connection:
        arms = {found.label: found.arms for found in watched_versions(connection, 0)}
    assert arms == {"tiny/1": (Arm.CHAMPION,), "tiny/2": (Arm.SHADOW,)}
    assert current(context) == "1"
    outcome = drift_job.run(context).outcomes["tiny/2"]
    assert (outcome.result, "reference build models:/tiny/2" in outcome.message) == (Result.SKIPPED, True)


def test_a_champion_that_was_a_challenger_is_one_before_its_first_row(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(100, seed=2), at_us=now_us() - 10 * MINUTE_US, arm=Arm.SHADOW)
    with context.engine.connect() as connection:
        assert find_version(connection, "tiny", now_us() - MINUTE_US).arms == (Arm.SHADOW,)
    leave_event(context.home, Event("model loaded", now_us(), tiny.built.identity, {"arm": "champion"}))
    load_events(context.engine, context.home)
    with context.engine.connect() as connection:
        assert find_version(connection, "tiny", now_us() - MINUTE_US).arms == (Arm.CHAMPION,)


def test_a_name_means_an_old_version_again_when_the_alias_went_back(context: JobContext, tiny: TinyModel) -> None:
    first, second = tiny.named("tiny", "1"), tiny.named("tiny", "2")
    for minutes, version, expected in ((4, first, "1"), (2, second, "2"), (0, first, "1")):
        save_reference(context, version)
        send(context, version.identity, rows(100, seed=2), at_us=now_us() - minutes * MINUTE_US)
        assert current(context) == expected


def test_arms_of_one_version_are_judged_apart(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(1_500, seed=2))
    send(context, tiny, rows(1_500, seed=3, income=1.0), arm=Arm.CANARY)
    drift_job.run(context)
    t = schema.drift_result
    with context.engine.connect() as connection:
        found = connection.execute(select(t.c.arm, t.c.window_rows, t.c.verdict).where(t.c.column_name == "income"))
        verdicts = {Arm(row.arm): (row.window_rows, row.verdict) for row in found}
    assert verdicts == {Arm.CHAMPION: (1_500, "no drift"), Arm.CANARY: (1_500, "drift")}
