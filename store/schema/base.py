"""What the tables of the store have in common."""

from sqlalchemy import Column, ForeignKey, MetaData

from driftline.store.column_types import Identity

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def identity() -> Column[int]:
    return Column("id", Identity, primary_key=True, autoincrement=True)


def of_model_version() -> Column[int]:
    return Column("model_version_id", Identity, ForeignKey("model_version.id"), nullable=False)
