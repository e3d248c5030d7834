"""Column types that mean the same on SQLite and PostgreSQL."""

import uuid
from typing import Any

from sqlalchemy import BigInteger, Integer, LargeBinary, types
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.engine import Dialect

# SQLite gives a rowid alias only to INTEGER PRIMARY KEY.
Identity = BigInteger().with_variant(Integer(), "sqlite")

# Microseconds since 1970-01-01 UTC (record 0003).
Timestamp = BigInteger


class InvocationId(types.TypeDecorator[bytes]):
    """Sixteen bytes: ``uuid`` on PostgreSQL, ``BLOB`` on SQLite; ``bytes`` in Python."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(PG_UUID(as_uuid=True))
        return dialect.type_descriptor(LargeBinary(16))

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "postgresql":
            return value
        return uuid.UUID(bytes=value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        return value.bytes if isinstance(value, uuid.UUID) else bytes(value)
