"""Records of a batch as columns of the store's tables: parsed before the transaction, written inside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import zstandard
from numpy.typing import NDArray
from sqlalchemy import Connection

from driftline.store import schema
from driftline.store.loader.bulk import Cells, insert_rows
from driftline.store.payload.body_parser import BodyParser
from driftline.store.payload.invocation_batch import InvocationBatch, decode
from driftline.store.payload.parsed_batch import ParsedBatch
from driftline.store.payload.typed_cells import Column, dtype_of, storable_text
from driftline.store.payload.typed_rows import TypedRows
from driftline.store.prediction_columns import ColumnType, prediction_columns
from driftline.store.prediction_tables import ARRAY_COLUMN, ModelVersion
from driftline.store.records import ModelIdentity
from driftline.store.spool.record import Kind, Record

_KINDS = (Kind.INVOCATION, Kind.TYPED)

RawBodies = Literal["none", "errors", "sample", "all"]


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that is not an invocation this driftline can read."""

    record: Record
    error: str


@dataclass(slots=True)
class Prepared:
    """The invocations of one model in a batch, and their prediction rows."""

    model: int
    invocations: InvocationBatch
    parsed: ParsedBatch
    has_bodies: bool = True  # else the requests are typed rows


class Parsers:
    """What turns the records of one model into rows."""

    def __init__(self, identity: ModelIdentity) -> None:
        columns = prediction_columns(identity.signature)
        self.bodies = BodyParser(identity.signature, columns)
        self.typed = TypedRows(identity.signature, columns)


@dataclass(frozen=True, slots=True)
class BodyPolicy:
    """Which raw bodies are kept, compressed."""

    raw_bodies: RawBodies
    share: float

    def kept(self, batch: InvocationBatch, failed: Sequence[int]) -> NDArray[np.bool_]:
        """Return a mask over the invocations; the sample is by hash of the invocation's id."""
        if self.raw_bodies == "all":
            return np.ones(len(batch), np.bool_)
        kept = np.zeros(len(batch), np.bool_)
        if self.raw_bodies == "none":
            return kept
        kept |= batch.status >= 400
        kept[list(failed)] = True
        if self.raw_bodies == "sample":
            kept |= id_hash(batch.ids) < int(self.share * 2**32)
        return kept


def id_hash(ids: NDArray[np.void]) -> NDArray[np.uint32]:
    """Return 32 bits per invocation id: its last four bytes, which a UUIDv7 draws at random."""
    return np.frombuffer(ids.tobytes(), np.dtype(">u4")).reshape(len(ids), 4)[:, 3].astype(np.uint32)


def prepare(records: Sequence[Record], parsers: dict[int, Parsers]) -> tuple[list[Prepared], list[Refused]]:
    """Return the records' invocations by model and kind, and the records that are none."""
    refused = [Refused(r, f"kind {int(r.kind)} is unknown") for r in records if r.kind not in _KINDS]
    alike: dict[tuple[int, Kind], list[Record]] = {}
    for record in records:
        if record.kind in _KINDS:
            alike.setdefault((record.model, record.kind), []).append(record)
    prepared = []
    for (model, kind), own in alike.items():
        batch, bad = decode([record.payload for record in own])
        refused.extend(Refused(own[position], why) for position, why in bad.items())
        if kind is Kind.TYPED and len(batch):
            whole = [record for position, record in enumerate(own) if position not in bad]
            parsed, unread = parsers[model].typed.parse(batch.requests, batch.responses)
            if unread:  # seldom: what can be read is read again, so that positions agree
                refused.extend(Refused(whole[position], why) for position, why in unread.items())
                batch, _ = decode([one.payload for position, one in enumerate(whole) if position not in unread])
                parsed, _ = parsers[model].typed.parse(batch.requests, batch.responses)
            prepared.append(Prepared(model, batch, parsed, has_bodies=False))
        elif len(batch):
            parsed = parsers[model].bodies.parse(
                batch.status.tolist(), batch.content_types, batch.requests, batch.responses
            )
            prepared.append(Prepared(model, batch, parsed))
    return prepared, refused


