"""Which segment a row belongs to: every row in exactly one, decided by the training data."""

import numpy as np
import pytest

from driftline.store.errors import ConfigurationError
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.reference import Reference, build_reference
from driftline.store.profile.segments import SegmentedColumn, segmented_column, segmented_reference
from driftline.store.segments.settings import SegmentSettings, WantedSegments

INPUTS = ["age", "country"]


def column(
    type_: ColumnType, cells: list[object], max_values: int = 20, cuts: tuple[float, ...] = ()
) -> SegmentedColumn:
    dtype = None if type_ in (ColumnType.DOUBLE, ColumnType.LONG) and None not in cells else object
    return segmented_column(PredictionColumn("input", "x", "x", type_), cuts, np.array(cells, dtype), max_values)


def segments(of: SegmentedColumn, cells: list[object]) -> list[str]:
    return [of.segments[place] for place in of.places(np.array(cells, object), len(cells)).tolist()]


def test_the_most_frequent_values_have_a_segment_each_and_the_rest_is_other() -> None:
    told = column(ColumnType.STRING, ["DE"] * 3 + ["FR"] * 2 + ["IT", None], max_values=2)
    assert told.values == ("DE", "FR")
    assert segments(told, ["FR", "IT", "XX", None, "DE"]) == ["FR", "other", "other", "missing", "DE"]


def test_a_value_called_other_or_missing_belongs_to_that_segment() -> None:
    told = column(ColumnType.STRING, ["other", "missing", "a"])
    assert told.values == ("a",)
    assert segments(told, ["other", "missing", "a"]) == ["other", "missing", "a"]


@pytest.mark.parametrize(
    ("type_", "cells", "live", "expected"),
    [
        (ColumnType.BOOLEAN, [True, True, False], [False, None], ["False", "missing"]),
        (ColumnType.LONG, [3, 3, 7], [7, 8, None], ["7", "other", "missing"]),
        (ColumnType.DOUBLE, [0.0, 1.0, 0.0], [1.0, 0.5, float("nan")], ["1", "other", "missing"]),
        (ColumnType.FLOAT, [0.1, 0.1, 2.0], [np.float32(0.1), 3.0], ["0.10000000149011612", "other"]),
    ],
)
def test_booleans_and_numbers_of_few_values_are_told_apart_by_value(
    type_: ColumnType, cells: list[object], live: list[object], expected: list[str]
) -> None:
    assert segments(column(type_, cells), live) == expected


def test_cuts_make_spans_of_numbers_that_begin_with_the_cut() -> None:
    told = column(ColumnType.DOUBLE, [1.0, 40.0], cuts=(30.0, 50.0))
    assert told.values == ("below 30", "30 to 50", "from 50")
    live = [29.9, 30, 50, float("inf"), None]
    assert segments(told, live) == ["below 30", "30 to 50", "from 50", "from 50", "missing"]


def test_a_column_that_the_rows_lack_is_missing_in_all_of_them() -> None:
    told = column(ColumnType.STRING, ["a"])
    assert [told.segments[place] for place in told.places(None, 2)] == ["missing", "missing"]


def test_numbers_of_many_values_ask_for_cuts_and_texts_refuse_them() -> None:
    with pytest.raises(ConfigurationError, match='cut it, as "x:0:10"'):
        column(ColumnType.DOUBLE, list(np.arange(30.0)))
    with pytest.raises(ConfigurationError, match="x, which is string: cuts need numbers"):
        column(ColumnType.STRING, ["a"], cuts=(1.0,))
    with pytest.raises(ConfigurationError, match="segments are of text, booleans or numbers"):
        column(ColumnType.DATETIME, [0])


def reference() -> tuple[Reference, dict[str, np.ndarray]]:
    rng = np.random.default_rng(3)
    data = {"age": rng.normal(40, 9, 600), "country": rng.choice(np.array(["DE", "FR", None], object), 600)}
    columns = [
        PredictionColumn("input", "age", "age", ColumnType.DOUBLE),
        PredictionColumn("input", "country", "country", ColumnType.STRING),
    ]
    return build_reference(columns, data, source="drawn", made_at_us=0), data


def test_the_segments_of_the_training_data_add_up_to_all_of_it() -> None:
    whole, data = reference()
    told = segmented_reference(whole, segmented_column(whole.columns[1], (), data["country"], 20), data, 600)
    total = whole.empty_profile()
    for name in told.parts:
        part = told.reference(whole, name)
        assert part is not None
        total += part.profile
    assert total == whole.profile
    assert sorted(told.parts) == ["DE", "FR", "missing"]


def test_a_reference_file_carries_its_segments_and_one_of_an_earlier_release_has_none() -> None:
    whole, data = reference()
    told = segmented_reference(whole, segmented_column(whole.columns[1], (), data["country"], 20), data, 600)
    assert Reference.from_bytes(whole.to_bytes()).segments == ()
    whole.__dict__.update(segments=(told,))  # frozen, but for a test
    (read,) = Reference.from_bytes(whole.to_bytes()).segments
    assert read.column == told.column
    assert read.column.spec == told.column.spec
    assert {name: (p.rows, p.packed_profile) for name, p in read.parts.items()} == {
        name: (p.rows, p.packed_profile) for name, p in told.parts.items()
    }


def test_columns_are_named_for_all_models_or_for_one() -> None:
    settings = SegmentSettings(columns=("country", "age:30:50", "churn=age:20", "fraud=merchant"))
    assert settings.columns_of("other", INPUTS) == [WantedSegments("country"), WantedSegments("age", (30.0, 50.0))]
    assert settings.columns_of("churn", INPUTS) == [WantedSegments("age", (20.0,)), WantedSegments("country")]
    with pytest.raises(
        ConfigurationError, match="names merchant for fraud, which has no such input: name one of age, c"
    ):
        settings.check("fraud", INPUTS)


@pytest.mark.parametrize("item", ["", "age:30:20", "=age", "age:1e301"])
def test_what_names_no_column_is_refused_with_the_form(item: str) -> None:
    with pytest.raises(ConfigurationError, match=r"segments\.columns should be `COLUMN`"):
        SegmentSettings(columns=(item,))


@pytest.mark.parametrize("settings", [{"max_values": 0}, {"budget_share": 1.0}, {"interval_seconds": 0}])
def test_limits_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=f"segments.{next(iter(settings))} should be"):
        SegmentSettings(**settings)  # type: ignore[arg-type]
