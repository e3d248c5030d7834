"""Profiles and verdicts by segment.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "segment_profile",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("reference_id", IDENTITY, nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("hour_start", sa.BigInteger(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("row_count", IDENTITY, nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_segment_profile"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_segment_profile_model_version_id"),
        sa.ForeignKeyConstraint(["reference_id"], ["reference.id"], name="fk_segment_profile_reference_id"),
        sa.UniqueConstraint(
            "model_version_id", "reference_id", "arm", "spec", "hour_start", "segment", name="uq_segment_profile_hour"
        ),
    )
    _index("segment_profile", "hour_start")
    op.create_table(
        "segment_result",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("job_run_id", IDENTITY),
        sa.Column("reference_id", IDENTITY, nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("segment_column", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("window_rows", IDENTITY, nullable=False),
        sa.Column("reference_rows", IDENTITY, nullable=False),
        sa.Column("side", sa.Text()),
        sa.Column("column_name", sa.Text()),
        sa.Column("statistic", sa.Text()),
        sa.Column("score", sa.Double()),
        sa.Column("threshold", sa.Double()),
        sa.Column("judged", sa.Integer(), nullable=False),
        sa.Column("drifted", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger()),
        sa.Column("near_at", sa.BigInteger()),
        sa.Column("judgements", sa.Integer()),
        sa.Column("peak", sa.Double()),
        sa.Column("spans", sa.Text(), nullable=False),
        sa.Column("scores", sa.LargeBinary(), nullable=False),
        sa.Column("computed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_segment_result"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_segment_result_model_version_id"),
        sa.ForeignKeyConstraint(["job_run_id"], ["job_run.id"], name="fk_segment_result_job_run_id"),
        sa.ForeignKeyConstraint(["reference_id"], ["reference.id"], name="fk_segment_result_reference_id"),
    )
    _index("segment_result", "model_version_id", "arm", "window_end")
    _index("segment_result", "job_run_id")
    _index("segment_result", "computed_at")


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
