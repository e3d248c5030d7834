"""Labels: those that wait, those that were refused, how many met which fate, and an index of the ids of clients.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SHORT = sa.text("length(client_request_id) <= 512")


def upgrade() -> None:
    op.create_index(
        "ix_invocation_client_request_id",
        "invocation",
        ["client_request_id"],
        postgresql_where=SHORT,
        sqlite_where=SHORT,
    )
    op.create_index("ix_label_received_at", "label", ["received_at"])
    op.create_table(
        "pending_label",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("key_column", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("row_index", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("event_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pending_label"),
        sa.UniqueConstraint("key", "row_index", "value", "key_column", "model_name", name="uq_pending_label"),
    )
    op.create_index("ix_pending_label_next_try_at", "pending_label", ["next_try_at"])
    op.create_table(
        "label_reject",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("key_column", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_label_reject"),
    )
    op.create_index("ix_label_reject_received_at", "label_reject", ["received_at"])
    op.create_table(
        "label_count",
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("fate", sa.Text(), nullable=False),
        sa.Column("labels", IDENTITY, nullable=False),
        sa.Column("counted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model_name", "fate", name="pk_label_count"),
    )
