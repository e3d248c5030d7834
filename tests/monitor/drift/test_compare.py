"""What a window is judged to be, and what the operator reads."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.compare import compare
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.drift.verdict import ColumnDrift, Verdict
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.reference import Reference, build_reference

TYPES = {
    "age": ColumnType.DOUBLE, "visits": ColumnType.LONG, "plan": ColumnType.LONG, "region": ColumnType.STRING,
    "member": ColumnType.BOOLEAN, "note": ColumnType.STRING, "at": ColumnType.DATETIME, "photo": ColumnType.BINARY,
    "empty": ColumnType.DOUBLE, "nothing": ColumnType.STRING, "same": ColumnType.DOUBLE, "key": ColumnType.STRING,
}  # fmt: skip
COLUMNS = [
    *(PredictionColumn("input", name, name, type_) for name, type_ in TYPES.items()),
    PredictionColumn("output", "prediction", "out_prediction", ColumnType.DOUBLE),
]
Data = dict[str, NDArray[Any]]


def texts(values: Sequence[Any]) -> NDArray[Any]:
    made = np.empty(len(values), dtype=object)
    made[:] = list(values)
    return made


def rows_of(seed: int, rows: int) -> Data:
    rng = np.random.default_rng(seed)
    return {
        "age": rng.normal(40, 10, rows),
        "visits": rng.poisson(3, rows),
        "plan": rng.integers(0, 4, rows),
        "region": texts([f"r{k}" for k in rng.integers(0, 6, rows)]),
        "member": rng.random(rows) < 0.4,
        "note": texts(["word " * int(k) + str(rng.random()) for k in rng.integers(1, 9, rows)]),
        "at": seed * 10**12 + rng.integers(0, 10**9, rows),
        "photo": texts([b"." * int(k) for k in rng.integers(100, 900, rows)]),
        "empty": np.full(rows, np.nan),
        "nothing": texts([None] * rows),
        "same": np.full(rows, 7.0),
        "key": texts([f"{number:08d}" for number in rng.integers(0, 10**8, rows)]),
        "out_prediction": rng.beta(2, 3, rows),
    }


@pytest.fixture(scope="module")
def reference() -> Reference:
    return calibrate(build_reference(COLUMNS, rows_of(1, 5000), source="made up", made_at_us=0))


Judge = Callable[..., dict[str, ColumnDrift]]


@pytest.fixture
def judge(reference: Reference) -> Judge:
    def judged(data: Data, rows: int, settings: DriftSettings | None = None) -> dict[str, ColumnDrift]:
        window = reference.empty_profile()
        window.add(data, rows)
        return {c.name: c for c in compare(reference, window, settings)}

    return judged


def test_like_the_reference_nothing_drifts(judge: Judge) -> None:
    for seed, rows in ((2, 100), (3, 800), (4, 20_000)):
        found = judge(rows_of(seed, rows), rows)
        assert [c.name for c in found.values() if c.verdict is Verdict.DRIFT] == []
        assert {c.name for c in found.values() if c.verdict is Verdict.INSUFFICIENT_DATA} == {"empty", "nothing"}
        assert {c.name for c in found.values() if c.verdict is Verdict.NOT_JUDGED} == {"at"}
        assert (found["at"].kind, found["photo"].kind) == ("time", "length")


def test_each_column_has_its_own_statistic_at_every_size(judge: Judge) -> None:
    for rows in (10, 150, 5000):
        found = judge(rows_of(5, rows), rows)
        assert {n for n, c in found.items() if c.statistic == "wasserstein"} >= {
            "age", "visits", "note", "photo", "prediction",
        }  # fmt: skip
        assert {n for n, c in found.items() if c.statistic == "jensen_shannon"} >= {"plan", "region", "member"}


def test_what_moved_is_found_and_told(judge: Judge) -> None:
    data = rows_of(6, 2000)
    data["age"] += 5
    data["visits"] = data["visits"] * 3
    data["region"][:700] = "r1"
    data["member"][:900] = True
    data["out_prediction"] = data["out_prediction"] ** 2
    data["same"][:200] = 8.0
    found = judge(data, 2000)
    assert {n for n, c in found.items() if c.verdict is Verdict.DRIFT} == {
        "age", "visits", "region", "member", "prediction", "same",
    }  # fmt: skip
    assert found["age"].reason.startswith("mean rose from 39.9 to 45.2; score 0.5")
    assert found["age"].reason.endswith(" at 2,000 rows of 24 h")
    assert found["age"].effect == pytest.approx(0.53, abs=0.05)
    assert found["region"].effect == pytest.approx(0.35 - 0.35 / 6, abs=0.03)
    assert found["region"].reason.startswith("share of 'r1' rose from 16.")
    assert found["prediction"].side == "output"
    assert all(c.score is not None and c.threshold is not None and c.score >= c.threshold
               for c in found.values() if c.verdict is Verdict.DRIFT)  # fmt: skip


def test_unseen_categories_are_counted_and_not_named(judge: Judge) -> None:
    data = rows_of(7, 1000)
    data["region"][:300] = "Jane Doe"
    found = judge(data, 1000)["region"]
    assert found.verdict is Verdict.DRIFT
    assert found.unseen_share == pytest.approx(0.3)
    assert found.reason.startswith("30 % of the values are in no category of the reference")
    assert "Jane" not in found.reason


def test_missing_cells_alone_are_drift(judge: Judge) -> None:
    data = rows_of(8, 1000)
    data["age"][:400] = np.nan
    data["region"] = texts([None] * 1000)
    del data["photo"]
    found = judge(data, 1000)
    for name, share in (("age", 0.4), ("region", 1.0), ("photo", 1.0)):
        assert found[name].verdict is Verdict.DRIFT
        assert found[name].statistic == "missing_share_difference"
        assert found[name].score == pytest.approx(share)
        assert found[name].missing_share == pytest.approx(share)
    assert found["age"].reason.startswith(
        "missing cells rose from 0 % to 40 %; score 0.4 over threshold 0.1 (the least"
    )


def test_no_verdict_below_a_hundred_rows(judge: Judge) -> None:
    data = rows_of(9, 99)
    data["age"] += 100
    found = judge(data, 99)
    assert {c.verdict for c in found.values()} == {Verdict.INSUFFICIENT_DATA}
    assert found["age"].reason == "99 rows with a value, a verdict needs 100"
    assert found["age"].score is None
    assert found["age"].threshold is None


def test_an_empty_window_is_judged_without_failing(judge: Judge) -> None:
    found = judge({}, 0)
    assert {c.verdict for c in found.values()} == {Verdict.INSUFFICIENT_DATA}
    assert found["age"].missing_share is None


def test_trifles_are_no_drift_at_any_size(judge: Judge) -> None:
    data = rows_of(10, 200_000)
    data["age"] += 0.5  # 0.05 standard deviations, far above chance
    found = judge(data, 200_000)["age"]
    assert found.verdict is Verdict.NO_DRIFT
    assert found.threshold == 0.1


def test_outliers_and_infinities_are_judged(judge: Judge) -> None:
    data = rows_of(11, 500)
    data["age"][:5] = [1e300, -1e300, np.inf, -np.inf, 1.7e308]
    found = judge(data, 500)["age"]
    assert found.verdict is Verdict.DRIFT
    assert found.out_of_range_share == pytest.approx(0.01, abs=0.003)


def test_mixed_objects_are_judged(judge: Judge) -> None:
    strange = texts([3, "text", None, [1], {"a": 2}, 2**63 - 1, True, b"raw", 1e300, float("nan")] * 20)
    found = judge(dict.fromkeys([*TYPES, "out_prediction"], strange), 200)
    assert found["age"].verdict is Verdict.DRIFT
    assert all(c.reason for c in found.values())


def test_one_statistic_and_one_threshold_may_be_chosen_per_column(judge: Judge) -> None:
    data = rows_of(12, 1000)
    data["age"] += 3
    settings = DriftSettings(
        column_statistics="age=population_stability_index,region=unseen_share_difference",
        column_thresholds="prediction=0.000001, age = 9",
    )
    found = judge(data, 1000, settings)
    assert found["age"].statistic == "population_stability_index"
    assert (found["age"].threshold, found["age"].verdict) == (9, Verdict.NO_DRIFT)
    assert found["prediction"].verdict is Verdict.DRIFT
    assert found["region"].score == 0


def test_fewer_allowed_false_alarms_raise_thresholds(judge: Judge) -> None:
    data = rows_of(13, 150)
    often, seldom = (
        judge(data, 150, DriftSettings(false_alarms_per_month=allowed))["age"].threshold for allowed in (100, 0.01)
    )
    assert often is not None
    assert seldom is not None
    assert seldom > often > 0.1


def test_a_reference_without_tables_is_judged_alike(reference: Reference) -> None:
    window = reference.empty_profile()
    window.add(rows_of(14, 300), 300)
    assert compare(reference.with_calibration(None), window) == compare(reference, window)


def test_other_settings_of_statistic_work_on_every_column(judge: Judge) -> None:
    data = rows_of(15, 400)
    for numeric in ("kolmogorov_smirnov", "hellinger", "chi_square", "total_variation"):
        for categorical in ("chi_square", "unseen_share_difference"):
            found = judge(data, 400, DriftSettings(numeric_statistic=numeric, categorical_statistic=categorical))
            assert found["age"].statistic == numeric
            assert found["region"].statistic == categorical
            assert found["plan"].statistic == ("jensen_shannon" if "unseen" in categorical else categorical)
            assert all(c.verdict is not Verdict.DRIFT for c in found.values())


def test_a_text_that_is_judged_by_its_length_is_told_by_its_length(judge: Judge) -> None:
    data = rows_of(10, 1000)
    data["note"] = texts([f"{note} and so on" for note in data["note"]])
    found = judge(data, 1000)["note"]
    assert (found.verdict, found.statistic, found.kind) == (Verdict.DRIFT, "wasserstein", "length")
    assert found.reason.startswith("length mean rose from ")
    assert found.effect is not None
    assert found.effect > 0.5


@pytest.mark.parametrize(("column", "other"), [("key", "a key of another kind"), ("same", 8.0)])
def test_a_few_rows_that_leave_what_never_varied_are_no_drift_and_many_are(
    judge: Judge, column: str, other: str | float
) -> None:
    for rows, strangers, verdict in (
        (100, 1, Verdict.NO_DRIFT), (200, 1, Verdict.NO_DRIFT), (1502, 2, Verdict.NO_DRIFT),
        (20_000, 20, Verdict.NO_DRIFT), (20_000, 200, Verdict.DRIFT), (100, 12, Verdict.DRIFT),
        (1502, 45, Verdict.DRIFT),
    ):  # fmt: skip
        data = rows_of(16, rows)
        data[column][:strangers] = other
        found = judge(data, rows)[column]
        assert (found.verdict, found.statistic) == (verdict, "jensen_shannon"), (rows, strangers, found.reason)
