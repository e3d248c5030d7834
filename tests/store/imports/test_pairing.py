"""Events into calls, on both engines: in any order, repeated, late, alone; each once, and each counted."""

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import store_traffic as traffic
from cloudevents.core.v1.event import CloudEvent
from event_rig import call, event, half
from sqlalchemy import Engine, select, text

from driftline.store import migrate, schema
from driftline.store.accounts import accounts
from driftline.store.engine import open_engine, writing
from driftline.store.errors import DriftlineError
from driftline.store.forget import KeySubject, RequestSubject, forget
from driftline.store.imports.loading import ImportLoading
from driftline.store.imports.pairing import EventReport, settle
from driftline.store.imports.settings import ImportSettings, Served
from driftline.store.imports.waiting import event_accounts, stage
from driftline.store.labels.loading import load_labels
from driftline.store.labels.record import Fields
from driftline.store.labels.settings import LabelSettings
from driftline.store.loader.settings import LoaderSettings
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.records import Arm, ModelIdentity, now_us
from driftline.store.retention.prune import prune
from driftline.store.retention.settings import RetentionSettings
from driftline.store.verify import verify

SETTINGS = ImportSettings(("iris=models:/iris/3",))
INPUTS = [{"name": name, "type": "double", "required": True} for name in "ab"]
OUTPUT = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]
IRIS = ModelIdentity("iris", "3", "models:/iris/3", signature=traffic.signature(INPUTS, OUTPUT))
NEVER, ALWAYS = 0, 1 << 62  # before which times halves are stored alone


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_engine(store_url)
    migrate.upgrade(engine)
    yield engine
    engine.dispose()


def send(engine: Engine, *events: CloudEvent) -> None:
    halves = [half(one) for one in events]
    stage(engine, [(one, served) for one in halves if (served := SETTINGS.served(one))])


def pair(engine: Engine, before_us: int = NEVER) -> EventReport:
    return settle(engine, lambda uri: IRIS, LoaderSettings(), before_us)


