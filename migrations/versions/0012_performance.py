"""Performance on labelled rows: hours of it, how far labels are counted, coverage, and more of each result.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | None = None
depends_on: str | None = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("performance_result", sa.Column("reference", sa.Double()))
    op.add_column("performance_result", sa.Column("reason", sa.Text(), nullable=False, server_default=""))
    _hours()
    _coverage()


def _hours() -> None:
    op.create_table(
        "performance_hour",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("hour_start", sa.BigInteger(), nullable=False),
        sa.Column("labelled_rows", IDENTITY, nullable=False),
        sa.Column("last_event_at", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_performance_hour"),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_version.id"], name="fk_performance_hour_model_version_id"
        ),
        sa.UniqueConstraint(
            "model_version_id", "arm", "hour_start", name="uq_performance_hour_model_version_id_arm_hour_start"
        ),
    )
    op.create_index("ix_performance_hour_hour_start", "performance_hour", ["hour_start"])
    op.create_table(
        "performance_progress",
        sa.Column("model_version_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("labels_until", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.Text()),
        sa.Column("decided_from", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model_version_id", name="pk_performance_progress"),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_version.id"], name="fk_performance_progress_model_version_id"
        ),
    )


def _coverage() -> None:
    op.create_table(
        "label_coverage",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("job_run_id", IDENTITY),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("window_rows", IDENTITY, nullable=False),
        sa.Column("labelled_rows", IDENTITY, nullable=False),
        sa.Column("event_delay_median_seconds", sa.Double()),
        sa.Column("event_delay_p95_seconds", sa.Double()),
        sa.Column("arrival_delay_median_seconds", sa.Double()),
        sa.Column("arrival_delay_p95_seconds", sa.Double()),
        sa.Column("last_event_at", sa.BigInteger(), nullable=False),
        sa.Column("computed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_label_coverage"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_label_coverage_model_version_id"),
        sa.ForeignKeyConstraint(["job_run_id"], ["job_run.id"], name="fk_label_coverage_job_run_id"),
    )
    op.create_index(
        "ix_label_coverage_model_version_id_computed_at", "label_coverage", ["model_version_id", "computed_at"]
    )
    op.create_index("ix_label_coverage_job_run_id", "label_coverage", ["job_run_id"])
