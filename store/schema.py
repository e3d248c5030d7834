"""The static tables of the store; the one place where column names live.

Prediction tables are made at run time, one per model and signature (``prediction_tables``). Alembic's revisions under
``migrations/`` are the frozen history of what stands here; ``migrate`` brings a database to it.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from driftline.store.column_types import Identity, InvocationId, Timestamp

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[int]:
    return Column("id", Identity, primary_key=True, autoincrement=True)


def _model_version() -> Column[int]:
    return Column("model_version_id", Identity, ForeignKey("model_version.id"), nullable=False)


model_version = Table(
    "model_version",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # of the signature
    Column("uri", Text, nullable=False),
    Column("run_id", Text),
    Column("model_id", Text),
    Column("alias", Text),
    Column("flavor", Text, nullable=False),
    Column("signature", Text),  # JSON
    Column("prediction_table", Text, nullable=False),
    Column("trained_at", Timestamp),
    Column("first_served_at", Timestamp, nullable=False),
    UniqueConstraint("name", "version", "fingerprint"),
)

prediction_table = Table(
    "prediction_table",
    metadata,
    Column("table_name", Text, primary_key=True),
    Column("model_name", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("columns", Text, nullable=False),  # JSON: how signature names map to column names and types
    Column("created_at", Timestamp, nullable=False),
    UniqueConstraint("model_name", "fingerprint"),
)

reference = Table(
    "reference",
    metadata,
    _id(),
    _model_version(),
    Column("content", LargeBinary, nullable=False),  # a reference file, whole (profile.reference_file)
    Column("spec_hash", Text, nullable=False),  # of the bins; profiles add only within one
    Column("row_count", Identity, nullable=False),
    Column("source", Text, nullable=False),
    Column("made_at", Timestamp, nullable=False),
    Index(None, "model_version_id", "made_at"),
)

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
    postgresql_partition_by="RANGE (received_at)",
)

profile = Table(
    "profile",
    metadata,
    _id(),
    _model_version(),
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

label = Table(
    "label",
    metadata,
    _id(),
    Column("invocation_id", InvocationId, nullable=False),
    Column("row_index", Integer, nullable=False),
    Column("value", Text, nullable=False),  # JSON scalar
    Column("event_at", Timestamp, nullable=False),
    Column("received_at", Timestamp, nullable=False),
    UniqueConstraint("invocation_id", "row_index"),
)

job_run = Table(
    "job_run",
    metadata,
    _id(),
    Column("job", Text, nullable=False),
    Column("model_version_id", Identity, ForeignKey("model_version.id")),
    Column("started_at", Timestamp, nullable=False),
    Column("finished_at", Timestamp),
    Column("result", Text, nullable=False),  # running, success, error, insufficient_data, skipped
    Column("message", Text),
    Column("mlflow_run_id", Text),
    Index(None, "job", "model_version_id", "started_at"),
)

drift_result = Table(
    "drift_result",
    metadata,
    _id(),
    _model_version(),
    Column("job_run_id", Identity, ForeignKey("job_run.id")),
    Column("reference_id", Identity, ForeignKey("reference.id"), nullable=False),
    Column("arm", SmallInteger, nullable=False),
    Column("side", Text, nullable=False),  # input or output
    Column("column_name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # numeric or categorical
    Column("statistic", Text, nullable=False),
    Column("window_start", Timestamp, nullable=False),
    Column("window_end", Timestamp, nullable=False),
    Column("window_rows", Identity, nullable=False),
    Column("score", Double),
    Column("threshold", Double),  # NULL where there was no verdict
    Column("effect", Double),  # of the mean, in standard deviations of the reference, or of a category's share
    Column("since", Timestamp),  # when the open episode of drift began
    Column("verdict", Text, nullable=False),  # drift, no drift, insufficient data
    Column("reason", Text, nullable=False),
    Column("missing_share", Double),
    Column("reference_missing_share", Double),
    Column("unseen_share", Double),
    Column("out_of_range_share", Double),
    Column("picture", Text),  # JSON of a drifted column: shares of training and window over a few bars, and in words
    Column("importance", Double),  # share of what the model relies on; NULL where that is not known
    Column("computed_at", Timestamp, nullable=False),
    Index(None, "model_version_id", "computed_at"),
    Index(None, "model_version_id", "column_name", "computed_at"),
    Index(None, "job_run_id"),
)

drift_episode = Table(
    "drift_episode",
    metadata,
    _id(),
    _model_version(),
    Column("arm", SmallInteger, nullable=False),
    Column("side", Text, nullable=False),  # input or output
    Column("column_name", Text, nullable=False),  # empty: the side as a whole
    Column("opened_at", Timestamp, nullable=False),
    Column("near_at", Timestamp, nullable=False),  # when a score was last near its threshold or over it
    Column("judgements", Integer, nullable=False),  # since it opened
    Column("peak", Double, nullable=False),  # highest score in units of its threshold
    Column("closed_at", Timestamp),  # NULL while it is open
    Index(None, "model_version_id", "closed_at"),
)

drift_history = Table(
    "drift_history",
    metadata,
    _id(),
    _model_version(),
    Column("reference_id", Identity, ForeignKey("reference.id"), nullable=False),
    Column("arm", SmallInteger, nullable=False),
    Column("hour", Timestamp, nullable=False),  # in which the windows ended
    Column("spans", Text, nullable=False),  # of the windows in seconds, separated by commas
    Column("scores", LargeBinary, nullable=False),  # float32, span after span, columns in the reference's order
    UniqueConstraint("model_version_id", "reference_id", "arm", "hour", name="uq_drift_history_hour"),
)

quality_result = Table(
    "quality_result",
    metadata,
    _id(),
    _model_version(),
    Column("job_run_id", Identity, ForeignKey("job_run.id")),
    Column("arm", SmallInteger, nullable=False),
    Column("kind", Text, nullable=False),  # of finding: missing, out of range, volume ... (monitor.quality)
    Column("side", Text, nullable=False),  # input, output; empty: the rows as a whole
    Column("column_name", Text, nullable=False),  # empty: the rows as a whole
    Column("window_start", Timestamp, nullable=False),
    Column("window_end", Timestamp, nullable=False),
    Column("window_rows", Identity, nullable=False),
    Column("observed", Double),
    Column("expected", Double),
    Column("threshold", Double),  # NULL where there was no verdict
    Column("verdict", Text, nullable=False),  # breach, ok, insufficient data
    Column("reason", Text, nullable=False),
    Column("computed_at", Timestamp, nullable=False),
    Index(None, "model_version_id", "computed_at"),
    Index(None, "job_run_id"),
)

coerced_cells = Table(
    "coerced_cells",
    metadata,
    _id(),
    _model_version(),
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

multivariate_result = Table(
    "multivariate_result",
    metadata,
    _id(),
    _model_version(),
    Column("job_run_id", Identity, ForeignKey("job_run.id")),
    Column("reference_id", Identity, ForeignKey("reference.id"), nullable=False),
    Column("arm", SmallInteger, nullable=False),
    Column("window_start", Timestamp, nullable=False),
    Column("window_end", Timestamp, nullable=False),
    Column("window_rows", Identity, nullable=False),  # compared, at most the sample's size
    Column("reference_rows", Identity, nullable=False),  # compared
    Column("auc", Double),  # NULL where there was no verdict, as z
    Column("z", Double),
    Column("verdict", Text, nullable=False),  # drift, no drift, insufficient data
    Column("reason", Text, nullable=False),
    Column("columns", Text, nullable=False),  # JSON: the columns that tell live from training rows, and by how much
    Column("computed_at", Timestamp, nullable=False),
    Index(None, "model_version_id", "computed_at"),
    Index(None, "job_run_id"),
)

performance_result = Table(
    "performance_result",
    metadata,
    _id(),
    _model_version(),
    Column("job_run_id", Identity, ForeignKey("job_run.id")),
    Column("arm", SmallInteger, nullable=False),
    Column("metric", Text, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("window_start", Timestamp, nullable=False),
    Column("window_end", Timestamp, nullable=False),
    Column("labelled_rows", Identity, nullable=False),
    Column("window_rows", Identity, nullable=False),
    Column("value", Double),
    Column("low", Double),
    Column("high", Double),
    Column("threshold", Double),
    Column("breached", Boolean),
    Column("computed_at", Timestamp, nullable=False),
    Index(None, "model_version_id", "computed_at"),
    Index(None, "job_run_id"),
)

event = Table(
    "event",
    metadata,
    _id(),
    Column("at", Timestamp, nullable=False),
    Column("kind", Text, nullable=False),  # alias moved, model loaded, model failed (``events``)
    Column("model_version_id", Identity, ForeignKey("model_version.id")),
    Column("detail", Text, nullable=False),  # JSON
    Index(None, "at"),
)

report = Table(
    "report",
    metadata,
    _id(),
    _model_version(),
    Column("window_start", Timestamp, nullable=False),
    Column("window_end", Timestamp, nullable=False),
    Column("made_at", Timestamp, nullable=False),
    Column("html", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),  # zstd; content is JSON
    Column("mlflow_run_id", Text),
    UniqueConstraint("model_version_id", "window_start", "window_end"),
)

spool = Table(
    "spool",
    metadata,
    _id(),
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
    _id(),
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
    _id(),
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

profile_backfill = Table(
    "profile_backfill",
    metadata,
    _id(),
    _model_version(),
    Column("reference_id", Identity, ForeignKey("reference.id"), nullable=False),
    Column("source", Text, nullable=False),  # of the rows: "store", or the folder of an export
    Column("started_at", Timestamp, nullable=False),
    Column("next_day", Timestamp, nullable=False),  # days before it are done
    Column("row_count", Identity, nullable=False),  # counted so far
    Column("finished_at", Timestamp),
    Index(None, "model_version_id"),
)
