import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from driftline.store.prediction_columns import ColumnType, prediction_columns


def signature(inputs: list[dict[str, Any]] | None, outputs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"inputs": json.dumps(inputs) if inputs else None, "outputs": json.dumps(outputs) if outputs else None}


def tensor(dtype: str, *shape: int) -> dict[str, Any]:
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}


def test_inputs_come_first_in_the_order_of_the_signature() -> None:
    columns = prediction_columns(
        signature([{"name": "Age", "type": "double"}, {"name": "city", "type": "string"}], [tensor("int64", -1)])
    )
    assert [(c.column_name, c.type) for c in columns] == [
        ("in_age", ColumnType.DOUBLE),
        ("in_city", ColumnType.STRING),
        ("out_prediction", ColumnType.LONG),
    ]


def test_class_probabilities_become_a_column_each() -> None:
    columns = prediction_columns(signature([{"name": "a", "type": "double"}], [tensor("float64", -1, 3)]))
    assert [c.name for c in columns if c.side == "output"] == ["prediction_0", "prediction_1", "prediction_2"]


def test_tensors_objects_and_arrays_become_one_json_column() -> None:
    columns = prediction_columns(signature([tensor("float32", -1, 28, 28)], [tensor("float32", -1, 1000)]))
    assert {c.type for c in columns} == {ColumnType.JSON}
    nested = prediction_columns(signature([{"name": "o", "type": "object", "properties": {}}]))
    assert nested[0].type is ColumnType.JSON


def test_a_model_without_signature_has_one_json_column_a_side() -> None:
    assert [c.column_name for c in prediction_columns(None)] == ["in_row", "out_prediction"]


def test_nameless_inputs_are_numbered() -> None:
    columns = prediction_columns(signature([{"type": "double"}, {"type": "long"}]))
    assert [c.name for c in columns if c.side == "input"] == ["0", "1"]


@given(st.lists(st.text(), min_size=1, max_size=30, unique=True))
def test_column_names_are_unique_short_plain_ascii_whatever_the_signature_says(names: list[str]) -> None:
    columns = prediction_columns(signature([{"name": n, "type": "double"} for n in names]))
    made = [c.column_name for c in columns]
    assert len(set(made)) == len(made)
    assert all(len(name) <= 60 and name.isascii() and name.replace("_", "a").isalnum() for name in made)
