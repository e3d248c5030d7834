"""The frozen history of the store schema (Alembic)."""
