"""Requests whose answers must not differ between MLflow's server and ours."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Case:
    """One request; ``differs`` names an intended difference."""

    name: str
    model: str
    body: bytes | None = None
    content_type: str | None = "application/json"
    method: str = "POST"
    path: str = "/invocations"
    more_headers: tuple[tuple[str, str], ...] = ()

    @property
    def headers(self) -> dict[str, str]:
        own = {} if self.content_type is None else {"content-type": self.content_type}
        return {**own, **dict(self.more_headers)}


def corpus() -> list[Case]:
    return [*_forms(), *_malformed(), *_content_types(), *_values(), *_acts(), *_typed(), *_routes()]


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _split(data: list[Any], columns: tuple[str, ...] = ("a", "b"), **more: Any) -> bytes:
    return _json({"dataframe_split": {"columns": list(columns), "data": data, **more}})


ROWS = [[1.0, 2.0], [3.5, -1.0]]
RECORDS = [{"a": 1.0, "b": 2.0}, {"a": 3.5, "b": -1.0}]
CSV = b"a,b\n1.0,2.0\n3.5,-1.0\n"
WEBSOCKET = {
    "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip


def _forms() -> Iterator[Case]:
    for model in ("linear", "actor"):
        bodies: Mapping[str, bytes] = {
            "split": _split(ROWS),
            "split with index": _split(ROWS, index=[7, 3]),
            "split without columns": _json({"dataframe_split": {"data": ROWS}}),
            "records": _json({"dataframe_records": RECORDS}),
            "instances of lists": _json({"instances": ROWS}),
            "instances of dicts": _json({"instances": RECORDS}),
            "inputs as dict": _json({"inputs": {"a": [1.0, 3.5], "b": [2.0, -1.0]}}),
            "inputs as list": _json({"inputs": ROWS}),
            "inputs as scalar": _json({"inputs": 5}),
            "split with BOM": b"\xef\xbb\xbf" + _split(ROWS),
            "split in UTF-16": _split(ROWS).decode().encode("utf-16"),
            "an unknown key beside": _json({"dataframe_records": RECORDS, "other": 1}),
            "params": _json({"dataframe_records": RECORDS, "params": {"n": 1}}),
            "messages": _json({"messages": [{"role": "user", "content": "x"}]}),
        }
        for name, body in bodies.items():
            yield Case(f"{model}: {name}", model, body)
        yield Case(f"{model}: csv", model, CSV, "text/csv")
        yield Case(f"{model}: csv with index", model, b",a,b\n0,1.0,2.0\n", "text/csv; charset=utf-8")
        parquet = io.BytesIO()
        pd.DataFrame(RECORDS).to_parquet(parquet)
        yield Case(f"{model}: parquet", model, parquet.getvalue(), "application/vnd.apache.parquet")


def _malformed() -> Iterator[Case]:
    bodies: Mapping[str, bytes | None] = {
        "no body": None,
        "empty body": b"",
        "not JSON": b"nonsense",
        "cut off": _split(ROWS)[:-5],
        "invalid UTF-8": b'{"inputs": "\xff"}',
        "a list": b"[1]",
        "a number": b"5",
        "null": b"null",
        "an empty object": b"{}",
        "a wrong key": _json({"data": ROWS}),
        "two forms": _json({"inputs": ROWS, "instances": ROWS}),
        "split is a list": _json({"dataframe_split": []}),
        "split without data": _json({"dataframe_split": {"columns": ["a"]}}),
        "records is a dict": _json({"dataframe_records": {}}),
        "too many values": _split([[1, 2, 3]]),
        "a bad index": _split(ROWS, index=[1]),
        "unequal columns": _json({"inputs": {"a": [1], "b": [1, 2]}}),
        "unequal keys": _json({"instances": [{"a": 1}, {"b": 1}]}),
        "nested deep": b'{"inputs":' + b"[" * 5000 + b"]" * 5000 + b"}",
        "params is a list": _json({"dataframe_records": RECORDS, "params": []}),
    }
    for name, body in bodies.items():
        yield Case(f"malformed: {name}", "linear", body)
    yield Case("malformed: csv empty", "linear", b"", "text/csv")
    yield Case("malformed: csv with text", "linear", b"a,b\nx,1\n", "text/csv")
    yield Case("malformed: csv not UTF-8", "linear", b"a,b\n\xff,1\n", "text/csv")
    yield Case("malformed: no parquet", "linear", b"PAR1", "application/vnd.apache.parquet")


def _content_types() -> Iterator[Case]:
    for content_type in (
        None, "", "text/plain", "Application/JSON", "application/x-www-form-urlencoded",
        "application/json; charset=utf-8", "application/json;charset=UTF-8", 'application/json; charset="utf-8"',
        "application/json; charset=latin-1", "application/json; Charset=utf-8", "application/json; format=pandas-split",
        "application/json;",
    ):  # fmt: skip
        yield Case(f"content type {content_type!r}", "linear", _split(ROWS), content_type)
    gzip = (("content-encoding", "gzip"),)
    yield Case("content encoding gzip", "linear", b"\x1f\x8b\x08\x00", more_headers=gzip)
    yield Case("accept is ignored", "linear", _split(ROWS), more_headers=(("accept", "text/csv"),))


def _values() -> Iterator[Case]:
    for value in (None, "1.5", "x", True, 2**53 + 1, 10**400, [1], {"k": 1}):
        yield Case(f"value {str(value)[:8]} of type {type(value).__name__}", "linear", _split([[value, 1.0]]))
    for literal in ("NaN", "Infinity", "-Infinity", "1e999", "-0.0", "5e-324"):
        body = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[%s, 1.0]]}}' % literal.encode()
        yield Case(f"value {literal}", "linear", body)
    yield Case("missing column", "linear", _split([[1.0]], ("a",)))
    yield Case("missing and extra column", "linear", _split([[1.0, 2.0]], ("a", "c")))
    yield Case("extra column", "linear", _split([[1.0, 2.0, 3.0]], ("a", "b", "c")))
    yield Case("columns in another order", "linear", _split(ROWS, ("b", "a")))
    yield Case("duplicate columns", "linear", _split(ROWS, ("a", "a")))
    yield Case("ragged row", "linear", _split([[1.0], [1.0, 2.0]]))
    yield Case("no rows", "linear", _split([]))
    yield Case("a thousand rows", "linear", _split([[i / 7, -i] for i in range(1000)]))


def _acts() -> Iterator[Case]:
    for act in (
        "raise", "not_found", "internal", "sleep", "set", "decimal", "nan", "float32", "bytes", "datetime", "frame",
        "series", "text", "none", "unknown \u2603 word",
    ):  # fmt: skip
        yield Case(f"the model's act: {act}", "actor", _split([[act]], ("act",)))


def _typed() -> Iterator[Case]:
    row = {"d": 1.5, "f": 0.1, "l": 7, "i": 3, "b": True, "s": "word", "when": "2024-01-02T03:04:05"}
    for name, change in {
        "as the schema says": {},
        "truncated": {"l": 1.9, "i": "7"},
        "overflow": {"i": 2**40, "l": 2**63, "f": 1e300},
        "truthy": {"b": "false"},
        "null boolean": {"b": None},
        "null integer": {"i": None},
        "null date": {"when": None},
        "a zone": {"when": "2024-01-02T03:04:05Z"},
        "no date": {"when": "yesterday"},
        "odd text": {"s": [1, None]},
    }.items():
        yield Case(f"typed: {name}", "typed", _json({"dataframe_records": [{**row, **change}]}))
    without = {k: v for k, v in row.items() if k != "s"}
    yield Case("typed: optional column absent", "typed", _json({"dataframe_records": [without]}))
    for params in ({"n": 5}, {"x": 2}, {"n": 1.5}, {"word": 7}, {"unknown": 1}, {"n": None}, {}, [], None):
        body = _json({"dataframe_records": [row], "params": params})
        yield Case(f"typed: params {params}", "typed", body)


def _routes() -> Iterator[Case]:
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"):
        yield Case(f"{method} /invocations", "linear", None, None, method)
    for method, path in (
        ("GET", "/ping"), ("GET", "/health"), ("GET", "/version"), ("POST", "/ping"), ("HEAD", "/version"),
        ("OPTIONS", "/health"), ("GET", "/"), ("GET", "/metrics"), ("GET", "/nowhere"), ("HEAD", "/nowhere"),
        ("GET", "/ping/"), ("POST", "/invocations/"), ("GET", "/docs"), ("GET", "/redoc"), ("GET", "/openapi.json"),
        ("GET", "/ping?query=1"), ("GET", "/%70ing"),
    ):  # fmt: skip
        yield Case(f"{method} {path}", "linear", None, None, method, path)
    for path in ("/ping", "/invocations", "/nowhere"):
        yield Case(f"a WebSocket to {path}", "linear", None, None, "GET", path, tuple(WEBSOCKET.items()))
    yield Case("query string", "linear", _split(ROWS), path="/invocations?x=1")
