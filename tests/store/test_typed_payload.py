"""Typed records are stored exactly as the raw ones would have been."""

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import store_traffic as traffic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.payload.body_parser import parse_batch
from driftline.store.payload.typed_rows import TypedRows
from driftline.store.prediction_columns import ColumnType, PredictionColumn, prediction_columns
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.records import Invocation, ModelIdentity
from driftline.store.references import save_reference
from driftline.store.spool.record import Kind
from driftline.store.spool.spool import Spool
from driftline.store.stored_rows import read_rows, within
from driftline.store.typed_payload import BLOCK_TYPES, TypedLayout, bodies_may_be_left_out
from driftline.store.verify import verify

DTYPES = {"double": "f8", "float": "f4", "long": "i8", "integer": "i4", "boolean": "?", "string": "O"}
CELLS = {
    "double": st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.none()),
    "float": st.one_of(st.floats(width=32, allow_nan=False, allow_infinity=False), st.none()),
    "long": st.integers(-(2**63), 2**63 - 1), "integer": st.integers(-(2**31), 2**31 - 1),
    "boolean": st.booleans(), "string": st.one_of(st.text(max_size=4), st.sampled_from(["a\0", "é", "", None])),
}  # fmt: skip


def model(types: list[str], outputs: list[str]) -> ModelIdentity:
    inputs = [{"name": f"c{i}", "type": type_, "required": False} for i, type_ in enumerate(types)]
    answered = [{"name": f"o{i}", "type": type_} for i, type_ in enumerate(outputs)]
    return ModelIdentity(name="m", version="1", uri="u", signature=traffic.signature(inputs, answered))


def array(type_: str, cells: list[Any]) -> np.ndarray:
    return np.array(
        [np.nan if c is None else c for c in cells] if type_ in ("double", "float") else cells, DTYPES[type_]
    )


def same(left: np.ndarray, right: np.ndarray) -> None:
    assert left.dtype == right.dtype
    assert [repr(cell) for cell in left.tolist()] == [repr(cell) for cell in right.tolist()]


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[str], list[str], list[tuple[list[list[Any]], list[list[Any]], int]]]:
    """Types of inputs and outputs, and per request their cells by column."""
    types, outputs = (draw(st.lists(st.sampled_from(list(DTYPES)), min_size=1, max_size=n)) for n in (5, 3))
    sent = []
    for _ in range(draw(st.integers(1, 6))):
        rows = draw(st.integers(1, 3))
        sides = [[[draw(CELLS[t]) for _ in range(rows)] for t in side] for side in (types, outputs)]
        sent.append((sides[0], sides[1], rows))
    return types, outputs, sent


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(requests(), st.booleans(), st.booleans())
def test_typed_rows_are_the_rows_of_the_body(drawn: Any, with_outputs: bool, in_blocks: bool) -> None:
    types, outputs, sent = drawn
    identity = model(types, outputs)
    columns = prediction_columns(identity.signature)
    layout = TypedLayout.of(columns)
    assert layout is not None
    raw, typed, responses = [], [], []
    for asked, answered, rows in sent:
        names = [f"c{i}" for i in range(len(types))]
        body = {"dataframe_split": {"columns": names, "data": [list(row) for row in zip(*asked, strict=True)]}}
        records = [
            dict(zip([f"o{i}" for i in range(len(outputs))], row, strict=True)) for row in zip(*answered, strict=True)
        ]
        raw.append(traffic.invocation(body, {"predictions": records}))
        inputs = [array(t, cells) for t, cells in zip(types, asked, strict=True)]
        own = [array(t, cells) for t, cells in zip(outputs, answered, strict=True)] if with_outputs else None
        if in_blocks:
            groups = [[i for i, t in enumerate(types) if t == kind.value] for kind in BLOCK_TYPES]
            packed = layout.pack_blocks([np.stack([inputs[i] for i in group]) for group in groups if group], own, rows)
        else:
            packed = layout.pack(inputs, own, rows)
        assert packed is not None
        typed.append(packed)
        responses.append(b"" if with_outputs else raw[-1].response)
    expected = parse_batch(identity, raw)
    found, refused = TypedRows(identity.signature, columns).parse(typed, responses)
    assert not refused
    assert not found.errors
    order, other = np.lexsort((expected.row_index, expected.owners)), np.lexsort((found.row_index, found.owners))
    assert expected.owners[order].tolist() == found.owners[other].tolist()
    assert expected.row_index[order].tolist() == found.row_index[other].tolist()
    for name, column in expected.columns.items():
        same(column[order], found.columns[name][other])


def test_what_blocks_cannot_hold_asks_for_a_raw_record() -> None:
    layout = TypedLayout.of(prediction_columns(model(["long", "string", "double"], ["integer"]).signature))
    assert layout is not None
    fine: list[Any] = [np.array([1]), ["a"], np.array([0.5])]
    assert layout.pack(fine, None, 1)
    assert layout.pack([*fine[:1], None, None], [[7]], 1)  # absent columns of text and doubles are missing cells
    for odd in ([None, *fine[1:]], [np.array([1.5]), *fine[1:]], [fine[0], ["\ud800"], fine[2]],
                [fine[0], [1], fine[2]],
                [*fine[:2], np.array([1])], [*fine[:2], np.array([0.5, 1.5])]):  # fmt: skip
        assert layout.pack(odd, None, 1) is None
    for answer in ([2**31], [0.5], ["1"], [1, 2], [[1]]):
        assert layout.pack(fine, [answer], 1) is None


