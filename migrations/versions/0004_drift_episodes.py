"""Episodes of drift and the scores of past hours.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("drift_result", sa.Column("effect", sa.Double()))
    op.add_column("drift_result", sa.Column("since", sa.BigInteger()))
    op.create_table(
        "drift_episode",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("near_at", sa.BigInteger(), nullable=False),
        sa.Column("judgements", sa.Integer(), nullable=False),
        sa.Column("peak", sa.Double(), nullable=False),
        sa.Column("closed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_drift_episode"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_drift_episode_model_version_id"),
    )
    op.create_index("ix_drift_episode_model_version_id_closed_at", "drift_episode", ["model_version_id", "closed_at"])
    op.create_table(
        "drift_history",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("reference_id", IDENTITY, nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("spans", sa.Text(), nullable=False),
        sa.Column("scores", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_drift_history"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_drift_history_model_version_id"),
        sa.ForeignKeyConstraint(["reference_id"], ["reference.id"], name="fk_drift_history_reference_id"),
        sa.UniqueConstraint("model_version_id", "reference_id", "arm", "hour", name="uq_drift_history_hour"),
    )
