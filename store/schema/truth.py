"""What turned out to be true: labels of rows, those that wait for their request, and those that were refused."""

from sqlalchemy import Column, Index, Integer, Table, Text, UniqueConstraint

from driftline.store.column_types import Identity, InvocationId, Timestamp
from driftline.store.schema.base import identity, metadata

label = Table(
    "label",
    metadata,
    identity(),
    Column("invocation_id", InvocationId, nullable=False),
    Column("row_index", Integer, nullable=False),
    Column("value", Text, nullable=False),  # JSON scalar
    Column("event_at", Timestamp, nullable=False),
    Column("received_at", Timestamp, nullable=False),  # when the value was last set; grows with the order of commits
    UniqueConstraint("invocation_id", "row_index"),
    Index(None, "received_at"),
)

pending_label = Table(
    "pending_label",
    metadata,
    identity(),
    Column("model_name", Text, nullable=False),  # empty: any
    Column("key_column", Text, nullable=False),  # of the prediction table, under its name in the signature
    Column("key", Text, nullable=False),  # a request id where key_column is empty
    Column("row_index", Integer, nullable=False),  # -1: not given
    Column("value", Text, nullable=False),
    Column("event_at", Timestamp, nullable=False),
    Column("received_at", Timestamp, nullable=False),
    Column("next_try_at", Timestamp, nullable=False),  # when its request is looked for again
    UniqueConstraint("key", "row_index", "value", "key_column", "model_name", name="uq_pending_label"),
    Index(None, "next_try_at"),
)

label_reject = Table(
    "label_reject",
    metadata,
    identity(),
    Column("received_at", Timestamp, nullable=False),
    Column("reason", Text, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("key_column", Text, nullable=False),
    Column("content", Text, nullable=False),  # the label as it came, as JSON where it could be read
    Index(None, "received_at"),
)

label_count = Table(
    "label_count",
    metadata,
    Column("model_name", Text, primary_key=True),  # empty: not known
    Column("fate", Text, primary_key=True),
    Column("labels", Identity, nullable=False),  # ever
    Column("counted_at", Timestamp, nullable=False),
)
