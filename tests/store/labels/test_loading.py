"""Labels meet the fates that docs/labels.md states, on both engines."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import store_traffic as traffic
from label_rig import BUYS, about, counts, labels, load, load_requests, rejects, request, versions
from sqlalchemy import Engine

from driftline.store.engine import writing
from driftline.store.errors import ConfigurationError
from driftline.store.labels.changes import HOUR_US, ChangedHour, changed_hours
from driftline.store.labels.settings import LabelSettings
from driftline.store.prediction_tables import find_model_version
from driftline.store.profile.reference import build_reference
from driftline.store.records import Arm
from driftline.store.references import save_reference

HOUR = traffic.START_US // HOUR_US * HOUR_US


def version_id(engine: Engine, version: str = "1") -> int:
    with engine.connect() as connection:
        found = find_model_version(connection, "buys", version, BUYS.fingerprint)
    assert found is not None
    return found.id


def test_a_label_finds_its_row_by_the_invocation_id_and_by_the_clients_own(engine: Engine, tmp_path: Path) -> None:
    one, two = request((1, "a"), (2, "b")), request((3, "c"), client_id="checkout-7")
    load_requests(engine, tmp_path, one, two)
    found = load(engine, [about(one, 1, row=1), {"request_id": "checkout-7", "label": 0}])
    assert found == {"stored": 2}
    assert labels(engine) == {(one.id, 1): "1", (two.id, 0): "0"}
    assert counts(engine) == {("buys", "stored"): 2}


def test_the_newer_event_wins_whatever_comes_first(engine: Engine, tmp_path: Path) -> None:
    one = request((1, "a"))
    load_requests(engine, tmp_path, one)
    noon = about(one, 1, event_time="2026-10-01T12:00:00Z")
    assert load(engine, [noon]) == {"stored": 1}
    assert load(engine, [about(one, 0, event_time="2026-10-01T11:59:59Z")]) == {"older": 1}
    assert labels(engine) == {(one.id, 0): "1"}
    assert [reason for reason, _ in rejects(engine)] == ["older"]
    assert load(engine, [about(one, 0, event_time="2026-10-01T13:00:00+00:00")]) == {"replaced": 1}
    assert labels(engine) == {(one.id, 0): "0"}


def test_a_batch_that_contradicts_itself_ends_with_its_newest_event(engine: Engine, tmp_path: Path) -> None:
    one = request((1, "a"))
    load_requests(engine, tmp_path, one)
    found = load(engine, [about(one, value, event_time=at) for value, at in ((1, 100), (0, 300), (1, 200), (0, 300))])
    assert found == {"stored": 1, "replaced": 1, "older": 1, "repeated": 1}
    assert labels(engine) == {(one.id, 0): "0"}


def test_loading_the_same_again_changes_nothing_and_reopens_nothing(engine: Engine, tmp_path: Path) -> None:
    one = request((1, "a"))
    load_requests(engine, tmp_path, one)
    load(engine, [about(one, 1)])
    with engine.connect() as connection:
        first = changed_hours(connection, version_id(engine))
    assert first.hours == [ChangedHour(Arm.CHAMPION, HOUR)]
    assert load(engine, [about(one, 1)]) == {"repeated": 1}
    with engine.connect() as connection:
        assert changed_hours(connection, version_id(engine), first.until_us).hours == []


def test_a_late_label_reopens_the_hour_of_its_request_alone_and_of_every_arm_that_scored_it(
    engine: Engine, tmp_path: Path
) -> None:
    early, late = request((1, "a")), request((2, "b"), at_us=traffic.START_US + 5 * HOUR_US)
    load_requests(engine, tmp_path, early, late)
    shadow = request((2, "b"), at_us=late.received_at_us + 1, arm=Arm.SHADOW, id_=late.id)
    load_requests(engine, tmp_path, shadow, identity=versions("2"))
    load(engine, [about(early, 1)])
    with engine.connect() as connection:
        until = changed_hours(connection, version_id(engine)).until_us
    assert load(engine, [about(late, 0)]) == {"stored": 1}
    with engine.connect() as connection:
        assert changed_hours(connection, version_id(engine), until).hours == [ChangedHour(0, HOUR + 5 * HOUR_US)]
        assert changed_hours(connection, version_id(engine, "2"), until).hours == [ChangedHour(1, HOUR + 5 * HOUR_US)]


def test_a_clients_id_that_repeats_is_ambiguous(engine: Engine, tmp_path: Path) -> None:
    load_requests(engine, tmp_path, request((1, "a"), client_id="same"), request((2, "b"), client_id="same"))
    assert load(engine, [{"request_id": "same", "label": 1}]) == {"ambiguous": 1}
    assert labels(engine) == {}
    assert rejects(engine)[0][0] == "ambiguous"
    assert '"same"' in rejects(engine)[0][1]


def test_a_challengers_record_of_the_same_request_is_no_second_one(engine: Engine, tmp_path: Path) -> None:
    one = request((1, "a"), client_id="mine")
    load_requests(engine, tmp_path, one)
    shadow = request((1, "a"), client_id="mine", arm=Arm.SHADOW, id_=one.id, at_us=one.received_at_us + 9)
    load_requests(engine, tmp_path, shadow, identity=versions("2"))
    assert load(engine, [{"request_id": "mine", "label": 1}]) == {"stored": 1}
    assert load(engine, [{"customer_id": 1, "label": 0}], key="customer_id") == {"replaced": 1}


def test_a_row_must_be_named_where_there_are_several_and_must_exist(engine: Engine, tmp_path: Path) -> None:
    two = request((1, "a"), (2, "b"))
    load_requests(engine, tmp_path, two)
    assert load(engine, [about(two, 1), about(two, 1, row=2)]) == {"row_missing": 1, "no_such_row": 1}
    assert labels(engine) == {}


@pytest.mark.parametrize("value", [None, float("nan"), [1], {"a": 1}, "x" * 2000, 2**70, "maybe"])
def test_what_no_prediction_can_be_compared_with_is_of_the_wrong_type(
    engine: Engine, tmp_path: Path, value: object
) -> None:
    one = request((1, "a"))
    load_requests(engine, tmp_path, one)
    assert load(engine, [about(one, value)]) == {"wrong_type": 1}
    assert len(rejects(engine)) == 1


def test_a_number_is_no_label_of_words_and_the_text_of_itself_where_a_class_may_be_one(
    engine: Engine, tmp_path: Path
) -> None:
    said = traffic.signature([{"name": "customer_id", "type": "long"}], [{"name": "bought", "type": "string"}])
    words, digits, unknown = (replace(versions(v), signature=said) for v in ("7", "8", "9"))
    made = []
    for identity in (words, digits, unknown):
        made.append(request((1, "a")))
        load_requests(engine, tmp_path, made[-1], identity=identity)
    for identity, classes in ((words, ["yes", "no"]), (digits, ["0", "1"])):
        with writing(engine) as connection:
            version = find_model_version(connection, "buys", identity.version, identity.fingerprint)
            assert version is not None
            data = {"in_customer_id": np.array([1, 2]), "out_bought": np.array(classes, object)}
            save_reference(connection, version.id, build_reference(version.columns, data, source="test", made_at_us=1))
    found = [load(engine, [about(one, value)]) for one in made for value in (5, True, "yes")]
    assert found == [
        {"wrong_type": 1}, {"wrong_type": 1}, {"stored": 1},
        {"stored": 1}, {"replaced": 1}, {"replaced": 1},
        {"stored": 1}, {"replaced": 1}, {"replaced": 1},
    ]  # fmt: skip
    assert load(engine, [about(made[1], 1)]) == {"replaced": 1}
    assert labels(engine) == {(made[0].id, 0): '"yes"', (made[1].id, 0): '"1"', (made[2].id, 0): '"yes"'}


def test_types_are_not_compared_where_that_is_switched_off(engine: Engine, tmp_path: Path) -> None:
    one = request((1, "a"))
    load_requests(engine, tmp_path, one)
    assert load(engine, [about(one, "maybe")], LabelSettings(check_types=False)) == {"stored": 1}


@pytest.mark.parametrize(
    "record",
    [
        "no record", {"label": 1}, {"request_id": True, "label": 1}, {"request_id": "x" * 600, "label": 1},
        {"request_id": "x", "row": -1, "label": 1}, {"request_id": "x", "row": "one", "label": 1},
        {"request_id": "x", "event_time": "yesterday", "label": 1}, {"request_id": "x\0", "label": 1},
        {"request_id": "x", "event_time": 4e9, "label": 1}, {"request_id": "x", "row": 1.5, "label": 1},
    ],
)  # fmt: skip
def test_what_does_not_say_what_it_is_about_is_malformed_and_kept(engine: Engine, record: object) -> None:
    assert load(engine, [record]) == {"malformed": 1}
    assert len(rejects(engine)) == 1
    assert counts(engine) == {("", "malformed"): 1}


def test_a_business_key_finds_its_row_in_every_table_that_has_it(engine: Engine, tmp_path: Path) -> None:
    one, two = request((11, "a"), (12, "b")), request((13, "c"))
    load_requests(engine, tmp_path, one, two)
    found = load(engine, [{"customer_id": "12", "label": 1}, {"customer_id": 13.0, "label": 0}], key="customer_id")
    assert found == {"stored": 2}
    assert labels(engine) == {(one.id, 1): "1", (two.id, 0): "0"}
    assert load(engine, [{"order": "a", "label": True}], key="order", model="buys") == {"stored": 1}


@pytest.mark.parametrize(
    ("repeated", "fate", "labelled"),
    [("reject", "ambiguous", []), ("newest", "stored", [1]), ("all", "stored", [0, 1])],
)
def test_a_key_of_several_rows_means_what_the_settings_say(
    engine: Engine, tmp_path: Path, repeated: str, fate: str, labelled: list[int]
) -> None:
    days = [request((7, "a"), at_us=traffic.START_US + day * 24 * HOUR_US) for day in range(3)]
    load_requests(engine, tmp_path, *days)
    event = (traffic.START_US + 36 * HOUR_US) / 1e6  # the third request is younger
    settings = LabelSettings(repeated_keys=repeated)  # type: ignore[arg-type]
    assert load(engine, [{"customer_id": 7, "label": 1, "event_time": event}], settings, "customer_id") == {fate: 1}
    assert labels(engine) == {(days[i].id, 0): "1" for i in labelled}


def test_a_key_of_more_rows_than_may_be_labelled_at_once_is_ambiguous(engine: Engine, tmp_path: Path) -> None:
    load_requests(engine, tmp_path, request(*[(7, "a")] * 101), request(*[(8, "a")] * 100))
    settings = LabelSettings(repeated_keys="all")
    found = load(engine, [{"customer_id": 7, "label": 1}, {"customer_id": 8, "label": 1}], settings, "customer_id")
    assert found == {"ambiguous": 1, "stored": 1}
    assert len(labels(engine)) == 100


def test_a_model_limits_what_a_label_may_be_about(engine: Engine, tmp_path: Path) -> None:
    load_requests(engine, tmp_path, request((1, "a"), client_id="x"))
    other = traffic.invocation({"dataframe_split": {"columns": ["age", "visits", "plan"], "data": [[1.0, 2, "p"]]}},
                               {"predictions": [1]})._replace(client_request_id=b"x")  # fmt: skip
    load_requests(engine, tmp_path, other, identity=traffic.CLF)
    assert load(engine, [{"request_id": "x", "label": 1}]) == {"ambiguous": 1}
    assert load(engine, [{"request_id": "x", "label": 1}], model="clf") == {"stored": 1}
    assert labels(engine) == {(other.id, 0): "1"}


def test_unknown_models_and_columns_are_said_at_once(engine: Engine, tmp_path: Path) -> None:
    load_requests(engine, tmp_path, request((1, "a")))
    with pytest.raises(ConfigurationError, match="no model 'sells'"):
        load(engine, [], model="sells")
    with pytest.raises(
        ConfigurationError, match=r"no model has a text or integer input 'account'.*: customer_id, order"
    ):
        load(engine, [], key="account")
    with pytest.raises(ConfigurationError, match="did you mean `customer_id`"):
        load(engine, [], key="customer id")


def test_every_label_of_many_batches_is_counted_once(engine: Engine, tmp_path: Path) -> None:
    rows = [request(*[(i, "a") for i in range(50)]) for _ in range(3)]
    load_requests(engine, tmp_path, *rows)
    records = [about(one, row % 2, row=row) for one in rows for row in range(50)] * 300
    found = load(engine, records)
    assert found == {"stored": 150, "repeated": 150 * 299}
    assert sum(counts(engine).values()) == len(records)


def test_text_predictions_are_compared_with_text(engine: Engine, tmp_path: Path) -> None:
    outputs = [{"name": "class", "type": "string", "required": True}]
    identity = versions("9")
    inputs = [{"name": "customer_id", "type": "long", "required": True}, {"name": "order", "type": "string"}]
    identity = type(identity)(name="texts", version="1", uri="u", signature=traffic.signature(inputs, outputs))
    body = {"dataframe_split": {"columns": ["customer_id", "order"], "data": [[1, "a"]]}}
    one = traffic.invocation(body, {"predictions": [{"class": "1"}]})
    load_requests(engine, tmp_path, one, identity=identity)
    load(engine, [about(one, 1)])
    assert labels(engine) == {(one.id, 0): '"1"'}


def test_labels_get_their_times_in_the_order_of_their_commits(engine: Engine, tmp_path: Path) -> None:
    one = request((1, "a"))
    load_requests(engine, tmp_path, one)
    load(engine, [about(one, 1)])
    with writing(engine) as connection:  # by a clock that was ahead
        connection.exec_driver_sql("UPDATE label SET received_at = received_at + 3600000000")
    with engine.connect() as connection:
        until = changed_hours(connection, version_id(engine)).until_us
    load(engine, [about(one, 0)])
    with engine.connect() as connection:
        assert changed_hours(connection, version_id(engine), until).hours == [ChangedHour(0, HOUR)]
