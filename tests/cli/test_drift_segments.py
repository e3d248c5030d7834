"""`driftline drift MODEL --segment COLUMN`: a line per segment, as JSON too, and what to write where it is unset."""

import json
from collections.abc import Callable
from functools import partial

import pytest
from click.testing import CliRunner, Result
from monitor_rig import TinyModel, rows, save_reference, send

from driftline.cli.main import root
from driftline.monitor.jobs.job import JobContext
from driftline.store.errors import ConfigurationError

Run = Callable[..., Result]
ask = partial(send, answers=lambda part: part["age"] - 2 * part["income"])  # as the model would answer


@pytest.fixture
def run(sqlite_context: JobContext, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `driftline drift` on the test's store, with segments."""
    monkeypatch.setenv("DRIFTLINE_HOME", str(sqlite_context.home))
    monkeypatch.setenv("DRIFTLINE_STORE", str(sqlite_context.engine.url))
    monkeypatch.setenv("DRIFTLINE_SEGMENTS_COLUMNS", "age:0:9")
    return lambda *arguments: CliRunner().invoke(root, ["drift", *map(str, arguments)])


def test_each_segment_has_a_line_and_drift_shows_where_it_is(
    run: Run, sqlite_context: JobContext, tiny: TinyModel
) -> None:
    save_reference(sqlite_context, tiny)
    frame = rows(1_500, seed=2)
    ask(sqlite_context, tiny, frame.assign(income=frame["income"] + (frame["age"] < 0)))  # just now: no hour is over
    done = run("tiny", "--segment", "age", "--since", "1h")
    assert done.exit_code == 0, done.output
    head, titles, *lines = done.output.splitlines()
    assert head.startswith("tiny/1 by age: 1500 rows from ")
    assert head.endswith("against 3000 rows of training data")
    assert titles.split()[:3] == ["segment", "worst", "column"]
    told = [line for line in lines if not line.startswith("    ")]
    assert [line.split("  ")[0] for line in told] == ["below 0", "0 to 9"]
    assert "income" in told[0]
    assert "drift: " in told[0]
    assert told[1].endswith("no drift")
    assert run("tiny", "--segment", "age", "--since", "1h", "--fail-on-drift").exit_code == 3
    document = json.loads(run("tiny", "--segment", "age", "--since", "1h", "--json").output)
    assert document["segment_column"] == "age"
    assert [(s["segment"], s["verdict"]) for s in document["segments"]] == [
        ("below 0", "drift"),
        ("0 to 9", "no drift"),
    ]
    assert sum(s["rows"] for s in document["segments"]) == document["window"]["rows"] == 1_500
    assert document["segments"][0]["worst"]["column"] == "income"


def test_a_column_that_is_not_named_in_the_settings_says_how_to_name_it_beside_the_others(
    run: Run, sqlite_context: JobContext, tiny: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_reference(sqlite_context, tiny)
    ask(sqlite_context, tiny, rows(100, seed=2))
    said = refusal(run("tiny", "--segment", "tenure"))
    assert '`[segments] columns = ["age:0:9", "tenure"]`, or set DRIFTLINE_SEGMENTS_COLUMNS=age:0:9,tenure' in said
    monkeypatch.setenv("DRIFTLINE_SEGMENTS_COLUMNS", "incme")
    assert refusal(run("tiny", "--segment", "incme")) == "tiny has no input incme: did you mean `income`?"
    assert refusal(run("tiny", "--segment", "x")) == "tiny has no input x: known are: age, income, tenure"


def refusal(found: Result) -> str:
    assert isinstance(found.exception, ConfigurationError), found.output
    return str(found.exception)
