"""The first schema: models, traffic, spools, results, events and reports.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INVOCATION_ID = sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")


def upgrade() -> None:
    _models()
    _traffic()
    _spools()
    _results()
    _diary()


def _models() -> None:
    op.create_table(
        "model_version",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text()),
        sa.Column("model_id", sa.Text()),
        sa.Column("alias", sa.Text()),
        sa.Column("flavor", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text()),
        sa.Column("prediction_table", sa.Text(), nullable=False),
        sa.Column("trained_at", sa.BigInteger()),
        sa.Column("first_served_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_model_version"),
        sa.UniqueConstraint("name", "version", "fingerprint", name="uq_model_version_name_version_fingerprint"),
    )
    op.create_table(
        "prediction_table",
        sa.Column("table_name", sa.Text(), nullable=False, autoincrement=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", name="pk_prediction_table"),
        sa.UniqueConstraint("model_name", "fingerprint", name="uq_prediction_table_model_name_fingerprint"),
    )
    op.create_table(
        "reference",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("spec_hash", sa.Text(), nullable=False),
        sa.Column("row_count", IDENTITY, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reference"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_reference_model_version_id"),
    )
    op.create_index("ix_reference_model_version_id_made_at", "reference", ["model_version_id", "made_at"])


def _traffic() -> None:
    op.create_table(
        "invocation",
        sa.Column("id", INVOCATION_ID, nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("latency_us", IDENTITY, nullable=False),
        sa.Column("parse_us", IDENTITY, nullable=False),
        sa.Column("predict_us", IDENTITY, nullable=False),
        sa.Column("encode_us", IDENTITY, nullable=False),
        sa.Column("content_type", sa.Text()),
        sa.Column("client_request_id", sa.Text()),
        sa.Column("error_code", sa.Text()),
        sa.Column("parse_error", sa.Text()),
        sa.Column("request_body", sa.LargeBinary()),
        sa.Column("response_body", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", "received_at", name="pk_invocation"),
        postgresql_partition_by="RANGE (received_at)",
    )
    op.create_index("ix_invocation_received_at", "invocation", ["received_at"], postgresql_using="brin")
    if op.get_bind().dialect.name == "postgresql":  # for clocks that jump; days are made ahead at run time
        op.execute("CREATE TABLE invocation_default PARTITION OF invocation DEFAULT")
    op.create_table(
        "profile",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("reference_id", IDENTITY, nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("bucket_start", sa.BigInteger(), nullable=False),
        sa.Column("span_seconds", sa.Integer(), nullable=False),
        sa.Column("writer", sa.Text(), nullable=False),
        sa.Column("row_count", IDENTITY, nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_profile"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_profile_model_version_id"),
        sa.ForeignKeyConstraint(["reference_id"], ["reference.id"], name="fk_profile_reference_id"),
        sa.UniqueConstraint(
            "model_version_id",
            "reference_id",
            "arm",
            "bucket_start",
            "span_seconds",
            "writer",
            name="uq_profile_bucket",
        ),
    )
    op.create_table(
        "label",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("invocation_id", INVOCATION_ID, nullable=False),
        sa.Column("row_index", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("event_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_label"),
        sa.UniqueConstraint("invocation_id", "row_index", name="uq_label_invocation_id_row_index"),
    )


def _spools() -> None:
    op.create_table(
        "spool",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spool"),
        sa.UniqueConstraint("uuid", name="uq_spool_uuid"),
    )
    op.create_table(
        "spool_position",
        sa.Column("spool_id", IDENTITY, nullable=False, autoincrement=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("offset", IDENTITY, nullable=False),
        sa.Column("seq", IDENTITY, nullable=False),
        sa.Column("stored", IDENTITY, nullable=False),
        sa.Column("dropped", IDENTITY, nullable=False),
        sa.Column("quarantined", IDENTITY, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("spool_id", name="pk_spool_position"),
        sa.ForeignKeyConstraint(["spool_id"], ["spool.id"], name="fk_spool_position_spool_id"),
    )
    op.create_table(
        "spool_gap",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("spool_id", IDENTITY, nullable=False),
        sa.Column("first_seq", IDENTITY, nullable=False),
        sa.Column("last_seq", IDENTITY, nullable=False),
        sa.Column("record_count", IDENTITY, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("from_at", sa.BigInteger()),
        sa.Column("to_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_spool_gap"),
        sa.ForeignKeyConstraint(["spool_id"], ["spool.id"], name="fk_spool_gap_spool_id"),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("spool_id", IDENTITY, nullable=False),
        sa.Column("seq", IDENTITY, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letter"),
        sa.ForeignKeyConstraint(["spool_id"], ["spool.id"], name="fk_dead_letter_spool_id"),
    )


def _results() -> None:
    op.create_table(
        "job_run",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("model_version_id", IDENTITY),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("message", sa.Text()),
        sa.Column("mlflow_run_id", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_job_run"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_job_run_model_version_id"),
    )
    op.create_index("ix_job_run_job_model_version_id_started_at", "job_run", ["job", "model_version_id", "started_at"])
    op.create_table(
        "drift_result",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("job_run_id", IDENTITY),
        sa.Column("reference_id", IDENTITY, nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("statistic", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("window_rows", IDENTITY, nullable=False),
        sa.Column("score", sa.Double()),
        sa.Column("threshold", sa.Double()),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("missing_share", sa.Double()),
        sa.Column("reference_missing_share", sa.Double()),
        sa.Column("unseen_share", sa.Double()),
        sa.Column("out_of_range_share", sa.Double()),
        sa.Column("computed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_drift_result"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_drift_result_model_version_id"),
        sa.ForeignKeyConstraint(["job_run_id"], ["job_run.id"], name="fk_drift_result_job_run_id"),
        sa.ForeignKeyConstraint(["reference_id"], ["reference.id"], name="fk_drift_result_reference_id"),
    )
    op.create_index("ix_drift_result_model_version_id_computed_at", "drift_result", ["model_version_id", "computed_at"])
    op.create_table(
        "quality_result",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("job_run_id", IDENTITY),
        sa.Column("check_name", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("window_rows", IDENTITY, nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("threshold", sa.Double()),
        sa.Column("breached", sa.Boolean()),
        sa.Column("computed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quality_result"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_quality_result_model_version_id"),
        sa.ForeignKeyConstraint(["job_run_id"], ["job_run.id"], name="fk_quality_result_job_run_id"),
    )
    op.create_index(
        "ix_quality_result_model_version_id_computed_at", "quality_result", ["model_version_id", "computed_at"]
    )
    op.create_table(
        "performance_result",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("job_run_id", IDENTITY),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("labelled_rows", IDENTITY, nullable=False),
        sa.Column("window_rows", IDENTITY, nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("low", sa.Double()),
        sa.Column("high", sa.Double()),
        sa.Column("threshold", sa.Double()),
        sa.Column("breached", sa.Boolean()),
        sa.Column("computed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_performance_result"),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_version.id"], name="fk_performance_result_model_version_id"
        ),
        sa.ForeignKeyConstraint(["job_run_id"], ["job_run.id"], name="fk_performance_result_job_run_id"),
    )
    op.create_index(
        "ix_performance_result_model_version_id_computed_at", "performance_result", ["model_version_id", "computed_at"]
    )


def _diary() -> None:
    op.create_table(
        "event",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("model_version_id", IDENTITY),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_event_model_version_id"),
    )
    op.create_index("ix_event_at", "event", ["at"])
    op.create_table(
        "report",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("html", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("mlflow_run_id", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_report"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_report_model_version_id"),
        sa.UniqueConstraint(
            "model_version_id", "window_start", "window_end", name="uq_report_model_version_id_window_start_window_end"
        ),
    )
