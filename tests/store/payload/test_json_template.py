"""Documents that are alike but for one place are read as each of them alone is."""

import json
import random
from typing import Any

import orjson
import pytest
import store_traffic as traffic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftline.store.payload.body_parser import BodyParser, ParsedBatch, parse_batch
from driftline.store.payload.json_template import JsonTemplate
from driftline.store.prediction_columns import prediction_columns
from driftline.store.records import ModelIdentity

BODY = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2.5]]}}'
PREFIX, SUFFIX = b'{"dataframe_split": {"columns": ["c0", "c1"], "data": ', b"}}"


def template(body: bytes = BODY) -> JsonTemplate | None:
    return JsonTemplate.of(body, "dataframe_split", "data")


def test_the_values_of_alike_documents_are_those_of_each() -> None:
    made = template()
    assert made is not None
    bodies = [BODY, BODY.replace(b"1, 2.5", b'null, 1e3], [true, "x"'), BODY.replace(b"[[1, 2.5]]", b" 7 ")]
    assert all(map(made.fits, bodies))
    found = made.values(bodies)
    assert found is not None
    assert found.values == [json.loads(body)["dataframe_split"]["data"] for body in bodies]
    assert found.letters


def test_without_letters_there_is_no_boolean() -> None:
    made = template()
    assert made is not None
    for cells, expected in ((b"1, null", False), (b"1, true", True), (b"false, -1.5e-7", True)):
        found = made.values([BODY.replace(b"1, 2.5", cells)])
        assert found is not None
        assert found.letters is expected


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b'"data"', b'{"data": 1}', b'{"dataframe_split": {"data": 1, "columns": []}}',
        b'{"dataframe_split": {"data": 1}, "params": {}}', b'{"dataframe_split": {"data": 1}} x',
        b'{"dataframe_split": {"columns": "\xff", "data": 1}}', b'{"other": {"data": 1}}',
        b'{"dataframe_split": {"columns": ["\\"data\\": "], "x": {}}}',
    ],
)  # fmt: skip
def test_there_is_no_template_where_the_place_is_not_the_last_thing(body: bytes) -> None:
    assert template(body) is None


@pytest.mark.parametrize(
    "pieces",
    [
        [b"1],[2", b"3"], [b"[1", b"2]"], [b'"', b'"'], [b'{"a":1', b'"b":2}'], [b"1,2", b""], [b"", b"1,2"],
        [b'"\\', b'"'], [b"1", b"NaN"], [b"1", b"\xff"], [b"\xc3", b"\xa9"], [b'1,"5",2', b"3"], [b"[1", b"2]", b"3,4"],
        [b"1 /*", b"*/"], [b"1}},{", b"2"],
    ],
)  # fmt: skip
def test_no_document_takes_from_its_neighbour(pieces: list[bytes]) -> None:
    made = template()
    assert made is not None
    assert made.values([made.prefix + piece + made.suffix for piece in pieces]) is None


texts = st.one_of(
    st.sampled_from(
        [b"1],[2", b"[1", b"2]", b'"', b"1,2", b"", b"NaN", b"null", b"[]", b"[[]]", b"[[1]]", b"{}", b" 1"]
    ),
    st.lists(
        st.lists(
            st.one_of(st.floats(-9, 9), st.integers(-3, 2**64), st.sampled_from([None, True, "x", [1], 10**400])),
            min_size=2, max_size=2,
        ),
        min_size=1, max_size=3,
    ).map(lambda rows: json.dumps(rows).encode()),
)  # fmt: skip
ordinary = st.lists(st.tuples(st.floats(-9, 9), st.integers(-9, 9)).map(list), min_size=1, max_size=2)
alike = st.lists(st.one_of(ordinary.map(lambda rows: json.dumps(rows).encode()), texts), min_size=9, max_size=20)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(alike, st.sampled_from(["double", "long", "float", "string"]), st.integers(0, 2**32))
def test_alike_bodies_together_give_what_each_gives_alone(middles: list[bytes], type_: str, seed: int) -> None:
    rng = random.Random(seed)
    columns = [("c0", "double"), ("c1", type_)]
    rng.shuffle(columns)
    inputs = [{"name": name, "type": kind, "required": False} for name, kind in columns]
    model = ModelIdentity(name="m", version="1", uri="u", signature=traffic.signature(inputs))
    sent = []
    for middle in middles:
        try:
            rows = len(orjson.loads(middle))
        except (orjson.JSONDecodeError, TypeError):
            rows = 1
        answers: list[Any] = [rng.choice([0, 1, 1, True, None, [1], "1"]) if rng.random() < 0.1 else 1] * rows
        sent.append(traffic.invocation(PREFIX + middle + SUFFIX, {"predictions": answers}))
    together = parse_batch(model, sent)
    for i, one in enumerate(sent):
        alone = parse_batch(model, [one])
        assert alone.errors.get(0) == together.errors.get(i)
        assert cells(alone, 0) == cells(together, i)


def cells(batch: ParsedBatch, owner: int) -> dict[str, list[str]]:
    mine = batch.owners == owner
    return {name: [repr(_plain(cell)) for cell in column[mine].tolist()] for name, column in batch.columns.items()}


def _plain(cell: Any) -> Any:
    """A whole number beside a missing one is the same cell as one beside whole numbers."""
    return None if cell != cell else cell


def test_ten_kinds_of_bodies_in_one_batch_give_their_own_rows() -> None:
    inputs = [{"name": name, "type": "double", "required": True} for name in ("a", "b")]
    model = ModelIdentity(name="m", version="1", uri="u", signature=traffic.signature(inputs))
    sent, expected = [], []
    for i in range(300):
        kind, cells_of = i % 10, {"a": float(i), "b": -float(i)}
        names = ["a", "b"] if kind % 2 else ["b", "a"]
        names += [f"extra{n}" for n in range(kind // 2)]
        row = [cells_of.get(name, 9) for name in names]
        sent.append(traffic.invocation({"dataframe_split": {"columns": names, "data": [row]}}, {"predictions": [i]}))
        expected.append((float(i), -float(i), i))
    batch = parse_batch(model, sent)
    found = zip(*(batch.columns[name].tolist() for name in ("in_a", "in_b", "out_prediction")), strict=True)
    assert sorted(found) == sorted(expected)
    assert batch.owners.tolist() == [row[2] for row in zip(*(c.tolist() for c in batch.columns.values()), strict=True)]


def test_a_batch_of_one_kind_is_parsed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [{"name": name, "type": "double", "required": True} for name in ("a", "b")]
    signature = traffic.signature(inputs)
    parser = BodyParser(signature, prediction_columns(signature))
    monkeypatch.setattr(BodyParser, "_fast_rows", lambda *_: pytest.fail("a body was parsed alone"))
    batch = parser.parse([200] * 50, [b"application/json"] * 50, [BODY] * 50, [b'{"predictions": [1]}'] * 50)
    assert batch.columns["in_b"].tolist() == [2.5] * 50
