"""The bodies of an exchange as they may be recorded, where columns are redacted.

Invariants
----------
- What is returned holds no value of a redacted column. Where a body cannot be read with certainty it is withheld: the
  invocation stays, with ``WITHHELD`` as its answer.
- Of an answer that is no success neither body is kept, but the error code: MLflow's errors repeat the request, and a
  request that was refused need not have its values where its columns say.
- Columns that the signature does not have are not kept: nobody said what they are.
"""

import asyncio
import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import orjson

from driftline.scorer.echoes import LEAST_ECHO, Echoes
from driftline.store.payload.body_parser import WITHHELD
from driftline.store.payload.parsed_batch import loads
from driftline.store.records import ModelIdentity
from driftline.store.redaction import DROPPED, Redaction, cell_text

_JSON, _CSV, _PARQUET = b"application/json", b"text/csv", b"application/vnd.apache.parquet"
_TYPES = (_JSON, _CSV, _PARQUET, b"application/x-parquet")
_ERROR_CODE = re.compile(r"[A-Z][A-Z_]{2,60}")
_LARGE_BYTES = 1 << 16
_PARQUET_MAGIC = b"PAR1"


class Bodies(NamedTuple):
    """What is recorded of an exchange."""

    content_type: bytes
    request: bytes
    response: bytes


async def kept_bodies(redacted: "RedactedBodies | None", status: int, came: Bodies) -> Bodies:
    """Return what may be recorded; what takes milliseconds, Parquet and large bodies, is redacted on another thread.

    The thread is no prediction's and no other model's: an answer that is ready waits for none of those. Whatever ends
    the request meanwhile, it has its answer and is recorded.
    """
    if redacted is None:
        return came
    large = came.request.startswith(_PARQUET_MAGIC) or len(came.request) + len(came.response) > _LARGE_BYTES
    if large and 200 <= status < 300:
        with suppress(asyncio.CancelledError, RuntimeError):  # the server stops, or no thread can be started
            return await redacted.beside(status, came)
    return redacted.of(status, *came)


def _one_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="driftline-redaction")


class _Uncertain(Exception):
    """A body is in no form in which every value's column is known."""


