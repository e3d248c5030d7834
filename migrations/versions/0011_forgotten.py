"""What was forgotten at somebody's request, by day and model version.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | None = None
depends_on: str | None = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "forgotten_day",
        sa.Column("day_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_version_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("row_count", IDENTITY, nullable=False),
        sa.Column("dead_letters", IDENTITY, nullable=False),
        sa.Column("forgotten_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day_start", "model_version_id", name="pk_forgotten_day"),
    )
