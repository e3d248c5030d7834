"""Performance by segment: hours of labelled rows, how far labels are counted, and verdicts.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | None = None
depends_on: str | None = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _hours()
    _results()


def _hours() -> None:
    op.create_table(
        "segment_performance_hour",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("hour_start", sa.BigInteger(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("labelled_rows", IDENTITY, nullable=False),
        sa.Column("last_event_at", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_segment_performance_hour"),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_version.id"], name="fk_segment_performance_hour_model_version_id"
        ),
        sa.UniqueConstraint(
            "model_version_id", "spec", "arm", "hour_start", "segment", name="uq_segment_performance_hour"
        ),
    )
    op.create_index("ix_segment_performance_hour_hour_start", "segment_performance_hour", ["hour_start"])
    op.create_table(
        "segment_performance_progress",
        sa.Column("model_version_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("labels_until", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model_version_id", "spec", name="pk_segment_performance_progress"),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_version.id"], name="fk_segment_performance_progress_model_version_id"
        ),
    )


def _results() -> None:
    op.create_table(
        "segment_performance_result",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("job_run_id", IDENTITY),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("segment_column", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("labelled_rows", IDENTITY, nullable=False),
        sa.Column("reference_rows", IDENTITY, nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("low", sa.Double()),
        sa.Column("high", sa.Double()),
        sa.Column("reference", sa.Double()),
        sa.Column("threshold", sa.Double()),
        sa.Column("judged", sa.Integer(), nullable=False),
        sa.Column("breached", sa.Integer(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_segment_performance_result"),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_version.id"], name="fk_segment_performance_result_model_version_id"
        ),
        sa.ForeignKeyConstraint(["job_run_id"], ["job_run.id"], name="fk_segment_performance_result_job_run_id"),
    )
    op.create_index(
        "ix_segment_performance_result_model_version_id_arm_window_end",
        "segment_performance_result",
        ["model_version_id", "arm", "window_end"],
    )
    op.create_index("ix_segment_performance_result_job_run_id", "segment_performance_result", ["job_run_id"])
    op.create_index("ix_segment_performance_result_computed_at", "segment_performance_result", ["computed_at"])
