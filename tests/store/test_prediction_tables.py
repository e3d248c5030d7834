"""Typed tables and views of models."""

from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, inspect, text

from driftline.store import partitions
from driftline.store.engine import writing
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.records import ModelIdentity


def identity(name: str = "clf", version: str = "1", inputs: list[Any] | None = None) -> ModelIdentity:
    inputs = inputs or [{"name": "age", "type": "double", "required": True}, {"name": "Home Town", "type": "string"}]
    outputs = [{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]
    signature = {"inputs": orjson.dumps(inputs).decode(), "outputs": orjson.dumps(outputs).decode(), "params": None}
    return ModelIdentity(name=name, version=version, uri=f"models:/{name}/{version}", signature=signature)


def test_versions_of_one_signature_share_the_table(engine: Engine) -> None:
    with writing(engine) as connection:
        first = ensure_model_version(connection, identity())
        second = ensure_model_version(connection, identity(version="2"))
        again = ensure_model_version(connection, identity())
    assert first.table.name == second.table.name == f"prediction_clf_{identity().fingerprint}"
    assert first.id == again.id != second.id


def test_the_view_shows_the_signatures_names_over_all_tables_of_the_model(engine: Engine) -> None:
    with writing(engine) as connection:
        for version, inputs in (("1", None), ("2", [{"name": "100% %s", "type": "datetime"}])):
            made = ensure_model_version(connection, identity(version=version, inputs=inputs))
            cells = {"in_age": 1.5} if version == "1" else {"in_100_s": 1_700_000_000_123_456}
            connection.execute(
                made.table.insert().values(
                    invocation_id=b"\1" * 16,
                    row_index=0,
                    received_at=1_700_000_000_000_000,
                    model_version_id=made.id,
                    arm=0,
                    out_prediction=7,
                    **cells,
                )
            )
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM inference_clf ORDER BY model_version")).mappings().all()
    assert [(row["model_version"], row["age"], row["prediction"], row["arm"]) for row in rows] == [
        ("1", 1.5, 7, "champion"),
        ("2", None, 7, "champion"),
    ]
    assert str(rows[1]["100% %s"]).startswith("2023-11-14 22:13:20.123")
    assert str(rows[0]["received_at"]).startswith("2023-11-14 22:13:20")
    assert rows[0]["Home Town"] is None


def test_the_view_shows_every_column_where_names_collide_with_ours(engine: Engine) -> None:
    inputs = [{"name": name, "type": "double"} for name in ("in_received_at", "received_at", "Arm", "in_arm")]
    with writing(engine) as connection:
        ensure_model_version(connection, identity(inputs=inputs))
    shown = [column["name"] for column in inspect(engine).get_columns("inference_clf")]
    assert len(shown) == len(set(shown)) == 6 + len(inputs) + 1


def test_two_models_whose_names_look_alike_have_tables_of_their_own(engine: Engine) -> None:
    with writing(engine) as connection:
        made = [ensure_model_version(connection, identity(name=name)) for name in ("my model", "my-model", "My_Model")]
    assert len({version.table.name for version in made}) == 3
    assert set(inspect(engine).get_view_names()) >= {"inference_my_model"}
    assert len(inspect(engine).get_view_names()) == 3


def test_a_thousand_numeric_inputs_fit_in_one_array_column(engine: Engine) -> None:
    wide = [{"name": f"f{i}", "type": "double", "required": True} for i in range(1000)]
    with writing(engine) as connection:
        made = ensure_model_version(connection, identity(inputs=wide))
    assert [c.name for c in made.table.columns][5:] == ["in_values", "out_prediction"]
    assert len(made.array_columns) == 1000


def test_a_day_is_made_ahead_and_rows_that_lie_in_default_move_into_it(postgresql_engine: Engine) -> None:
    engine = postgresql_engine
    day = 20_000
    with writing(engine) as connection:
        made = ensure_model_version(connection, identity())
        row = {"invocation_id": b"\1" * 16, "row_index": 0, "model_version_id": made.id, "arm": 0}
        connection.execute(made.table.insert().values(received_at=day * partitions.DAY_US + 5, **row))
        connection.execute(made.table.insert().values(received_at=(day + 9) * partitions.DAY_US, **row))
    partitions.ensure_days(engine, [day, day + 1])
    partitions.ensure_days(engine, [day, day + 1])
    with engine.connect() as connection:
        count = {
            name: connection.scalar(text(f'SELECT count(*) FROM "{made.table.name}{name}"'))
            for name in ("", "_default", "_p20241004")
        }
    assert count == {"": 2, "_default": 1, "_p20241004": 1}


@pytest.mark.parametrize("title", ["", "日本", "'; DROP TABLE label; --", "x" * 300])
def test_any_model_name_makes_a_table(engine: Engine, title: str) -> None:
    with writing(engine) as connection:
        made = ensure_model_version(connection, identity(name=title))
    assert inspect(engine).has_table(made.table.name)
    assert inspect(engine).has_table("label")


def test_a_reader_does_not_stop_the_loader_from_going_on(
    postgresql_engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(partitions, "_PATIENCE_SECONDS", 1)
    with postgresql_engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM invocation"))
        partitions.ensure_days(postgresql_engine, [20_000])
    assert "invocation_p20241004 is not made yet" in caplog.text
    partitions.ensure_days(postgresql_engine, [20_000])
    assert inspect(postgresql_engine).has_table("invocation_p20241004")
