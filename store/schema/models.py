"""What is served and what it is compared with: model versions, their prediction tables and references."""

from sqlalchemy import Column, Index, LargeBinary, Table, Text, UniqueConstraint

from driftline.store.column_types import Identity, Timestamp
from driftline.store.schema.base import identity, metadata, of_model_version

model_version = Table(
    "model_version",
    metadata,
    identity(),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # of the signature
    Column("uri", Text, nullable=False),
    Column("run_id", Text),
    Column("model_id", Text),
    Column("alias", Text),
    Column("flavor", Text, nullable=False),
    Column("signature", Text),  # JSON
    Column("prediction_table", Text, nullable=False),
    Column("trained_at", Timestamp),
    Column("first_served_at", Timestamp, nullable=False),
    UniqueConstraint("name", "version", "fingerprint"),
)

prediction_table = Table(
    "prediction_table",
    metadata,
    Column("table_name", Text, primary_key=True),
    Column("model_name", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("columns", Text, nullable=False),  # JSON: how signature names map to column names and types
    Column("created_at", Timestamp, nullable=False),
    UniqueConstraint("model_name", "fingerprint"),
)

reference = Table(
    "reference",
    metadata,
    identity(),
    of_model_version(),
    Column("content", LargeBinary, nullable=False),  # a reference file, whole (profile.reference_file)
    Column("spec_hash", Text, nullable=False),  # of the bins; profiles add only within one
    Column("row_count", Identity, nullable=False),
    Column("source", Text, nullable=False),
    Column("made_at", Timestamp, nullable=False),
    Index(None, "model_version_id", "made_at"),
)
