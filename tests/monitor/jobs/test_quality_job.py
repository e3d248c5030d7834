"""The quality job: what is wrong with the rows themselves, from the store and back into it."""

from dataclasses import replace

import numpy as np
import pytest
from monitor_rig import MINUTE_US, TinyModel, at, rows, save_reference, send
from sqlalchemy import insert, select

from driftline.monitor.jobs import quality_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.quality.finding import QualityFinding
from driftline.monitor.rows.quality_rows import newest_findings
from driftline.monitor.rows.results import Result
from driftline.monitor.watch import find_version
from driftline.store import schema
from driftline.store.profile_levels import HOUR_US, ROLL_UP, floor
from driftline.store.records import Arm, now_us
from driftline.store.references import newest_reference_id


def findings(context: JobContext, arm: Arm = Arm.CHAMPION) -> dict[tuple[str, str], QualityFinding]:
    """What the last run found, by kind and column."""
    with context.engine.connect() as connection:
        version = find_version(connection, "tiny", 0)
        return {(str(f.kind), f.name): f for f in newest_findings(connection, version.id, arm)}


def breaches(context: JobContext, arm: Arm = Arm.CHAMPION) -> set[tuple[str, str]]:
    return {place for place, row in findings(context, arm).items() if row.verdict == "breach"}


def test_rows_like_the_training_rows_breach_nothing(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(1_500, seed=2))
    outcome = quality_job.run(sqlite_context).outcomes["tiny/1"]
    assert (outcome.result, outcome.message) == (Result.SUCCESS, "no breach")
    found = findings(sqlite_context)
    assert {kind for kind, _ in found} == {"missing", "out_of_range", "constant", "duplicate_rows"}
    assert found["duplicate_rows", ""].verdict == "ok"


def test_what_is_wrong_with_a_column_is_kept_with_its_numbers(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    frame = rows(1_500, seed=2)
    frame.loc[:300, "age"] = np.nan
    frame["tenure"] = 0.25
    frame.loc[:100, "income"] = -999.0
    send(context, tiny, frame)
    outcome = quality_job.run(context).outcomes["tiny/1"]
    assert outcome.message.startswith("breaches: age: missing")
    assert breaches(context) >= {("missing", "age"), ("out_of_range", "income"), ("constant", "tenure")}
    missing = findings(context)["missing", "age"]
    assert (missing.side, missing.window_rows, missing.expected) == ("input", 1_500, 0.0)
    assert missing.observed == pytest.approx(0.2, abs=0.01)
    assert missing.threshold < missing.observed  # type: ignore[operator]


def test_a_breach_of_the_last_hour_is_found_among_a_days_good_rows(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    now = now_us()
    send(sqlite_context, tiny, rows(8_000, seed=2), at_us=now - 5 * HOUR_US)
    frame = rows(200, seed=3)
    frame.loc[:70, "age"] = np.nan
    send(sqlite_context, tiny, frame, at_us=now - 10 * MINUTE_US)
    quality_job.run(at(sqlite_context, now))
    missing = findings(sqlite_context)["missing", "age"]
    assert (missing.verdict, missing.window[1] - missing.window[0], missing.window_rows) == ("breach", HOUR_US, 200)


def test_a_client_that_sends_one_row_again_and_again_is_found(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(1_000, seed=2))
    for _ in range(10):
        send(sqlite_context, tiny, rows(50, seed=3))
    quality_job.run(sqlite_context)
    duplicates = findings(sqlite_context)["duplicate_rows", ""]
    assert (duplicates.verdict, duplicates.window_rows) == ("breach", 1_500)
    assert duplicates.observed == pytest.approx(1 / 3)
    quality_job.run(replace(sqlite_context, quality=replace(sqlite_context.quality, sample_rows=0)))
    assert ("duplicate_rows", "") not in findings(sqlite_context)


def test_arms_are_looked_at_apart(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(1_000, seed=2))
    send(context, tiny, rows(1_000, seed=3).assign(age=0.5), arm=Arm.SHADOW)
    message = quality_job.run(context).outcomes["tiny/1"].message
    assert "no breach (champion)" in message
    assert ("constant", "age") not in breaches(context)
    assert ("constant", "age") in breaches(context, Arm.SHADOW)


def test_a_version_without_a_reference_is_skipped_with_the_next_command(
    sqlite_context: JobContext, tiny: TinyModel
) -> None:
    send(sqlite_context, tiny, rows(100, seed=2))
    outcome = quality_job.run(sqlite_context).outcomes["tiny/1"]
    assert outcome.result is Result.SKIPPED
    assert "driftline reference build models:/tiny/1" in outcome.message


def test_no_traffic_is_no_verdict(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    assert quality_job.run(sqlite_context).outcomes["tiny/1"].result is Result.INSUFFICIENT_DATA
    assert {row.verdict for row in findings(sqlite_context).values()} == {"insufficient data"}


def fill_weeks(context: JobContext, weeks: int, until_us: int, usual: int) -> None:
    """Give every hour of past weeks a rolled up profile of about so many rows, whose counts nobody reads."""
    with context.engine.begin() as connection:
        version = find_version(connection, "tiny", 0)
        reference = newest_reference_id(connection, version.id)
        rng = np.random.default_rng(1)
        hours = range(floor(until_us, 3600) - weeks * 168 * HOUR_US, until_us, HOUR_US)
        connection.execute(insert(schema.profile), [
            {"model_version_id": version.id, "reference_id": reference, "arm": int(Arm.CHAMPION), "bucket_start": hour,
             "span_seconds": 3600, "writer": ROLL_UP, "row_count": int(rng.poisson(usual)), "counts": b""}
            for hour in hours
        ])  # fmt: skip


@pytest.mark.parametrize(("sent", "verdict"), [(100, "breach"), (1_000, "ok")])
def test_an_hours_rows_are_compared_with_past_weeks(
    context: JobContext, tiny: TinyModel, sent: int, verdict: str
) -> None:
    save_reference(context, tiny)
    hour = floor(now_us(), 3600)
    send(context, tiny, rows(sent, seed=2), at_us=hour + 5 * MINUTE_US)
    fill_weeks(context, 5, hour, usual=1_000)
    later = at(context, hour + HOUR_US + 15 * MINUTE_US)
    quality_job.run(replace(later, quality=replace(context.quality, windows="1h", sample_rows=0)))
    volume = findings(context)["volume", ""]
    assert (volume.verdict, volume.observed, volume.window[0]) == (verdict, sent, hour)
    assert volume.expected == pytest.approx(1_000, rel=0.1)


def test_what_was_found_goes_with_the_other_results(context: JobContext, tiny: TinyModel) -> None:
    from driftline.store.retention.prune import prune
    from driftline.store.retention.settings import RetentionSettings

    save_reference(context, tiny)
    send(context, tiny, rows(200, seed=2))
    quality_job.run(context)
    prune(context.engine, RetentionSettings(keep_result_days=1), now_us() + 50 * HOUR_US)
    with context.engine.connect() as connection:
        assert connection.execute(select(schema.quality_result.c.id)).all() == []
        assert connection.execute(select(schema.job_run.c.id)).all() == []
