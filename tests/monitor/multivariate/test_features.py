"""What of each column the classifier sees, whatever the column is."""

import numpy as np
import pandas as pd

from driftline.monitor.multivariate.features import MOST_CODES, features_of, matrix
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.reference import build_reference

COLUMNS = [
    PredictionColumn("input", name, f"in_{name}", type_)
    for name, type_ in (
        ("age", ColumnType.LONG), ("city", ColumnType.STRING), ("note", ColumnType.STRING),
        ("blob", ColumnType.BINARY), ("nested", ColumnType.JSON), ("at", ColumnType.DATETIME),
        ("member", ColumnType.BOOLEAN),
    )
]  # fmt: skip


def objects(cells: list[object]) -> np.ndarray:
    column = np.empty(len(cells), np.object_)
    column[:] = cells
    return column


def test_every_type_becomes_numbers_and_missing_ones_stay_missing() -> None:
    count = 2_000
    data = {
        "in_age": np.arange(count), "in_city": objects(["Rome", "Oslo"] * 1_000),
        "in_note": objects([f"note {i}" for i in range(count)]), "in_blob": objects([b"ab"] * count),
        "in_nested": objects(["[1,2]"] * count), "in_at": np.arange(count), "in_member": np.arange(count) % 2 == 0,
    }  # fmt: skip
    reference = build_reference(COLUMNS, data, source="test", made_at_us=0)
    features = features_of(reference.profiled)
    assert [(f.profiled.column.name, f.categorical) for f in features] == [
        ("age", False), ("city", True), ("note", True), ("note", False), ("blob", False), ("nested", False),
        ("member", True),
    ]  # fmt: skip
    live = pd.DataFrame({
        "in_age": objects([7, None]), "in_city": ["Oslo", None], "in_note": ["nothing of the kind", None],
        "in_blob": objects([b"abc", None]), "in_nested": ['{"a":1}', None], "in_at": [1, 2],
        "in_member": objects([True, None]),
    })  # fmt: skip
    first, second = matrix(features, live)
    assert first.tolist() == [7, 0, MOST_CODES, 19, 3, 7, 1]
    assert np.isnan(second).all()


def test_the_rarest_of_many_categories_share_a_code() -> None:
    names = [f"city {i}" for i in range(400) for _ in range(400 - i)]
    data = {"in_city": objects(list(names))}
    reference = build_reference([COLUMNS[1]], data, source="test", made_at_us=0)
    live = pd.DataFrame({"in_city": ["city 0", f"city {MOST_CODES - 1}", f"city {MOST_CODES}", "city 399", "unseen"]})
    codes = matrix(features_of(reference.profiled), live)[:, 0]
    assert codes.tolist() == [0, MOST_CODES - 1, MOST_CODES, MOST_CODES, MOST_CODES]
