"""Typed prediction tables: one per model and signature, made when a version with that signature is first served.

A table is never altered: another signature is another table, and the view ``inference_<model>`` unites a model's
tables under the signature's own names. Over ``WIDE_COLUMNS`` numeric inputs lie in one array column, because a row of
PostgreSQL must fit a page.
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    insert,
    select,
    text,
)
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeEngine

from driftline.store import schema
from driftline.store.column_types import Identity, InvocationId, Timestamp
from driftline.store.inference_view import replace_view
from driftline.store.prediction_columns import ColumnType, PredictionColumn, prediction_columns
from driftline.store.records import ModelIdentity, now_us
from driftline.store.sample_index import sample_index

WIDE_COLUMNS = 900
ARRAY_COLUMN = "in_values"
_NUMERIC = {ColumnType.DOUBLE, ColumnType.FLOAT, ColumnType.LONG, ColumnType.INTEGER, ColumnType.BOOLEAN}
_LOCK = 0x6472_6966_746C_0002

_SQL_TYPES: dict[ColumnType, TypeEngine[Any]] = {
    ColumnType.DOUBLE: Double(),
    ColumnType.FLOAT: REAL(),
    ColumnType.LONG: BigInteger(),
    ColumnType.INTEGER: Integer(),
    ColumnType.BOOLEAN: Boolean(),
    ColumnType.STRING: Text(),
    ColumnType.DATETIME: Timestamp(),
    ColumnType.BINARY: LargeBinary(),
    ColumnType.JSON: Text(),
}


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model version as the store knows it.

    Attributes:
        id: key of ``model_version``.
        columns: of its rows, inputs first.
        table: the prediction table, shared by the versions of the model that have this signature.
        signature: MLflow's, as in ``ModelIdentity``.
    """

    id: int
    name: str
    version: str
    columns: tuple[PredictionColumn, ...]
    table: Table = field(compare=False)  # made anew from the others at every read
    signature: dict[str, Any] | None

    @property
    def array_columns(self) -> tuple[PredictionColumn, ...]:
        """The input columns that lie in the array column, in its order; empty where every column has its own."""
        return array_columns(self.columns)


def array_columns(columns: tuple[PredictionColumn, ...]) -> tuple[PredictionColumn, ...]:
    """Return the numeric inputs where there are more than ``WIDE_COLUMNS`` of them, else nothing."""
    numeric = tuple(c for c in columns if c.side == "input" and c.type in _NUMERIC)
    return numeric if len(numeric) > WIDE_COLUMNS else ()


def prediction_table(name: str, columns: tuple[PredictionColumn, ...]) -> Table:
    """Return the table ``name`` for rows of ``columns``; nothing is created."""
    folded = set(array_columns(columns))
    cells: list[Column[Any]] = [Column(c.column_name, _SQL_TYPES[c.type]) for c in columns if c not in folded]
    if folded:
        cells.insert(0, Column(ARRAY_COLUMN, ARRAY(Double()).with_variant(LargeBinary(), "sqlite")))
    return Table(
        name,
        MetaData(),
        Column("invocation_id", InvocationId, nullable=False),
        Column("row_index", Integer, nullable=False),
        Column("received_at", Timestamp, nullable=False),
        Column("model_version_id", Identity, nullable=False),
        Column("arm", SmallInteger, nullable=False),
        *cells,
        Index(f"{name}_at", "received_at", postgresql_using="brin"),
        sample_index(name),
        postgresql_partition_by="RANGE (received_at)",
    )


def ensure_model_version(connection: Connection, identity: ModelIdentity) -> ModelVersion:
    """Return the store's row for ``identity``; row, table and view are made on the first call.

    The connection must be in a transaction that may write (``engine.writing``); other processes wait for its end.
    """
    found = find_model_version(connection, identity.name, identity.version, identity.fingerprint)
    if found is not None:
        return found
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = find_model_version(connection, identity.name, identity.version, identity.fingerprint)
        if found is not None:
            return found
    name = _ensure_table(connection, identity)
    connection.execute(
        insert(schema.model_version).values(
            name=identity.name,
            version=identity.version,
            fingerprint=identity.fingerprint,
            uri=identity.uri,
            run_id=identity.run_id,
            model_id=identity.model_id,
            alias=identity.alias,
            flavor=identity.flavor,
            signature=orjson.dumps(identity.signature).decode() if identity.signature else None,
            prediction_table=name,
            trained_at=identity.created_at_us,
            first_served_at=now_us(),
        )
    )
    made = find_model_version(connection, identity.name, identity.version, identity.fingerprint)
    assert made is not None
    return made


def find_model_version(connection: Connection, name: str, version: str, fingerprint: str) -> ModelVersion | None:
    """Return the version if the store knows it."""
    t = schema.model_version
    row = connection.execute(
        select(t).where(t.c.name == name, t.c.version == version, t.c.fingerprint == fingerprint)
    ).one_or_none()
    return None if row is None else model_version_of(row)


def model_version_of(row: Any) -> ModelVersion:
    """Return the ``ModelVersion`` of a row of ``schema.model_version``."""
    signature = orjson.loads(row.signature) if row.signature else None
    columns = prediction_columns(signature)
    table = prediction_table(row.prediction_table, columns)
    return ModelVersion(row.id, row.name, row.version, columns, table, signature)


def _ensure_table(connection: Connection, identity: ModelIdentity) -> str:
    t = schema.prediction_table
    tables = connection.execute(select(t).order_by(t.c.created_at, t.c.table_name)).all()
    for row in tables:
        if (row.model_name, row.fingerprint) == (identity.name, identity.fingerprint):
            return str(row.table_name)
    slug = _slug(identity.name, {_slug_of(row.table_name): row.model_name for row in tables})
    name = f"prediction_{slug}_{identity.fingerprint}"
    columns = prediction_columns(identity.signature)
    table = prediction_table(name, columns)
    connection.execute(CreateTable(table))
    if connection.dialect.name == "postgresql":
        connection.execute(text(f'CREATE TABLE "{name}_default" PARTITION OF "{name}" DEFAULT'))
    for index in table.indexes:
        index.create(connection)
    described = [{"side": c.side, "name": c.name, "column": c.column_name, "type": c.type} for c in columns]
    connection.execute(
        insert(t).values(
            table_name=name,
            model_name=identity.name,
            fingerprint=identity.fingerprint,
            columns=orjson.dumps(described).decode(),
            created_at=now_us(),
        )
    )
    same_model = [row for row in tables if row.model_name == identity.name]
    earlier = [(row.table_name, _columns_of(row.columns)) for row in same_model]
    replace_view(connection, f"inference_{slug}", [*earlier, (name, columns)], array_columns)
    return name


def _columns_of(described: str) -> tuple[PredictionColumn, ...]:
    return tuple(
        PredictionColumn(c["side"], c["name"], c["column"], ColumnType(c["type"])) for c in orjson.loads(described)
    )


def _slug(model_name: str, taken: dict[str, str]) -> str:
    """Return the model's part of table and view names: at most 26 characters, never two models' same."""
    for slug, owner in taken.items():
        if owner == model_name:
            return slug
    plain = re.sub(r"[^a-z0-9]+", "_", model_name.lower()).strip("_")[:26].strip("_") or "model"
    if plain not in taken:
        return plain
    return f"{plain[:19]}_{hashlib.sha256(model_name.encode()).hexdigest()[:6]}"


def _slug_of(table_name: str) -> str:
    return table_name.removeprefix("prediction_").rsplit("_", 1)[0]
