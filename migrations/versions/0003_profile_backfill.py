"""Backfills of profiles: how far each has come, so that one that was stopped goes on where it was.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "profile_backfill",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("reference_id", IDENTITY, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("next_day", sa.BigInteger(), nullable=False),
        sa.Column("row_count", IDENTITY, nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_profile_backfill"),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_version.id"], name="fk_profile_backfill_model_version_id"
        ),
        sa.ForeignKeyConstraint(["reference_id"], ["reference.id"], name="fk_profile_backfill_reference_id"),
    )
    op.create_index("ix_profile_backfill_model_version_id", "profile_backfill", ["model_version_id"])
