"""What was asked and answered, what it adds up to, and what happened to those who answered."""

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from driftline.store.column_types import Identity, InvocationId, Timestamp
from driftline.store.schema.base import identity, metadata, of_model_version

invocation = Table(
    "invocation",
    metadata,
    Column("id", InvocationId, primary_key=True),
    Column("received_at", Timestamp, primary_key=True),
    Column("model_version_id", Identity, nullable=False),
    Column("arm", SmallInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("latency_us", Identity, nullable=False),
    Column("parse_us", Identity, nullable=False),
    Column("predict_us", Identity, nullable=False),
    Column("encode_us", Identity, nullable=False),
    Column("content_type", Text),
    Column("client_request_id", Text),
    Column("error_code", Text),  # MLflow's, from the answer's body
    Column("parse_error", Text),  # why there are no prediction rows although the answer was 2xx
    Column("request_body", LargeBinary),
    Column("response_body", LargeBinary),  # zstd, by policy
    Index("ix_invocation_received_at", "received_at", postgresql_using="brin"),
    Index(  # labels find requests by it; who sends no X-Request-Id pays nothing, and longer ones fit no index
        "ix_invocation_client_request_id",
        "client_request_id",
        postgresql_where=text("length(client_request_id) <= 512"),
        sqlite_where=text("length(client_request_id) <= 512"),
    ),
    postgresql_partition_by="RANGE (received_at)",
)

profile = Table(
    "profile",
    metadata,
    identity(),
    of_model_version(),
    Column("reference_id", Identity, ForeignKey("reference.id"), nullable=False),
    Column("arm", SmallInteger, nullable=False),
    Column("bucket_start", Timestamp, nullable=False),
    Column("span_seconds", Integer, nullable=False),
    Column("writer", Text, nullable=False),  # spool uuid, or "backfill", or "rollup"
    Column("row_count", Identity, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    UniqueConstraint(
        "model_version_id", "reference_id", "arm", "bucket_start", "span_seconds", "writer", name="uq_profile_bucket"
    ),
    Index(None, "bucket_start"),
)

segment_profile = Table(  # of whole hours, counted from rows by the monitor
    "segment_profile",
    metadata,
    identity(),
    of_model_version(),
    Column("reference_id", Identity, ForeignKey("reference.id"), nullable=False),
    Column("arm", SmallInteger, nullable=False),
    Column("spec", Text, nullable=False),  # of the column and its segments (profile.segments)
    Column("hour_start", Timestamp, nullable=False),
    Column("segment", Text, nullable=False),
    Column("row_count", Identity, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    UniqueConstraint(
        "model_version_id", "reference_id", "arm", "spec", "hour_start", "segment", name="uq_segment_profile_hour"
    ),
    Index(None, "hour_start"),
)

profile_backfill = Table(
    "profile_backfill",
    metadata,
    identity(),
    of_model_version(),
    Column("reference_id", Identity, ForeignKey("reference.id"), nullable=False),
    Column("source", Text, nullable=False),  # of the rows: "store", or the folder of an export
    Column("started_at", Timestamp, nullable=False),
    Column("next_day", Timestamp, nullable=False),  # days before it are done
    Column("row_count", Identity, nullable=False),  # counted so far
    Column("finished_at", Timestamp),
    Index(None, "model_version_id"),
)

coerced_cells = Table(
    "coerced_cells",
    metadata,
    identity(),
    of_model_version(),
    Column("arm", SmallInteger, nullable=False),
    Column("hour_start", Timestamp, nullable=False),
    Column("writer", Text, nullable=False),  # spool uuid
    Column("column_name", Text, nullable=False),  # of the prediction table
    Column("coercion", Text, nullable=False),  # what was sent for what (payload.coercions)
    Column("cells", Identity, nullable=False),
    UniqueConstraint(
        "model_version_id", "arm", "hour_start", "writer", "column_name", "coercion", name="uq_coerced_cells_hour"
    ),
    Index(None, "hour_start"),
)

event = Table(
    "event",
    metadata,
    identity(),
    Column("at", Timestamp, nullable=False),
    Column("kind", Text, nullable=False),  # alias moved, model loaded, model failed (``events``)
    Column("model_version_id", Identity, ForeignKey("model_version.id")),
    Column("detail", Text, nullable=False),  # JSON
    Index(None, "at"),
)
