"""Events of calls that others serve: those that wait for their other half, and what became of all.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | None = None
depends_on: str | None = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "waiting_event",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("model_uri", sa.Text(), nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_waiting_event"),
        sa.UniqueConstraint("key", "side", name="uq_waiting_event"),
    )
    op.create_index("ix_waiting_event_received_at", "waiting_event", ["received_at"])
    op.create_table(
        "event_count",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("fate", sa.Text(), nullable=False),
        sa.Column("events", IDENTITY, nullable=False),
        sa.PrimaryKeyConstraint("service", "fate", name="pk_event_count"),
    )
