"""Findings on data quality, cells that MLflow coerced, and the multivariate check.

Nothing was ever written to ``quality_result`` before, so it is made anew.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.drop_table("quality_result")
    op.create_table(
        "quality_result",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("job_run_id", IDENTITY),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("window_rows", IDENTITY, nullable=False),
        sa.Column("observed", sa.Double()),
        sa.Column("expected", sa.Double()),
        sa.Column("threshold", sa.Double()),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quality_result"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_quality_result_model_version_id"),
        sa.ForeignKeyConstraint(["job_run_id"], ["job_run.id"], name="fk_quality_result_job_run_id"),
    )
    _index("quality_result", "model_version_id", "computed_at")
    _index("quality_result", "job_run_id")
    op.create_table(
        "coerced_cells",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("hour_start", sa.BigInteger(), nullable=False),
        sa.Column("writer", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("coercion", sa.Text(), nullable=False),
        sa.Column("cells", IDENTITY, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_coerced_cells"),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_version.id"], name="fk_coerced_cells_model_version_id"),
        sa.UniqueConstraint(
            "model_version_id", "arm", "hour_start", "writer", "column_name", "coercion", name="uq_coerced_cells_hour"
        ),
    )
    _index("coerced_cells", "hour_start")
    op.create_table(
        "multivariate_result",
        sa.Column("id", IDENTITY, nullable=False, autoincrement=True),
        sa.Column("model_version_id", IDENTITY, nullable=False),
        sa.Column("job_run_id", IDENTITY),
        sa.Column("reference_id", IDENTITY, nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("window_rows", IDENTITY, nullable=False),
        sa.Column("reference_rows", IDENTITY, nullable=False),
        sa.Column("auc", sa.Double()),
        sa.Column("z", sa.Double()),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_multivariate_result"),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_version.id"], name="fk_multivariate_result_model_version_id"
        ),
        sa.ForeignKeyConstraint(["job_run_id"], ["job_run.id"], name="fk_multivariate_result_job_run_id"),
        sa.ForeignKeyConstraint(["reference_id"], ["reference.id"], name="fk_multivariate_result_reference_id"),
    )
    _index("multivariate_result", "model_version_id", "computed_at")
    _index("multivariate_result", "job_run_id")


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