class RedactedBodies:
    """Redacts the exchanges of one model.

    Args:
        identity: the model as MLflow knows it.
    """

    def __init__(self, redaction: Redaction, identity: ModelIdentity) -> None:
        self._redaction = redaction
        schema = (identity.signature or {}).get("inputs")
        specs = orjson.loads(schema) if schema else []
        names = [spec.get("name") for spec in specs]
        self._known = frozenset(names) if specs and None not in names else None
        self._thread = _one_thread()
        self._ended = False

    def beside(self, status: int, came: Bodies) -> "asyncio.Future[Bodies]":
        """Return what ``of`` will return in this model's thread; for one event loop.

        Raises:
            RuntimeError: no thread can be started, or ``end`` was called.
        """
        try:
            return asyncio.get_running_loop().run_in_executor(self._thread, self.of, status, *came)
        except RuntimeError:
            if not self._ended:  # what found no thread waits in there for one, with its bodies
                self._thread = _one_thread()
            raise

    def end(self) -> None:
        """Begin nothing more in the thread, whose work the end of the process waits for."""
        self._ended = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    def of(self, status: int, content_type: bytes, request: bytes, response: bytes) -> Bodies:
        """Return what may be recorded of an exchange; never raises for what a body holds."""
        mime = content_type.partition(b";")[0].strip().lower()
        if not 200 <= status < 300:
            return Bodies(mime if mime in _TYPES else b"", b"", _error(response))
        try:
            secrets: list[list[str]] = []
            kept = self._request(mime, request, secrets)
            return Bodies(mime, kept, self._response(response, secrets))
        except Exception:  # whatever a parser raises: what it did not read is not kept
            return Bodies(mime if mime in _TYPES else b"", b"", WITHHELD)

    def _request(self, mime: bytes, body: bytes, secrets: list[list[str]]) -> bytes:
        if mime == _JSON:
            document = loads(body)
            if not isinstance(document, dict):
                raise _Uncertain
            kept = {key: self._part(key, part, secrets) for key, part in document.items()}
            if everywhere := self._secrets([("params", document.get("params"))]):
                secrets[:] = [[*row, *everywhere] for row in secrets or [[]]]
            return _dumps(kept)
        if mime == _CSV:
            return self._csv(body.decode("utf-8-sig"), secrets)
        return self._parquet(body, secrets)

    def _part(self, key: str, part: Any, secrets: list[list[str]]) -> Any:
        """Return one of the top level's values; which of them are known is MLflow's contract."""
        if key == "dataframe_split":
            return self._split(part, secrets)
        if key in ("dataframe_records", "instances") or (key == "inputs" and isinstance(part, list)):
            if not isinstance(part, list) or not all(isinstance(record, dict) for record in part):
                raise _Uncertain
            secrets += [self._secrets(record.items()) for record in part]
            return [self._record(record) for record in part]
        if key == "inputs" and isinstance(part, dict):
            rows = max((len(cells) for cells in part.values() if isinstance(cells, list)), default=1)
            listed = {name: cells if isinstance(cells, list) else [cells] * rows for name, cells in part.items()}
            found = self._columns(list(listed), [listed[name] for name in listed], secrets)
            return dict(found)
        if key in ("params", "signature_name"):
            return self._redaction.nested(part)
        raise _Uncertain

    def _split(self, split: Any, secrets: list[list[str]]) -> dict[str, Any]:
        columns, rows = split["columns"], split["data"]
        if set(split) - {"columns", "data", "index"} or not all(isinstance(name, str) for name in columns):
            raise _Uncertain
        if any(len(row) != len(columns) for row in rows):
            raise _Uncertain
        cells = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in columns]
        found = self._columns(columns, cells, secrets)
        data = [list(row) for row in zip(*(cells for _, cells in found), strict=True)] if found else [[] for _ in rows]
        return {"columns": [name for name, _ in found], "data": data}

    def _csv(self, text: str, secrets: list[list[str]]) -> bytes:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
        header, rows = lines[0], lines[1:]
        named = self._redaction.methods.keys() & set(header)
        if any(len(row) != len(header) for row in rows) or (self._known is None and not named):
            raise _Uncertain
        if self._known is not None and not self._known & set(header):  # then the first line may be a row
            raise _Uncertain
        cells: list[list[Any]] = [[cell or None for cell in column] for column in zip(*rows, strict=True)]
        found = self._columns(header, cells or [[] for _ in header], secrets)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([name for name, _ in found])
        writer.writerows(zip(*(cells for _, cells in found), strict=True))
        return out.getvalue().encode()

    def _parquet(self, body: bytes, secrets: list[list[str]]) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(pa.BufferReader(body))
        kept = {}
        columns = {name: table.column(i).to_pylist() for i, name in enumerate(table.column_names)}
        for name, cells in self._columns(list(columns), list(columns.values()), secrets):
            array = table.column(name)
            if name in self._redaction.methods:
                kept[name] = pa.array(cells, pa.string())
            elif _holds_map(array.type):
                raise _Uncertain
            else:
                kept[name] = pa.array(cells) if pa.types.is_nested(array.type) else array
        out = pa.BufferOutputStream()
        pq.write_table(pa.table(kept), out)  # without the metadata of the first one, which may say anything
        return bytes(out.getvalue())

    def _columns(
        self, names: Sequence[str], columns: Sequence[list[Any]], secrets: list[list[str]]
    ) -> list[tuple[str, list[Any]]]:
        """Return the columns that stay, and add the secrets of each row."""
        named = self._redaction.methods
        told = [i for i, name in enumerate(names) if name in named or self._secrets([(name, columns[i])])]
        rows = max((len(columns[i]) for i in told), default=0)
        secrets += [self._secrets((names[i], columns[i][row]) for i in told) for row in range(rows)]
        found = [
            (name, self._redaction.column(name, cells))
            for name, cells in zip(names, columns, strict=True)
            if self._known is None or name in self._known
        ]
        return [(name, cells) for name, cells in found if cells is not None]

    def _record(self, record: dict[str, Any]) -> dict[str, Any]:
        return {
            name: cell
            for name, value in record.items()
            if (self._known is None or name in self._known)
            and (cell := self._redaction.cell(name, value)) is not DROPPED
        }

    def _secrets(self, cells: Iterable[tuple[str, Any]]) -> list[str]:
        """Return the texts of a row's redacted values, also within others, that an answer could be told to hold."""
        texts = []
        for name, value in cells:
            if name in self._redaction.methods:
                texts += [text for text in _texts(value) if len(text) >= LEAST_ECHO]
            elif isinstance(value, dict):
                texts += self._secrets(value.items())
            elif isinstance(value, list):
                texts += self._secrets(("", each) for each in value if isinstance(each, (dict, list)))
        return texts

    def _response(self, body: bytes, secrets: list[list[str]]) -> bytes:
        document = loads(body)
        if not isinstance(document, dict) or set(document) != {"predictions"}:
            raise _Uncertain
        found = self._redaction.nested(document["predictions"])
        if any(secrets):
            if isinstance(found, list) and len(found) == len(secrets):
                found = [Echoes(row).without(each) for each, row in zip(found, secrets, strict=True)]
            else:
                found = Echoes(text for row in secrets for text in row).without(found)
        return _dumps({"predictions": found})


def _texts(value: Any) -> list[str]:
    """Return a redacted value as text, and the texts within it."""
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    texts = [text for each in within if isinstance(each, (str, dict, list)) for text in _texts(each)]
    return texts if value is None else [cell_text(value), *texts]


def _holds_map(kind: Any) -> bool:
    """Return whether a type of Arrow holds maps, which come as pairs: no redacted name is looked for among those."""
    import pyarrow as pa

    return pa.types.is_map(kind) or any(_holds_map(kind.field(i).type) for i in range(kind.num_fields))


def _error(response: bytes) -> bytes:
    try:
        code = orjson.loads(response)["error_code"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return b""
    return orjson.dumps({"error_code": code}) if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else b""


def _dumps(document: Any) -> bytes:
    try:
        return orjson.dumps(document)
    except (TypeError, orjson.JSONEncodeError):
        return json.dumps(document).encode()