def test_columns_without_blocks_have_no_layout() -> None:
    column = PredictionColumn("input", "a", "in_a", ColumnType.DATETIME)
    assert TypedLayout.of([column]) is None
    layout = TypedLayout.of([dataclasses.replace(column, side="output")])
    assert layout is not None
    assert not layout.outputs_fit


def test_bodies_are_left_out_only_where_nobody_keeps_them() -> None:
    assert [bodies_may_be_left_out(p) for p in ("none", "errors", "sample", "all")] == [True, True, False, False]


def test_bytes_that_are_no_typed_rows_are_refused_and_stop_no_others() -> None:
    identity = model(["double", "string"], ["long"])
    layout = TypedLayout.of(prediction_columns(identity.signature))
    assert layout is not None
    good = layout.pack([np.array([0.5]), ["abc"]], [np.array([1])], 1)
    assert good is not None
    bad = [b"", b"\x02" + good[1:], good[:-1], good + b"x", good[:8], struct.pack("<BBHI", 1, 1, 0, 2**31) + good[8:]]
    parts, refused = layout.unpack([good, *bad, good])
    assert set(refused) == set(range(1, len(bad) + 1))
    assert sorted(int(p) for part in parts for p in part.positions) == [0, len(bad) + 1]


def clf_typed(one: Invocation, with_outputs: bool) -> tuple[bytes, Kind]:
    """The record of an invocation of ``traffic.CLF`` as a scorer would append it that leaves bodies out."""
    if one.status != 200:
        return one.pack(), Kind.INVOCATION
    layout = TypedLayout.of(prediction_columns(traffic.CLF.signature))
    assert layout is not None
    age, visits, plan = zip(*json.loads(one.request)["dataframe_split"]["data"], strict=True)
    answer = np.array(json.loads(one.response)["predictions"]) if with_outputs else None
    ages = np.array([np.nan if cell is None else cell for cell in age])
    packed = layout.pack([ages, np.array(visits), plan], None if answer is None else [answer], len(age))
    assert packed is not None
    response = b"" if with_outputs else one.response
    return one._replace(request=packed, response=response).pack(), Kind.TYPED


@pytest.mark.parametrize("with_outputs", [True, False])
def test_a_typed_spool_and_a_raw_one_end_in_the_same_store(engine: Engine, tmp_path: Path, with_outputs: bool) -> None:
    sent = list(traffic.clf_traffic(400))
    typed_version = dataclasses.replace(traffic.CLF, version="2")
    traffic.fill(tmp_path / "spool", sent)
    with writing(engine) as connection:
        versions = [ensure_model_version(connection, identity) for identity in (traffic.CLF, typed_version)]
        for version in versions:
            save_reference(connection, version.id, traffic.clf_reference())
    spool = Spool.open(tmp_path / "spool", traffic.SETTINGS)
    index = spool.declare_model(typed_version)
    for one in sent:
        payload, kind = clf_typed(one._replace(id=one.id[:15] + bytes([one.id[15] ^ 1])), with_outputs)
        spool.append(index, payload, one.received_at_us, kind)
    spool.close()
    report = Loader(engine, tmp_path / "spool", LoaderSettings(batch_records=70)).load_once()
    assert (report.records, report.quarantined) == (800, 0)
    t, p = schema.invocation.c, schema.profile.c
    with engine.connect() as connection:
        kept = [c for c in t if c.name not in ("id", "model_version_id", "request_body", "response_body")]
        left, right = (
            connection.execute(select(*kept).where(t.model_version_id == v.id).order_by(t.received_at)).all()
            for v in versions
        )
        assert left == right
        for version in versions:
            assert sum(map(len, read_rows(connection, version, within(version, None, None)))) == report.rows // 2
        rows = [
            sorted(
                repr((at, arm, *cells)) for chunk in read_rows(connection, v, within(v, None, None))
                for at, arm, *cells in zip(chunk.received_at.tolist(), chunk.arms.tolist(),
                                           *(c.tolist() for c in chunk.columns.values()), strict=True)
            )
            for v in versions
        ]  # fmt: skip
        assert rows[0] == rows[1]
        profiles = [
            sorted((r.arm, r.bucket_start, r.row_count, bytes(r.counts)) for r in connection.execute(
                select(p.arm, p.bucket_start, p.row_count, p.counts).where(p.model_version_id == v.id)))
            for v in versions
        ]  # fmt: skip
        assert profiles[0] == profiles[1] != []
    assert all(check.agrees for check in verify(engine))


def test_an_answer_that_does_not_hold_the_rows_is_an_error_of_its_invocation(engine: Engine, tmp_path: Path) -> None:
    sent = [one for one in traffic.clf_traffic(30) if one.status == 200]
    (tmp_path / "spool").mkdir()
    spool = Spool.open(tmp_path / "spool", traffic.SETTINGS)
    index = spool.declare_model(traffic.CLF)
    for place, one in enumerate(sent):
        spoiled = one._replace(response=b'{"predictions": []}') if place == 3 else one
        spool.append(index, clf_typed(spoiled, with_outputs=False)[0], one.received_at_us, Kind.TYPED)
    spool.append(index, sent[0]._replace(request=b"no rows").pack(), sent[0].received_at_us, Kind.TYPED)
    spool.close()
    report = Loader(engine, tmp_path / "spool", LoaderSettings()).load_once()
    assert (report.records, report.quarantined) == (len(sent) + 1, 1)
    t = schema.invocation.c
    with engine.connect() as connection:
        stored = connection.execute(select(t.parse_error, t.row_count, t.request_body).order_by(t.received_at)).all()
    assert [bool(row.parse_error) for row in stored] == [place == 3 for place in range(len(sent))]
    assert stored[3].row_count == 0
    assert all(row.request_body is None for row in stored)
