"""Retention: what was pruned, by day, and the indexes that deletes by age need.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INDEXES = (
    ("profile", "bucket_start"),
    ("dead_letter", "at"),
    ("drift_result", "job_run_id"),
    ("quality_result", "job_run_id"),
    ("performance_result", "job_run_id"),
)


def upgrade() -> None:
    op.create_table(
        "pruned_day",
        sa.Column("day_start", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("invocations", COUNT, nullable=False),
        sa.Column("row_count", COUNT, nullable=False),
        sa.Column("dead_letters", COUNT, nullable=False),
        sa.Column("pruned_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day_start", name="pk_pruned_day"),
    )
    for table, column in INDEXES:
        op.create_index(f"ix_{table}_{column}", table, [column])
