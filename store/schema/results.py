"""What the monitor's jobs found."""

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    true,
)

from driftline.store.column_types import Identity, Timestamp
from driftline.store.schema.base import identity, metadata, of_model_version

job_run = Table(
    "job_run",
    metadata,
    identity(),
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
    identity(),
    of_model_version(),
    Column("job_run_id", Identity, ForeignKey("job_run.id")),
    Column("reference_id", Identity, ForeignKey("reference.id"), nullable=False),
    Column("arm", SmallInteger, nullable=False),
    Column("side", Text, nullable=False),  # input or output
    Column("column_name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # numeric, categorical, length or time
    Column("statistic", Text, nullable=False),
    Column("window_start", Timestamp, nullable=False),
    Column("window_end", Timestamp, nullable=False),
    Column("window_rows", Identity, nullable=False),
    Column("score", Double),
    Column("threshold", Double),  # NULL where there was no verdict
    Column("effect", Double),  # of the mean, in standard deviations of the reference, or of a category's share
    Column("since", Timestamp),  # when the open episode of drift began
    Column("verdict", Text, nullable=False),  # drift, no drift, insufficient data, values not judged
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
    identity(),
    of_model_version(),
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
    identity(),
    of_model_version(),
    Column("reference_id", Identity, ForeignKey("reference.id"), nullable=False),
    Column("arm", SmallInteger, nullable=False),
    Column("hour", Timestamp, nullable=False),  # in which the windows ended
    Column("spans", Text, nullable=False),  # of the windows in seconds, separated by commas; 0: codes of the statistics
    Column("scores", LargeBinary, nullable=False),  # float32, span after span, columns in the reference's order
    UniqueConstraint("model_version_id", "reference_id", "arm", "hour", name="uq_drift_history_hour"),
)

segment_result = Table(
    "segment_result",
    metadata,
    identity(),
    of_model_version(),
    Column("job_run_id", Identity, ForeignKey("job_run.id")),
    Column("reference_id", Identity, ForeignKey("reference.id"), nullable=False),
    Column("arm", SmallInteger, nullable=False),
    Column("segment_column", Text, nullable=False),  # as the signature names it
    Column("segment", Text, nullable=False),
    Column("window_start", Timestamp, nullable=False),  # of the window that decided
    Column("window_end", Timestamp, nullable=False),
    Column("window_rows", Identity, nullable=False),
    Column("reference_rows", Identity, nullable=False),  # training rows of the segment
    Column("side", Text),  # of the column that moved most in units of its threshold; NULL without a verdict, as below
    Column("column_name", Text),
    Column("statistic", Text),
    Column("score", Double),
    Column("threshold", Double),
    Column("judged", Integer, nullable=False),  # columns
    Column("drifted", Integer, nullable=False),  # columns
    Column("columns", Text, nullable=False),  # JSON: the drifted columns
    Column("verdict", Text, nullable=False),  # drift, no drift, insufficient data
    Column("reason", Text, nullable=False),
    Column("since", Timestamp),  # when the open episode of drift began; then what is known of it, as in drift_episode
    Column("near_at", Timestamp),
    Column("judgements", Integer),
    Column("peak", Double),
    Column("spans", Text, nullable=False),  # as in drift_history
    Column("scores", LargeBinary, nullable=False),
    Column("computed_at", Timestamp, nullable=False),
    Index(None, "model_version_id", "arm", "window_end"),
    Index(None, "job_run_id"),
    Index(None, "computed_at"),
)

quality_result = Table(
    "quality_result",
    metadata,
    identity(),
    of_model_version(),
    Column("job_run_id", Identity, ForeignKey("job_run.id")),
    Column("arm", SmallInteger, nullable=False),
    Column("kind", Text, nullable=False),  # of finding: missing, out_of_range, volume ... (monitor.quality)
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

multivariate_result = Table(
    "multivariate_result",
    metadata,
    identity(),
    of_model_version(),
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
    identity(),
    of_model_version(),
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
    Column("reference", Double),  # what the model's reference says of the metric
    Column("threshold", Double),
    Column("breached", Boolean),  # NULL where there was no verdict
    Column("reason", Text, nullable=False),
    Column("computed_at", Timestamp, nullable=False),
    Index(None, "model_version_id", "computed_at"),
    Index(None, "job_run_id"),
)

performance_hour = Table(
    "performance_hour",
    metadata,
    identity(),
    of_model_version(),
    Column("arm", SmallInteger, nullable=False),
    Column("hour_start", Timestamp, nullable=False),  # of requests
    Column("labelled_rows", Identity, nullable=False),
    Column("last_event_at", Timestamp, nullable=False),  # of the labels
    Column("content", LargeBinary, nullable=False),  # zstd; content is JSON: what the labelled rows add up to
    UniqueConstraint("model_version_id", "arm", "hour_start"),
    Index(None, "hour_start"),
)

segment_performance_hour = Table(  # of one column's segments
    "segment_performance_hour",
    metadata,
    identity(),
    of_model_version(),
    Column("arm", SmallInteger, nullable=False),
    Column("spec", Text, nullable=False),  # of the column and its segments (profile.segments)
    Column("hour_start", Timestamp, nullable=False),  # of requests
    Column("segment", Text, nullable=False),
    Column("labelled_rows", Identity, nullable=False),
    Column("last_event_at", Timestamp, nullable=False),  # of the labels
    Column("content", LargeBinary, nullable=False),  # as in performance_hour
    UniqueConstraint("model_version_id", "spec", "arm", "hour_start", "segment", name="uq_segment_performance_hour"),
    Index(None, "hour_start"),
)

segment_performance_progress = Table(
    "segment_performance_progress",
    metadata,
    Column("model_version_id", Identity, ForeignKey("model_version.id"), primary_key=True, autoincrement=False),
    Column("spec", Text, primary_key=True),
    Column("labels_until", Timestamp, nullable=False),  # as in performance_progress
    Column("task", Text, nullable=False),  # JSON: what the hours were counted for
)

segment_performance_result = Table(
    "segment_performance_result",
    metadata,
    identity(),
    of_model_version(),
    Column("job_run_id", Identity, ForeignKey("job_run.id")),
    Column("arm", SmallInteger, nullable=False),
    Column("segment_column", Text, nullable=False),  # as the signature names it
    Column("segment", Text, nullable=False),
    Column("window_start", Timestamp, nullable=False),  # of the window that decided
    Column("window_end", Timestamp, nullable=False),
    Column("labelled_rows", Identity, nullable=False),
    Column("reference_rows", Identity, nullable=False),  # labelled ones of the reference in the segment
    Column("metric", Text, nullable=False),  # that is worst in units of its threshold
    Column("value", Double),
    Column("low", Double),
    Column("high", Double),
    Column("reference", Double),
    Column("threshold", Double),
    Column("judged", Integer, nullable=False),  # metrics
    Column("breached", Integer, nullable=False),  # metrics
    Column("metrics", Text, nullable=False),  # JSON: all metrics
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("computed_at", Timestamp, nullable=False),
    Index(None, "model_version_id", "arm", "window_end"),
    Index(None, "job_run_id"),
    Index(None, "computed_at"),
)

performance_progress = Table(
    "performance_progress",
    metadata,
    Column("model_version_id", Identity, ForeignKey("model_version.id"), primary_key=True, autoincrement=False),
    Column("labels_until", Timestamp, nullable=False),  # label.received_at up to which hours are counted
    Column("task", Text),  # JSON; NULL while it cannot be told
    Column("decided_from", Text, nullable=False),  # settings and reference that told it
)

label_coverage = Table(
    "label_coverage",
    metadata,
    identity(),
    of_model_version(),
    Column("job_run_id", Identity, ForeignKey("job_run.id")),
    Column("arm", SmallInteger, nullable=False),
    Column("window_start", Timestamp, nullable=False),
    Column("window_end", Timestamp, nullable=False),  # labels of later requests are not due yet
    Column("window_rows", Identity, nullable=False),
    Column("labelled_rows", Identity, nullable=False),
    Column("event_delay_median_seconds", Double),  # from the request until the label became true
    Column("event_delay_p95_seconds", Double),
    Column("arrival_delay_median_seconds", Double),  # from the request until the label came
    Column("arrival_delay_p95_seconds", Double),
    Column("last_event_at", Timestamp, nullable=False),
    Column("computed_at", Timestamp, nullable=False),
    Column("unusable", Text),  # JSON: labelled rows that do not count in performance, by reason
    Index(None, "model_version_id", "computed_at"),
    Index(None, "job_run_id"),
)

report = Table(
    "report",
    metadata,
    identity(),
    of_model_version(),
    Column("window_start", Timestamp, nullable=False),
    Column("window_end", Timestamp, nullable=False),
    Column("made_at", Timestamp, nullable=False),
    Column("mlflow_run_id", Text),  # NULL until MLflow has it
    Column("scheduled", Boolean, nullable=False, server_default=true()),  # its window ends when the schedule says
    Column("verdict", Text),
    Column("claimed_at", Timestamp),  # by the monitor that logs it now
    UniqueConstraint("model_version_id", "window_start", "window_end"),
)

report_file = Table(
    "report_file",
    metadata,
    Column("report_id", Identity, ForeignKey("report.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),  # as the run in MLflow has it; summary.json is the report itself
    Column("content", LargeBinary, nullable=False),  # zstd
)
