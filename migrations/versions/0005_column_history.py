"""An index for one column's scores over time.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None

COLUMNS = ["model_version_id", "column_name", "computed_at"]


def upgrade() -> None:
    op.create_index("ix_drift_result_model_version_id_column_name_computed_at", "drift_result", COLUMNS)
