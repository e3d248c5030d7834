"""Events of calls that others serve: those that wait for their other half, and what became of all."""

from sqlalchemy import Column, Index, LargeBinary, SmallInteger, Table, Text, UniqueConstraint

from driftline.store.column_types import Identity, Timestamp
from driftline.store.schema.base import identity, metadata

waiting_event = Table(
    "waiting_event",
    metadata,
    identity(),
    Column("key", Text, nullable=False),  # the same for both halves of a call
    Column("side", Text, nullable=False),  # request or response
    Column("service", Text, nullable=False),  # as [imports] models calls it
    Column("model_uri", Text, nullable=False),
    Column("arm", SmallInteger, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("at", Timestamp, nullable=False),
    Column("received_at", Timestamp, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("key", "side", name="uq_waiting_event"),
    Index(None, "received_at"),
)

event_count = Table(
    "event_count",
    metadata,
    Column("service", Text, primary_key=True),  # empty: not known
    Column("fate", Text, primary_key=True),
    Column("events", Identity, nullable=False),  # ever
)