def fates(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        found = event_accounts(connection)
    waiting = {"waiting": found.waiting} if found.waiting else {}
    return {fate: count for (_, fate), count in sorted(found.fates.items())} | waiting


def rows(engine: Engine) -> list[tuple[float, float, float]]:
    with engine.connect() as connection:
        return [
            tuple(row) for row in connection.execute(text("SELECT a, b, prediction FROM inference_iris ORDER BY a"))
        ]


def balanced(engine: Engine, home: Path) -> None:
    assert accounts(engine, home).balanced
    assert all(check.agrees for check in verify(engine))


def test_whatever_order_they_come_in_and_how_often_each_call_is_stored_once(engine: Engine, tmp_path: Path) -> None:
    sent = [one for i in range(40) for one in call(f"call-{i}", [[float(i), 0.5], [i + 0.5, 0.5]], [i, -i],
                                                   sender=("kserve", "seldon")[i % 2])]  # fmt: skip
    mixed = [*sent, *random.Random(1).sample(sent, 30)]
    random.Random(2).shuffle(mixed)
    for start in range(0, len(mixed), 10):
        send(engine, *mixed[start : start + 10])
        pair(engine)  # as after a restart: nothing is kept but what the store holds
    send(engine, *sent)
    pair(engine)
    assert rows(engine) == [(x, 0.5, sign * i) for i in range(40) for x, sign in ((i, 1.0), (i + 0.5, -1.0))]
    found = fates(engine)
    assert found.pop("stored") == 80
    assert sum(found.values()) == len(mixed) + len(sent) - 80
    pair(engine, ALWAYS)
    assert set(fates(engine)) == {"stored", "repeated"}
    balanced(engine, tmp_path)
    with engine.connect() as connection:
        assert set(connection.scalars(select(schema.invocation.c.latency_us))) == {250_000}


def test_two_that_look_at_the_same_time_do_each_call_once(engine: Engine) -> None:
    for i in range(60):
        send(engine, *call(f"call-{i}", [[float(i), 1.0]], [1.0]))
    looking = [threading.Thread(target=pair, args=(engine,)) for _ in range(3)]
    for each in looking:
        each.start()
    for each in looking:
        each.join()
    assert len(rows(engine)) == 60
    assert fates(engine) == {"stored": 120}


def test_a_half_that_stays_alone_is_stored_without_rows_and_the_late_one_is_kept(
    engine: Engine, tmp_path: Path
) -> None:
    request, response = call("a", [[1.0, 2.0]], [3.0])
    only_answer = event("response", {"predictions": [1.0]}, "b")
    send(engine, request, only_answer)
    assert not pair(engine).fates
    assert fates(engine) == {"waiting": 2}
    pair(engine, now_us() + 1)
    assert fates(engine) == {"incomplete": 2}
    send(engine, response)
    pair(engine)
    pair(engine, ALWAYS)
    assert fates(engine) == {"incomplete": 2, "late": 1}
    with engine.connect() as connection:
        letters = connection.scalars(select(schema.dead_letter.c.payload)).all()
        kept = connection.execute(select(schema.invocation.c.row_count, schema.invocation.c.parse_error)).all()
    assert [bytes(letter).count(b"\n") for letter in letters] == [1]
    assert [(count, error[:14]) for count, error in kept] == [(0, "without a body")] * 2
    balanced(engine, tmp_path)


def test_a_body_in_no_known_form_lies_in_dead_letter_with_its_call(engine: Engine, tmp_path: Path) -> None:
    send(engine, event("request", {"instances": [[1.0, 2.0, 3.0]]}), event("response", {"predictions": [1.0]}))
    send(engine, *call("good", [[1.0, 2.0]], [3.0]))
    assert pair(engine).rows == 1
    assert fates(engine) == {"stored": 2, "unreadable": 2}
    with engine.connect() as connection:
        assert connection.scalars(select(schema.dead_letter.c.error)).all() == [
            "a row does not hold the model's 2 inputs"
        ]
    balanced(engine, tmp_path)


def test_a_body_that_breaks_its_own_form_stops_nothing_behind_it(engine: Engine, tmp_path: Path) -> None:
    broken = [
        b'{"inputs": [{"name": "x", "shape": [null], "data": [1.0]}]}',
        b'{"inputs": [{"shape": [2], "data": [[1], 2]}]}', b'{"inputs": [{"shape": [1, 1.0], "data": [1]}]}',
        b'{"data": {"names": 5, "ndarray": [[1.0, 2.0]]}}', b'["\\ud800"]',
        b'{"inputs": ' + b"[" * 400 + b"]" * 400 + b"}",
    ]  # fmt: skip
    for i, body in enumerate(broken):
        asked = half(event("request", {"instances": []}, f"broken-{i}"))
        stage(engine, [(replace(asked, body=body), Served("iris", "models:/iris/3"))])
        send(engine, event("response", {"predictions": [1.0]}, f"broken-{i}"))
    told = half(event("response", {}, "told"))
    stage(
        engine,
        [(replace(told, body=b'{"outputs": [{"shape": ["a", "b"], "data": [1]}]}'), Served("iris", "models:/iris/3"))],
    )
    send(engine, event("request", {"instances": [[1.0, 2.0]]}, "told"), *call("good", [[1.0, 2.0]], [3.0]))
    assert pair(engine).rows == 1
    assert fates(engine)["stored"] + fates(engine).get("unreadable", 0) == 2 * len(broken) + 4
    assert "waiting" not in fates(engine)
    balanced(engine, tmp_path)


def test_an_id_in_letters_that_no_header_holds_is_known_again(engine: Engine) -> None:
    request, response = call("заказ-7", [[1.0, 2.0]], [3.0])
    send(engine, request)
    pair(engine, ALWAYS)
    send(engine, response)
    pair(engine, ALWAYS)
    assert fates(engine) == {"incomplete": 1, "late": 1}


def test_what_is_forgotten_is_in_no_letter_of_an_event(engine: Engine, tmp_path: Path) -> None:
    for person in ("anna-1938", "bert-1940"):
        sent = call(person[:4], [[1.0, 2.0]], [3.0])
        send(engine, sent[1])
        pair(engine, ALWAYS)
        send(engine, event("request", {"instances": [[person, 2.0]]}, person[:4]))
        pair(engine, ALWAYS)
    assert fates(engine) == {"incomplete": 2, "late": 2}
    keyed = traffic.signature([{"name": "who", "type": "string", "required": True}], OUTPUT)
    with writing(engine) as connection:
        ensure_model_version(connection, replace(IRIS, version="4", signature=keyed))
    assert forget(engine, KeySubject("iris", "who", "anna-1938")).dead_letters == 1
    with engine.connect() as connection:
        assert len(connection.scalars(select(schema.dead_letter.c.id)).all()) == 1
    balanced(engine, tmp_path)


def test_kserve_tells_the_requests_type_of_the_answer_too(engine: Engine) -> None:
    for id_, told in (("a", {"predictions": [0.5]}), ("b", "0.5\n")):
        send(engine, event("request", "1.0,2.0\n", id_, datacontenttype="text/csv"))
        one = half(event("response", told, id_, datacontenttype="text/csv" if id_ == "b" else "application/json"))
        stage(engine, [(replace(one, content_type="text/csv"), Served("iris", "models:/iris/3"))])
    assert pair(engine).rows == 2
    assert rows(engine) == [(1.0, 2.0, 0.5)] * 2


def test_events_of_a_model_that_is_not_found_wait_and_the_others_go_on(engine: Engine) -> None:
    gone = half(event("request", {}, inferenceservicename="lost"))
    stage(engine, [(gone, Served("lost", "models:/lost/1"))])
    send(engine, *call("a", [[1.0, 2.0]], [3.0], endpoint="canary"))

    def resolve(uri: str) -> ModelIdentity:
        if "lost" in uri:
            raise DriftlineError("no model at models:/lost/1")
        return IRIS

    report = settle(engine, resolve, LoaderSettings(), ALWAYS)
    assert report.errors == {"models:/lost/1": "no model at models:/lost/1"}
    assert fates(engine) == {"stored": 2, "waiting": 1}
    with engine.connect() as connection:
        assert connection.scalars(select(schema.invocation.c.arm)).all() == [Arm.CANARY]


def test_events_that_nobody_answers_for_go_with_the_days_that_retention_keeps(engine: Engine, tmp_path: Path) -> None:
    send(engine, *call("a", [[1.0, 2.0]], [3.0]))
    day_us, keep = 86_400_000_000, RetentionSettings(keep_days=2)
    prune(engine, keep, now_us() + day_us)
    assert fates(engine) == {"waiting": 2}
    prune(engine, keep, now_us() + 4 * day_us)
    prune(engine, keep, now_us() + 4 * day_us)
    assert fates(engine) == {"pruned": 2}
    balanced(engine, tmp_path)


def test_what_is_forgotten_waits_for_the_import_that_has_read_it(engine: Engine) -> None:
    loading = ImportLoading(engine, IRIS, LoaderSettings())
    forgetting = threading.Thread(target=forget, args=(engine, RequestSubject("asked")))
    with writing(engine) as connection:
        loading.lock(connection)
        forgetting.start()
        forgetting.join(0.5)
        assert forgetting.is_alive()
    forgetting.join(60)
    assert not forgetting.is_alive()


def test_labels_name_the_call_by_the_events_id_and_the_forgotten_waits_no_more(engine: Engine, tmp_path: Path) -> None:
    send(engine, *call("order-7", [[1.0, 2.0]], [3.0], sender="seldon"))
    pair(engine)
    report = load_labels(engine, LabelSettings(), [{"request_id": "order-7", "label": 2.5}], Fields())
    assert dict(report.fates) == {"stored": 1}
    for i in (1, 2):
        send(engine, event("request", {"instances": [[float(i), 2.0]]}, f"asked-{i}"))
    assert forget(engine, RequestSubject("asked-1")).waiting_events == 1
    assert fates(engine)["waiting"] == 1
    balanced(engine, tmp_path)
