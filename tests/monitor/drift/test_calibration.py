"""Thresholds from the reference keep their promise on windows that were not simulated with."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.monitor.drift.calibration import calibrate, calibrate_for, is_calibrated, noise, typical_noise
from driftline.monitor.drift.column_judge import statistic_of
from driftline.monitor.drift.compare import compare
from driftline.monitor.drift.registry import score
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.drift.verdict import Verdict
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.columns import ProfiledColumn
from driftline.store.profile.reference import Reference, build_reference

pytestmark = pytest.mark.thorough

Draw = Callable[[np.random.Generator, int], NDArray[Any]]

DRAWS: dict[str, tuple[ColumnType, Draw]] = {
    "normal": (ColumnType.DOUBLE, lambda rng, n: rng.normal(size=n)),
    "lognormal": (ColumnType.DOUBLE, lambda rng, n: rng.lognormal(size=n)),
    "counts": (ColumnType.LONG, lambda rng, n: rng.poisson(2, n)),
    "words": (ColumnType.STRING, lambda rng, n: np.array([f"w{k}" for k in rng.geometric(0.2, n)], dtype=object)),
}


ROWS = 2000


def drawn(rng: np.random.Generator, rows: int) -> dict[str, NDArray[Any]]:
    return {name: draw(rng, rows) for name, (_, draw) in DRAWS.items()}


def built(seed: int = 0, rng_seed: int = 1) -> Reference:
    columns = [PredictionColumn("input", name, name, type_) for name, (type_, _) in DRAWS.items()]
    data = drawn(np.random.default_rng(rng_seed), ROWS)
    return build_reference(columns, data, source="made up", made_at_us=0, seed=seed)


@pytest.fixture(scope="module")
def calibrated() -> Reference:
    return calibrate(built())


def test_the_same_seed_gives_the_same_tables(calibrated: Reference) -> None:
    assert calibrate(built()).calibration == calibrated.calibration
    assert calibrate(built(seed=1)).calibration != calibrated.calibration


def test_tables_travel_in_the_reference_file_and_bins_stay(calibrated: Reference) -> None:
    again = Reference.from_bytes(calibrated.to_bytes())
    assert is_calibrated(again)
    assert not is_calibrated(built())
    assert again.calibration == calibrated.calibration
    assert again.spec_hash == built().spec_hash


@pytest.mark.parametrize("rows", [130, 1000])
def test_chance_exceeds_the_noise_as_often_as_asked(calibrated: Reference, rows: int) -> None:
    rng, tests, asked = np.random.default_rng(rows), 300, 0.05
    exceeded: dict[str, int] = {}
    squares: dict[str, list[float]] = {}
    for trial in range(tests):
        reference = built(rng_seed=1000 + trial)
        window = reference.empty_profile()
        window.add(drawn(rng, rows), rows)
        for profiled in reference.profiled:
            for statistic in calibrated.calibration["columns"][profiled.column.column_name]:  # type: ignore[index]
                threshold = noise(calibrated, profiled.column.column_name, statistic, rows, ROWS, asked)
                key = f"{statistic} of {profiled.column.column_name}"
                found = score(statistic, profiled, reference.profile, window)
                exceeded[key] = exceeded.get(key, 0) + (found >= threshold)
                typical = typical_noise(calibrated, profiled.column.column_name, statistic, rows, ROWS)
                squares.setdefault(key, []).append((found / typical) ** 2)
    shares = {key: count / tests for key, count in exceeded.items()}
    # 5 % of 300 has a standard deviation of 1.3 %, and there are 26 statistics.
    assert {key: share for key, share in shares.items() if share > 0.10} == {}
    assert 0.03 < np.mean(list(shares.values())) < 0.065
    assert {key: np.mean(each) for key, each in squares.items()} == pytest.approx(dict.fromkeys(squares, 1), abs=0.25)


def test_noise_falls_with_the_rows_and_rises_with_the_promise(calibrated: Reference) -> None:
    def of(rows: int, alpha: float) -> float:
        return noise(calibrated, "normal", "wasserstein", rows, 5000, alpha)

    assert of(100, 1e-3) > of(250, 1e-3) > of(3000, 1e-3) > of(10**6, 1e-3) > 0
    assert of(300, 1e-6) > of(300, 1e-4) > of(300, 1e-2)


def test_the_reference_being_a_sample_widens_the_noise(calibrated: Reference) -> None:
    wide, narrow = (noise(calibrated, "normal", "wasserstein", 1000, n, 1e-3) for n in (1000, 10**9))
    assert wide == pytest.approx(narrow * 2**0.5, rel=1e-6)


def test_a_part_has_the_heavy_tails_of_its_whole_also_where_its_few_rows_do_not_show_them() -> None:
    rng, rows, parts = np.random.default_rng(1), 10_000, 10
    columns = [PredictionColumn("input", name, name, ColumnType.DOUBLE) for name in ("normal", "lognormal")]
    data = {"normal": rng.normal(size=rows), "lognormal": rng.lognormal(size=rows)}
    whole = build_reference(columns, data, source="made up", made_at_us=0)
    one_far_out = whole.empty_profile()
    one_far_out.add({"normal": rng.normal(size=100), "lognormal": np.append(rng.lognormal(size=99), 150.0)}, 100)

    def chosen(profiled: ProfiledColumn, of: Reference) -> str:
        return statistic_of(profiled, of, DriftSettings())

    def drifts(part: Reference, of: Reference | None) -> tuple[str, str, bool]:
        known = calibrate_for(part, chosen, of)
        normal, lognormal = (chosen(profiled, known) for profiled in known.profiled)
        chance = noise(known, "lognormal", lognormal, 100, part.row_count, 1e-6)
        return normal, lognormal, score(lognormal, known.profiled[1], known.profile, one_far_out) > chance

    alone, as_parts = [], []
    for place in range(4):
        profile = whole.empty_profile()
        profile.add({name: cells[place::parts] for name, cells in data.items()}, rows // parts)
        part = replace(whole, packed_profile=profile.to_bytes(), row_count=profile.row_count)
        alone.append(drifts(part, None))
        as_parts.append(drifts(part, whole))
    assert any(drifted for *_, drifted in alone)
    assert [found[1:] for found in as_parts] == [("winsorised_wasserstein", False)] * 4
    assert [normal for normal, *_ in as_parts] == [normal for normal, *_ in alone]


def test_a_part_below_the_tail_of_its_whole_is_judged_as_it_is_and_its_move_into_the_tail_is_found() -> None:
    rng, rows = np.random.default_rng(1), 4_000
    columns = [PredictionColumn("input", name, name, ColumnType.DOUBLE) for name in ("from zero", "from minus one")]
    large, is_large = rng.lognormal(4, 1.2, rows), np.arange(rows) % 2 == 1
    cells = {
        "from zero": np.where(is_large, large, 0.0),
        "from minus one": -np.where(is_large, large, rng.random(rows)),
    }
    whole = build_reference(columns, cells, source="made up", made_at_us=0)

    def part_of(chosen: NDArray[np.bool_]) -> Reference:
        profile = whole.empty_profile()
        profile.add({name: values[chosen] for name, values in cells.items()}, int(chosen.sum()))
        return replace(whole, packed_profile=profile.to_bytes(), row_count=profile.row_count)

    def chosen(profiled: ProfiledColumn, of: Reference) -> str:
        return statistic_of(profiled, of, DriftSettings())

    inside, below = (calibrate_for(part_of(rows_of), chosen, whole) for rows_of in (is_large, ~is_large))
    assert [chosen(profiled, inside) for profiled in inside.profiled] == ["winsorised_wasserstein"] * 2
    assert [chosen(profiled, below) for profiled in below.profiled] == ["wasserstein"] * 2
    assert [drift.verdict for drift in compare(below, inside.profile)] == [Verdict.DRIFT] * 2


def test_what_was_not_simulated_is_refused(calibrated: Reference) -> None:
    with pytest.raises(ValueError, match="no simulated scores of wasserstein for words"):
        noise(calibrated, "words", "wasserstein", 100, 100, 0.01)


@pytest.mark.parametrize("type_", [ColumnType.DOUBLE, ColumnType.LONG, ColumnType.STRING, ColumnType.JSON])
@pytest.mark.parametrize("cells", [
    [], [None], [7], [7, 7], [1, 2], [3, None, 4, 5, 6], [1e300, -1e300, 1.0, 5e-324], list(range(45)),
    [0.0] * 300 + [1e9], [1.7e308] * 300, [*np.linspace(0, 1, 999), 1.7e308], [2**63, -(2**63), 10**30] * 50,
])  # fmt: skip
def test_any_small_or_strange_reference_is_calibrated(type_: ColumnType, cells: list[Any]) -> None:
    column = PredictionColumn("input", "x", "x", type_)
    data = {"x": np.array([None, *cells], dtype=object)[1:]}
    tables = calibrate(build_reference([column], data, source="", made_at_us=0)).calibration["columns"]["x"]  # type: ignore[index]
    rows = [row for table in tables.values() for row in table["exceeded"]]
    assert all(np.isfinite(row).all() and (np.diff(row) >= 0).all() for row in rows)
    assert all(np.isfinite(table["typical"]).all() for table in tables.values())
