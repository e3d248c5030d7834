from report_rig import MONDAY, WEEK_US, column, content
from sqlalchemy import Engine

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.report.drift_report import DriftReport
from driftline.monitor.report.kept_reports import keep
from driftline.monitor.report.trend import MOST_REPORTS, changes, trend_since
from driftline.monitor.report.wording import trend_words
from driftline.monitor.watch import WatchedVersion, watched_versions
from driftline.store.engine import writing
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.records import ModelIdentity


def test_what_is_new_gone_worse_and_better_is_told_apart() -> None:
    def columns(**ratios: float) -> dict[tuple[str, str], dict[str, object]]:
        return {
            ("input", name): {"verdict": "drift" if r >= 1 else "no drift", "ratio": r} for name, r in ratios.items()
        }

    found = changes(
        columns(began=0.5, ended=2.0, rose=2.0, fell=4.0, stayed=2.0, quiet=0.1, left=0.1),
        columns(began=1.5, ended=0.5, rose=3.0, fell=2.0, stayed=2.2, quiet=0.9, came=0.1),
    )
    assert {kind: [c["column"] for c in entries] for kind, entries in found.items()} == {
        "new": ["began"], "gone": ["ended"], "worse": ["rose"], "better": ["fell"], "added": ["came"],
        "removed": ["left"],
    }  # fmt: skip


def test_a_column_that_could_not_be_judged_is_no_good_news() -> None:
    before = {("input", "a"): {"verdict": "drift", "ratio": 2.0}}
    now = {("input", "a"): {"verdict": "insufficient data", "ratio": None}}
    assert changes(before, now)["gone"] == []


def kept(engine: Engine, version: WatchedVersion, weeks_ago: int, **more: object) -> None:
    end = MONDAY - weeks_ago * WEEK_US
    made = content(100, column(ratio=1.0 + weeks_ago), end=end, version=version.identity.version)
    keep(engine, version.id, DriftReport((end - WEEK_US, end), made, {}, scheduled=True), end)


def versions(engine: Engine, *numbers: str) -> list[WatchedVersion]:
    with writing(engine) as connection:
        for number in numbers:
            identity = ModelIdentity(name="tiny", version=number, uri=f"models:/tiny/{number}", flavor="sklearn")
            ensure_model_version(connection, identity)
        found = {v.identity.version: v for v in watched_versions(connection, 0)}
    return [found[number] for number in numbers]


def test_a_new_version_goes_on_with_the_curve_of_the_one_before(sqlite_context: JobContext) -> None:
    engine = sqlite_context.engine
    old, new = versions(engine, "1", "2")
    for weeks_ago in range(1, 4):
        kept(engine, old, weeks_ago)
    kept(engine, new, 1)
    with engine.connect() as connection:
        found = trend_since(connection, new, MONDAY, content(50, column(ratio=0.5)), [("input", "income")])
    assert found["since"]["version"] == "2"
    assert [p["version"] for p in found["points"]] == ["1", "1", "2", "1"]
    assert found["columns"] == [{"side": "input", "column": "income", "ratios": [4.0, 3.0, 2.0, 0.5]}]
    assert [c["column"] for c in found["gone"]] == ["income"]
    assert trend_words(found) == ["No drift any more: income (2 to 0.5 thresholds)."]


def test_the_curve_is_bounded_and_the_first_report_says_that_it_is_one(sqlite_context: JobContext) -> None:
    engine = sqlite_context.engine
    (version,) = versions(engine, "1")
    with engine.connect() as connection:
        first = trend_since(connection, version, MONDAY, content(), [])
    assert first["since"] is None
    assert "first report" in trend_words(first)[0]
    for weeks_ago in range(1, MOST_REPORTS + 5):
        kept(engine, version, weeks_ago)
    with engine.connect() as connection:
        points = trend_since(connection, version, MONDAY, content(), [])["points"]
    assert len(points) == MOST_REPORTS
    assert [p["at"] for p in points] == sorted(p["at"] for p in points)
