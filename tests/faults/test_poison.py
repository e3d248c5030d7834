"""Records that a parser, a column or a database refuses, very large, empty and endless ones: none blocks the next."""

import math
from collections.abc import Callable
from pathlib import Path

import orjson
import store_traffic as traffic
from fault_oracle import Figures, settle
from sqlalchemy import Engine, select

from driftline.store import schema
from driftline.store.loader.loader import Loader, LoaderSettings, LoadReport
from driftline.store.records import Arm, Invocation, ModelIdentity, new_invocation_id
from driftline.store.spool.adoption import spools
from driftline.store.spool.spool import Spool

Note = Callable[[Figures], None]
SPLIT = b'{"dataframe_split": {"columns": ["age", "visits", "plan"], "data": [%s]}}'
ONE = {"predictions": [1]}
POISON: dict[str, tuple[object, object]] = {
    "nul in text": (SPLIT % b'[1.0, 2, "a\\u0000b"]', ONE),
    "a lone surrogate": (SPLIT % b'[1.0, 2, "\\ud800"]', ONE),
    "bare nan": (SPLIT % b'[NaN, 2, "a"]', b'{"predictions": [NaN]}'),
    "infinity": (SPLIT % b'[Infinity, 2, "a"]', b'{"predictions": [-Infinity]}'),
    "a number beyond 64 bits": (SPLIT % b'[1.0, 9223372036854775808, "a"]', ONE),
    "an answer beyond 64 bits": (SPLIT % b'[1.0, 2, "a"]', b'{"predictions": [9223372036854775808]}'),
    "a number beyond doubles": (SPLIT % b'[1e999, 2, "a"]', b'{"predictions": [1e400]}'),
    "deep nesting": (b"[" * 100_000, b'{"predictions": ' + b"[" * 100_000),
    "deep nesting in a cell": (SPLIT % (b'[1.0, 2, ' + b"[" * 50_000 + b"]" * 50_000 + b"]"), ONE),
    "no JSON": (b"\x00\xff\xfe\x80 secret", b"\x00\x01"),
    "an empty body": (b"", b""),
    "columns that the signature lacks": (SPLIT.replace(b'"plan"', b'"other"') % b'[1.0, 2, "a"]', ONE),
    "text where a number should be": (SPLIT % b'["x", "y", 3]', {"predictions": ["z"]}),
    "more rows than answers": (SPLIT % b'[1.0, 2, "a"], [1.0, 2, "a"]', ONE),
    "no rows": (SPLIT % b"", {"predictions": []}),
    "a text of a megabyte": (SPLIT % (b'[1.0, 2, "' + b"x" * (1 << 20) + b'"]'), ONE),
}  # fmt: skip


def load(engine: Engine, folder: Path, **settings: object) -> LoadReport:
    return Loader(engine, folder, LoaderSettings(raw_bodies="all", **settings)).load_once()  # type: ignore[arg-type]


def test_poison_is_stored_or_set_aside_and_blocks_nothing(engine: Engine, folder: Path, note: Note) -> None:
    good = [one for one in traffic.clf_traffic(60) if one.status == 200][: len(POISON) + 1]
    sent = [good[0]]
    for (body, answer), neighbour in zip(POISON.values(), good[1:], strict=True):
        sent += [traffic.invocation(body, answer), neighbour]
    traffic.fill(folder, sent)
    report = load(engine, folder)
    assert spools(folder) == []
    note(settle(engine, folder, sent, quarantined=report.quarantined, tries=len(POISON)))
    t = schema.invocation.c
    with engine.connect() as connection:
        errors = list(connection.scalars(select(t.parse_error).where(t.parse_error.is_not(None))))
    assert len(errors) + report.quarantined >= 8
    assert not any("secret" in error for error in errors)
    assert report.rows >= sum(len(orjson.loads(one.response)["predictions"]) for one in good)


def test_headers_and_numbers_at_their_bounds_are_stored(engine: Engine, folder: Path, note: Note) -> None:
    body = SPLIT % b'[1.0, 2, "a"]'
    answer = orjson.dumps(ONE)
    bounds = [(999, 2**40, b"\x00" * 9, b"\xff" * 0xFFFF), (100, 0, b"", b""), (65_535, 2**32, b"\r\n", b"'")]
    sent = [
        Invocation(new_invocation_id(at), at, status, Arm.CANARY, latency, kind, client, body, answer)
        for at, (status, latency, kind, client) in enumerate(bounds, traffic.START_US)
    ]
    traffic.fill(folder, [*sent, good := next(traffic.clf_traffic(1))])
    report = load(engine, folder)
    note(settle(engine, folder, [*sent, good], quarantined=report.quarantined, tries=len(bounds)))
    assert report.quarantined <= 1, "only the status that is none of HTTP may be refused"


def test_a_row_that_is_too_wide_for_a_page_blocks_nothing(engine: Engine, folder: Path, note: Note) -> None:
    names = [f"f{i}" for i in range(1100)]
    inputs = [{"name": name, "type": "double", "required": True} for name in names]
    wide = ModelIdentity(name="wide", version="1", uri="u", signature=traffic.signature(inputs))
    data = [[float(i % 7) if i % 11 else math.pi for i in range(1100)]]
    body = {"dataframe_split": {"columns": names, "data": data}}
    sent = [traffic.invocation(body, ONE) for _ in range(3)]
    traffic.fill(folder, sent, wide)
    assert load(engine, folder).rows == 3
    note(settle(engine, folder, sent, tries=3))


def test_records_of_100_mb_of_100000_rows_and_of_none_are_stored_among_others(
    engine: Engine, folder: Path, note: Note
) -> None:
    large = traffic.invocation(b"\x00" * (100 << 20), b"{", status=400)
    row = b'[41.5, 3, "gold"]'
    many = traffic.invocation(SPLIT % b", ".join([row] * 100_000), {"predictions": [1] * 100_000})
    none = traffic.invocation(SPLIT % b"", {"predictions": []})
    small = list(traffic.clf_traffic(30))
    sent = [*small[:10], large, *small[10:20], many, none, *small[20:]]
    traffic.fill(folder, sent)
    report = load(engine, folder)
    assert report.quarantined == 0
    assert report.rows >= 100_000
    assert spools(folder) == []
    note(settle(engine, folder, sent, tries=3))


def test_bytes_that_are_no_invocation_are_set_aside_with_their_bytes(engine: Engine, folder: Path, note: Note) -> None:
    folder.mkdir()
    spool = Spool.open(folder, traffic.SETTINGS)
    model = spool.declare_model(traffic.CLF)
    good = list(traffic.clf_traffic(3))
    odd = [b"", b"short", good[0].pack() + b"more", bytes(200)]
    for payload in (good[0].pack(), *odd, good[1].pack(), good[2].pack()):
        spool.append(model, payload, traffic.START_US)
    spool.close()
    report = load(engine, folder)
    assert (report.records, report.quarantined) == (7, 4)
    with engine.connect() as connection:
        letters = connection.scalars(select(schema.dead_letter.c.payload).order_by(schema.dead_letter.c.seq))
        assert [bytes(letter) for letter in letters] == odd
    note(Figures(4, 7, quarantined=4))
