"""The accounts of the way from a spool to the store, and of what retention took and was forgotten."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from driftline.store.column_types import Identity, Timestamp
from driftline.store.schema.base import identity, metadata

spool = Table(
    "spool",
    metadata,
    identity(),
    Column("uuid", Text, nullable=False, unique=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Timestamp, nullable=False),
)

spool_position = Table(
    "spool_position",
    metadata,
    Column("spool_id", Identity, ForeignKey("spool.id"), primary_key=True),
    Column("segment", Integer, nullable=False),
    Column("offset", Identity, nullable=False),  # bytes; the next record of that segment begins here
    Column("seq", Identity, nullable=False),  # the last sequence number that is accounted for
    Column("stored", Identity, nullable=False),
    Column("dropped", Identity, nullable=False),
    Column("quarantined", Identity, nullable=False),  # of stored: those that lie in dead_letter
    Column("updated_at", Timestamp, nullable=False),
)

spool_gap = Table(
    "spool_gap",
    metadata,
    identity(),
    Column("spool_id", Identity, ForeignKey("spool.id"), nullable=False),
    Column("first_seq", Identity, nullable=False),
    Column("last_seq", Identity, nullable=False),
    Column("record_count", Identity, nullable=False),
    Column("reason", Text, nullable=False),
    Column("from_at", Timestamp),
    Column("to_at", Timestamp),
)

dead_letter = Table(
    "dead_letter",
    metadata,
    identity(),
    Column("spool_id", Identity, ForeignKey("spool.id"), nullable=False),
    Column("seq", Identity, nullable=False),
    Column("reason", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("at", Timestamp, nullable=False),
    Index(None, "at"),
)

pruned_day = Table(
    "pruned_day",
    metadata,
    Column("day_start", Timestamp, primary_key=True, autoincrement=False),
    Column("invocations", Identity, nullable=False),
    Column("row_count", Identity, nullable=False),  # of prediction tables
    Column("dead_letters", Identity, nullable=False),
    Column("pruned_at", Timestamp, nullable=False),
)

forgotten_day = Table(
    "forgotten_day",
    metadata,
    Column("day_start", Timestamp, primary_key=True, autoincrement=False),
    Column("model_version_id", Identity, primary_key=True, autoincrement=False),  # 0: of dead letters, which have none
    Column("row_count", Identity, nullable=False),  # of prediction tables
    Column("dead_letters", Identity, nullable=False),
    Column("forgotten_at", Timestamp, nullable=False),
)
