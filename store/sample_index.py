"""Which rows a sample is drawn from: a sixteenth of the invocations, chosen by the random end of their ids, indexed.

A sample is the rows with the smallest hashes, so whatever window it is drawn from, a large one finds it among the
indexed sixteenth and reads no other row. The index costs a sixteenth of what an index costs.
"""

from typing import Any

from sqlalchemy import ColumnElement, Index, LargeBinary
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

INDEXED_SHARE = 1 / 16
_BOUND = int(2**32 * INDEXED_SHARE).to_bytes(4).hex()


class IdHash(ColumnElement[bytes]):
    """Four bytes per invocation id: its last ones, which a UUIDv7 draws at random."""

    inherit_cache = True
    type = LargeBinary()


class IsIndexed(ColumnElement[bool]):
    """Whether an invocation is of the sixteenth; written as a constant, so that the engines know the index by it."""

    inherit_cache = True


@compiles(IdHash)
def _id_hash(element: IdHash, compiler: SQLCompiler, **_: Any) -> str:
    return "substr(invocation_id, 13, 4)"


@compiles(IdHash, "postgresql")
def _id_hash_of_uuid(element: IdHash, compiler: SQLCompiler, **_: Any) -> str:
    return "substr(uuid_send(invocation_id), 13, 4)"


@compiles(IsIndexed)
def _is_indexed(element: IsIndexed, compiler: SQLCompiler, **options: Any) -> str:
    return f"{compiler.process(IdHash(), **options)} < x'{_BOUND}'"


@compiles(IsIndexed, "postgresql")
def _is_indexed_bytea(element: IsIndexed, compiler: SQLCompiler, **options: Any) -> str:
    return f"{compiler.process(IdHash(), **options)} < '\\x{_BOUND}'::bytea"


def sample_index(table_name: str) -> Index:
    """Return the index of a prediction table that samples are drawn by."""
    return Index(
        f"{table_name}_sample", IdHash(), "received_at", postgresql_where=IsIndexed(), sqlite_where=IsIndexed()
    )
