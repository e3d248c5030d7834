"""The sample that Evidently compares is bounded by cells, whatever the traffic and however wide the rows."""

from driftline.monitor.report.samples import MOST_CELLS, most_rows
from driftline.store.prediction_columns import ColumnType, PredictionColumn


def columns(count: int, kind: ColumnType) -> list[PredictionColumn]:
    return [PredictionColumn("input", f"c{i}", f"in_c{i}", kind) for i in range(count)]


def test_the_rows_of_a_sample_are_bounded_by_its_cells_and_texts_are_two() -> None:
    numbers, texts = columns(50, ColumnType.DOUBLE), columns(50, ColumnType.STRING)
    assert most_rows(numbers, [], 50_000) == 50_000 == MOST_CELLS // 50
    assert most_rows(texts, [], 50_000) == 25_000
    assert most_rows(numbers[:25] + texts[:25], [], 50_000) == 33_333
    assert most_rows(numbers, [], 120) == 120


def test_a_column_of_an_array_costs_all_columns_of_it() -> None:
    folded = [f"in_c{i}" for i in range(4_950)]
    assert most_rows(columns(50, ColumnType.DOUBLE), folded, 50_000) == 500
    assert most_rows(columns(50, ColumnType.DOUBLE), ["in_other"], 50_000) == 50_000
    assert most_rows([], [], 50_000) == 50_000
