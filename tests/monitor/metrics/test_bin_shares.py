"""The shares of bins: even over a reference's own rows, whole, and moved where the window has moved."""

import numpy as np
import pytest
from monitor_rig import TinyModel, rows, save_reference, send

from driftline.monitor.jobs import drift_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.metrics.bin_shares import MISSING, BinReader, bin_shares
from driftline.monitor.rows import results
from driftline.store import schema
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.reference import Reference, build_reference
from driftline.store.records import Arm

COLUMNS = [
    PredictionColumn("input", "fare", "fare", ColumnType.DOUBLE),
    PredictionColumn("input", "zone", "zone", ColumnType.STRING),
]


def reference_of(fares: np.ndarray, zones: list[str | None]) -> Reference:
    data = {"fare": fares, "zone": np.array(zones, dtype=object)}
    return build_reference(COLUMNS, data, source="test", made_at_us=0)


@pytest.fixture(scope="module")
def reference() -> Reference:
    zones = [name for name, count in zip("abcdefghijkl", range(150, 30, -10), strict=True) for _ in range(count)]
    return reference_of(np.random.default_rng(3).normal(size=len(zones)), list(zones))


def window(
    reference: Reference, fares: list[float], zones: list[str | None]
) -> dict[str, list[tuple[str, float, float]]]:
    profile = reference.empty_profile()
    profile.add({"fare": np.array(fares), "zone": np.array(zones, dtype=object)}, len(fares))
    return {p.column.name: list(bin_shares(p, reference, profile)) for p in reference.profiled}


def test_the_references_own_deciles_are_even(reference: Reference) -> None:
    found = {p.column.name: list(bin_shares(p, reference, reference.profile)) for p in reference.profiled}
    names = [name for name, _, _ in found["fare"]]
    assert names == ["00_below", *(f"{i:02d}" for i in range(1, 11)), "11_above", MISSING]
    assert [share for _, _, share in found["fare"]] == pytest.approx([0, *[0.1] * 10, 0, 0], abs=0.02)
    assert all(before == now for shares in found.values() for _, before, now in shares)


def test_missing_infinite_and_unseen_cells_have_their_bins_and_all_sum_to_one(reference: Reference) -> None:
    shares = window(reference, [np.nan, np.inf, -np.inf, 0.0], ["a", "l", "never", None])
    fare, zone = ({name: now for name, _, now in shares[column]} for column in ("fare", "zone"))
    assert (fare["00_below"], fare["11_above"], fare[MISSING]) == (0.25, 0.25, 0.25)
    assert (zone["01_a"], zone["97_other"], zone["98_unseen"], zone[MISSING]) == (0.25, 0.25, 0.25, 0.25)
    for each in shares.values():
        assert sum(now for _, _, now in each) == pytest.approx(1)
        assert sum(before for _, before, _ in each) == pytest.approx(1)
    assert len(zone) == 9 + 3


def test_a_number_of_few_values_has_a_bin_for_each() -> None:
    few = reference_of(np.array([1.0, 1.0, 2.0, 7.0]), ["a"] * 4)
    shares = window(few, [1.0, 7.0, 3.0, 9.0], ["a"] * 4)["fare"]
    assert [(name, before) for name, before, _ in shares if before] == [("01", 0.5), ("02", 0.25), ("03", 0.25)]
    assert {name: now for name, _, now in shares if now} == {"01": 0.25, "03": 0.25, "04": 0.25, "05_above": 0.25}


def test_the_newest_verdicts_bins_are_read_once_and_follow_the_data(
    sqlite_context: JobContext, tiny: TinyModel
) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(1_500, seed=2, income=3.0))
    drift_job.run(sqlite_context)
    (version,) = sqlite_context.watched()
    reader = BinReader()
    with sqlite_context.engine.connect() as connection:
        drift = results.newest_drift(connection, version.id, Arm.CHAMPION)
        found = {each.column_name: each for each in reader.of(connection, version.id, drift)}
        assert reader.of(connection, version.id, drift) is reader.of(connection, version.id, drift)
    assert set(found) == {"age", "income", "tenure", "prediction"}
    beyond = {name: sum(now for bin_, _, now in found[name].bins if bin_ in ("10", "11_above")) for name in found}
    assert beyond["income"] > 0.8
    assert beyond["age"] == pytest.approx(0.1, abs=0.05)


def test_a_damaged_profile_leaves_the_page_without_bins(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(600, seed=2))
    drift_job.run(sqlite_context)
    (version,) = sqlite_context.watched()
    with sqlite_context.engine.begin() as connection:
        drift = results.newest_drift(connection, version.id, Arm.CHAMPION)
        connection.execute(schema.profile.update().values(counts=b"broken"))
        assert BinReader().of(connection, version.id, drift) == []