def write(connection: Connection, version: ModelVersion, prepared: Prepared, policy: BodyPolicy) -> dict[str, Column]:
    """Insert invocations and prediction rows; return the rows' columns as they will be read back."""
    batch, parsed = prepared.invocations, prepared.parsed
    insert_rows(connection, schema.invocation, _invocations(version, prepared, policy), len(batch))
    columns = parsed.columns
    rows = len(parsed.owners)
    cells: dict[str, Cells] = {
        "invocation_id": batch.ids[parsed.owners],
        "row_index": parsed.row_index,
        "received_at": batch.received_at[parsed.owners],
        "model_version_id": np.full(rows, version.id),
        "arm": batch.arm[parsed.owners],
    }
    folded = version.array_columns
    if folded:
        columns, cells[ARRAY_COLUMN] = _fold(version, columns, rows)
    taken = {column.column_name for column in folded}
    cells.update({name: column for name, column in columns.items() if name not in taken})
    insert_rows(connection, version.table, cells, rows)
    return columns


def _fold(
    version: ModelVersion, columns: dict[str, Column], rows: int
) -> tuple[dict[str, Column], NDArray[np.float64]]:
    """Lay the numeric inputs side by side as doubles; longs beyond 2^53 are rounded, here and in the profile."""
    matrix = np.empty((rows, len(version.array_columns)))
    for i, column in enumerate(version.array_columns):
        matrix[:, i] = columns[column.column_name].astype(np.float64)
    return {**columns, **unfold(version, matrix)}, matrix


def unfold(version: ModelVersion, matrix: NDArray[np.float64]) -> dict[str, Column]:
    """Return the columns of the array column's matrix; ``_fold`` is its inverse."""
    return {c.column_name: _unfolded(c.type, matrix[:, i]) for i, c in enumerate(version.array_columns)}


def _unfolded(type_: ColumnType, cells: NDArray[np.float64]) -> Column:
    dtype = dtype_of(type_)
    missing = np.isnan(cells)
    if dtype.kind == "f" or not missing.any():
        return cells.astype(dtype)
    column = np.empty(len(cells), np.object_)
    column[~missing] = cells[~missing].astype(dtype).tolist()
    return column


def _invocations(version: ModelVersion, prepared: Prepared, policy: BodyPolicy) -> dict[str, Cells]:
    batch, parsed = prepared.invocations, prepared.parsed
    kept = policy.kept(batch, list(parsed.errors))
    return {
        "id": batch.ids,
        "received_at": batch.received_at,
        "model_version_id": np.full(len(batch), version.id),
        "arm": batch.arm,
        "status": batch.status,
        "row_count": np.bincount(parsed.owners, minlength=len(batch)),
        "latency_us": batch.latency_us,
        "parse_us": batch.parse_us,
        "predict_us": batch.predict_us,
        "encode_us": batch.encode_us,
        "content_type": _headers(batch.content_types),
        "client_request_id": _headers(batch.client_request_ids),
        "error_code": _sparse(parsed.error_codes, len(batch)),
        "parse_error": _sparse(parsed.errors, len(batch)),
        "request_body": _bodies(batch.requests, kept & prepared.has_bodies),
        "response_body": _bodies(batch.responses, kept),
    }


def _headers(values: list[bytes]) -> list[str | None]:
    texts: dict[bytes, str | None] = {b"": None}
    for value in set(values):
        if value:
            texts[value] = storable_text(value.decode("latin-1"))
    return [texts[value] for value in values]


def _sparse(cells: dict[int, str], length: int) -> list[str | None]:
    column: list[str | None] = [None] * length
    for position, cell in cells.items():
        column[position] = storable_text(cell)
    return column


def _bodies(bodies: list[bytes], kept: NDArray[Any]) -> list[bytes | None]:
    column: list[bytes | None] = [None] * len(bodies)
    compressor = zstandard.ZstdCompressor()
    for position in np.flatnonzero(kept).tolist():
        column[position] = compressor.compress(bodies[position])
    return column
