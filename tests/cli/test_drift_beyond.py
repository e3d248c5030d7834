"""`driftline drift` below its columns: the quality of the rows, all inputs together, and arms."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from click.testing import CliRunner, Result
from monitor_rig import MINUTE_US, TinyModel, rows, save_reference, send

from driftline.cli.drift_beyond import multivariate_line
from driftline.cli.main import root
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.drift.verdict import Verdict
from driftline.monitor.drift.windows import span_name
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.judge import judge
from driftline.monitor.multivariate.check import MultivariateDrift
from driftline.store.errors import ModelNotFound
from driftline.store.records import MICROSECONDS, Arm, iso

Run = Callable[..., Result]


@pytest.fixture
def run(sqlite_context: JobContext, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `driftline drift` on the test's store."""
    monkeypatch.setenv("DRIFTLINE_HOME", str(sqlite_context.home))
    monkeypatch.setenv("DRIFTLINE_STORE", str(sqlite_context.engine.url))

    def invoke(*arguments: object) -> Result:
        done = CliRunner().invoke(root, ["drift", *(str(a) for a in arguments)])
        assert done.exit_code == 0, done.output
        return done

    return invoke


def test_breaches_of_data_quality_are_a_second_table(run: Run, sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    frame = rows(600, seed=2)
    frame.loc[:120, "age"] = np.nan
    send(sqlite_context, tiny, frame)
    printed = run("tiny", "--since", "1h").output
    _, quality, together = printed.split("\n\n")
    head, titles, missing = quality.splitlines()[:3]
    assert head == "data quality: 1 breach, 12 checks without"
    assert titles.split() == ["check", "column", "observed", "expected", "threshold", "finding"]
    assert missing.split()[:4] == ["missing", "age", "20.2", "%"]
    assert "not checked yet" in together


def test_good_rows_have_no_table(run: Run, sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(600, seed=2))
    assert "\n\ndata quality: 0 breaches, 13 checks without\n\n" in run("tiny", "--since", "1h").output


def test_json_holds_every_check_and_the_multivariate_one_when_it_is_asked_for(
    run: Run, sqlite_context: JobContext, tiny: TinyModel
) -> None:
    save_reference(sqlite_context, tiny)
    frame = rows(800, seed=2)
    frame["income"] = 0.8 * frame["age"] + 0.6 * frame["income"]
    send(sqlite_context, tiny, frame)
    assert json.loads(run("tiny", "--json").stdout)["multivariate"] is None
    told = json.loads(run("tiny", "--json", "--multivariate").stdout)
    assert told["multivariate"]["verdict"] == "drift"
    assert {"age", "income"} <= set(told["multivariate"]["columns"])
    assert {"missing", "out_of_range", "constant", "duplicate_rows"} == {f["kind"] for f in told["quality"]}
    assert {f["verdict"] for f in told["quality"]} == {"ok"}


def test_an_arm_is_judged_alone_with_the_version_that_has_it(
    run: Run, sqlite_context: JobContext, tiny: TinyModel
) -> None:
    challenger = tiny.named("tiny", "2")
    save_reference(sqlite_context, tiny)
    save_reference(sqlite_context, challenger)
    send(sqlite_context, tiny, rows(600, seed=2))
    send(sqlite_context, challenger.identity, rows(400, seed=3, income=1.0), arm=Arm.SHADOW)
    champion, shadow = (json.loads(run("tiny", "--json", *flags).stdout) for flags in ((), ("--arm", "shadow")))
    assert (champion["version"], champion["arm"], champion["window"]["rows"]) == ("1", "champion", 600)
    assert (shadow["version"], shadow["arm"], shadow["window"]["rows"]) == ("2", "shadow", 400)
    refused = CliRunner().invoke(root, ["drift", "tiny", "--arm", "canary"])
    assert isinstance(refused.exception, ModelNotFound)
    assert "tiny had no rows as canary in this time, but as champion: name one of these" in str(refused.exception)
    assert {c["column"]: c["verdict"] for c in shadow["columns"] if c["side"] == "input"}["income"] == "drift"


def test_the_monitor_s_check_is_told_with_its_own_window_and_only_where_it_ended_in_the_one_that_is_judged() -> None:
    hour = 3600 * MICROSECONDS
    reason = "AUC 0.675 of 3,427 live rows"
    last = MultivariateDrift((0, 24 * hour), 3_427, 3_000, 0.675, 9.0, {}, Verdict.DRIFT, reason)
    said = "the monitor's last check, of 24 h up to 1970-01-02T00:00:00Z"
    within = multivariate_line(last, (20 * hour, 26 * hour), now=False)
    assert within == f"all inputs together, by {said}: drift: {reason}"
    after = multivariate_line(last, (25 * hour, 26 * hour), now=False)
    assert after == f"all inputs together: not checked in this time ({said}, lies before); `--multivariate` does now"
    now = multivariate_line(last, (0, 24 * hour), now=True)
    assert now == f"all inputs together: drift: {reason}"


@pytest.mark.parametrize(("span_seconds", "named"), [(3600, "1 h"), (90 * 60, "90 min"), (20, "40 s")])
def test_a_window_is_as_long_as_its_ends_say_in_minutes(
    sqlite_context: JobContext, tiny: TinyModel, span_seconds: int, named: str
) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(300, seed=2))
    end = sqlite_context.clock() // MINUTE_US * MINUTE_US + 40 * MICROSECONDS
    window = end - span_seconds * MICROSECONDS, end
    (version,) = sqlite_context.watched()
    with sqlite_context.engine.connect() as connection:
        judged = judge(connection, version, Arm.CHAMPION, window, DriftSettings())
    assert judged is not None
    assert {span_name(d.window_seconds) for d in judged.drifts} == {named}


def test_quality_is_that_of_the_rows_that_were_judged(run: Run, sqlite_context: JobContext, tiny: TinyModel) -> None:
    """A time just after bad rows: they are of the minute before, and neither judgement may hold them."""
    save_reference(sqlite_context, tiny)
    minute = 60 * MICROSECONDS
    start = sqlite_context.clock() // minute * minute
    broken = rows(600, seed=2)
    broken["age"] = np.nan
    send(sqlite_context, tiny, broken, at_us=start - MICROSECONDS)
    send(sqlite_context, tiny, rows(600, seed=3), at_us=start)
    told = json.loads(run("tiny", "--json", "--since", iso(start)).stdout)
    assert told["window"]["rows"] == 600
    (missing,) = (f for f in told["quality"] if (f["kind"], f["column"]) == ("missing", "age"))
    assert (missing["observed"], missing["window"]["rows"]) == (0.0, 600)
