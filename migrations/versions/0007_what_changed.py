"""What changed in a drifted column, and how much the model relies on it.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.add_column("drift_result", sa.Column("picture", sa.Text()))
    op.add_column("drift_result", sa.Column("importance", sa.Double()))
