"""Reports: their files in a table of their own, whether the schedule made them, their verdict, who logs them.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | None = None
depends_on: str | None = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "report_file",
        sa.Column("report_id", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("report_id", "name", name="pk_report_file"),
        sa.ForeignKeyConstraint(["report_id"], ["report.id"], name="fk_report_file_report_id", ondelete="CASCADE"),
    )
    op.execute("INSERT INTO report_file SELECT id, 'evidently.html', html FROM report")
    op.execute("INSERT INTO report_file SELECT id, 'summary.json', content FROM report")
    op.drop_column("report", "html")
    op.drop_column("report", "content")
    op.add_column("report", sa.Column("scheduled", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("report", sa.Column("verdict", sa.Text()))
    op.add_column("report", sa.Column("claimed_at", sa.BigInteger()))
