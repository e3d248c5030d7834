"""Load typed columns into a table by the engine's fastest sound way, inside the caller's transaction.

PostgreSQL: binary ``COPY`` whose bytes NumPy lays out, row after row: every fixed-width column is a field of one
structured array, missing cells are cut out of it by a mask, columns of varying width follow each row. SQLite: tuples
by ``executemany``.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ARRAY, Boolean, Connection, Double, Integer, LargeBinary, SmallInteger, Table, Text, types

from driftline.store.column_types import InvocationId

_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_FLOAT8_OID = 701
_ROWS_A_WRITE = 4096
_ROWS_A_STATEMENT = 16
_FEWEST_VARIABLES = 999  # that any build of SQLite takes in one statement

Cells = NDArray[Any] | list[Any]


def insert_rows(connection: Connection, table: Table, columns: Mapping[str, Cells], rows: int) -> None:
    """Insert ``rows`` rows.

    Args:
        connection: in a transaction; nothing is committed.
        table: whose column types say how cells are written.
        columns: cells by column name, each of length ``rows``. Numbers as arrays, with None or NaN for missing;
            text and bytes as lists or object arrays; invocation ids as ``V16``; an array column as a matrix.

    Raises:
        Exception: what the driver raises, unwrapped, where the database refuses.
    """
    if rows == 0:
        return
    if connection.dialect.name == "postgresql":
        _copy(connection, table, columns, rows)
    else:
        _executemany(connection, table, columns, rows)


def _executemany(connection: Connection, table: Table, columns: Mapping[str, Cells], count: int) -> None:
    """Bind only what varies: a column of one whole number is written into the statement, one of NULL left out.

    Several rows a statement spare SQLite a third of its work.
    """
    values: list[str] = []
    names: list[str] = []
    varying: list[Iterable[Any]] = []
    last = list(columns)[-1]
    for name, cells in columns.items():
        listed = _listed(cells)
        first = listed[0]
        constant = (first is None or type(first) is int) and listed.count(first) == len(listed)
        constant &= bool(varying) or name != last  # one at least is bound
        if constant and first is None:
            continue
        names.append(f'"{name}"')
        values.append(str(first) if constant else "?")
        if not constant:
            varying.append(listed)
    driver: Any = connection.connection.driver_connection
    statement = f'INSERT INTO "{table.name}" ({", ".join(names)}) VALUES '  # noqa: S608 - see above
    one = f"({', '.join(values)})"
    at_once = max(1, min(_ROWS_A_STATEMENT, _FEWEST_VARIABLES // len(varying)))
    rows = zip(*varying, strict=True)
    laid = itertools.chain.from_iterable(itertools.islice(rows, count // at_once * at_once))
    many = zip(*[laid] * (at_once * len(varying)), strict=True)
    driver.executemany(statement + ", ".join([one] * at_once), many).close()
    driver.executemany(statement + one, rows).close()


def _listed(cells: Cells) -> list[Any]:
    if isinstance(cells, list):
        return cells
    if cells.dtype.kind == "V":
        raw, size = cells.tobytes(), cells.dtype.itemsize
        return [raw[i : i + size] for i in range(0, len(raw), size)]
    if cells.ndim == 2:
        return [row.tobytes() for row in cells.astype("<f8")]
    listed: list[Any] = cells.tolist()
    return listed


def _copy(connection: Connection, table: Table, columns: Mapping[str, Cells], rows: int) -> None:
    fixed: list[_Fixed] = []
    varying: dict[str, list[bytes]] = {}
    for name, cells in columns.items():
        type_ = table.c[name].type
        if isinstance(type_, Text | LargeBinary) and not isinstance(type_, InvocationId):
            listed = cells if isinstance(cells, list) else cells.tolist()
            if listed.count(listed[0]) == rows:
                field = _fields(listed[:1], isinstance(type_, Text))[0]
                fixed.append(_Fixed(name, np.full(rows, np.void(field)), None, framed=True))
            else:
                varying[name] = _fields(listed, isinstance(type_, Text))
        else:
            fixed.append(_fixed(name, type_, cells))
    names = ", ".join(f'"{name}"' for name in [*(field.name for field in fixed), *varying])
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN (FORMAT BINARY)') as copy:
        copy.write(_COPY_HEADER)
        for start in range(0, rows, _ROWS_A_WRITE):  # the server takes these while the next are laid out
            part = slice(start, min(start + _ROWS_A_WRITE, rows))
            texts = [fields[part] for fields in varying.values()]
            copy.write(_rows([column.part(part) for column in fixed], texts, part.stop - start))
        copy.write(_COPY_TRAILER)


class _Fixed:
    """A column whose cells all have one width; ``framed`` cells carry their length word already."""

    __slots__ = ("cells", "framed", "missing", "name")

    def __init__(self, name: str, cells: NDArray[Any], missing: NDArray[np.bool_] | None, framed: bool = False) -> None:
        self.name, self.cells, self.missing, self.framed = name, cells, missing, framed

    def part(self, rows: slice) -> "_Fixed":
        missing = None if self.missing is None else self.missing[rows]
        return _Fixed(self.name, self.cells[rows], missing, self.framed)


def _fixed(name: str, type_: types.TypeEngine[Any], cells: Cells) -> _Fixed:
    array = np.asarray(cells)
    if isinstance(type_, InvocationId):
        return _Fixed(name, array, None)
    if isinstance(type_, ARRAY):
        return _Fixed(name, _arrays(array), None)
    target = _wire_dtype(type_)
    missing = None
    if array.dtype == np.object_:
        missing = np.fromiter((cell is None for cell in array), np.bool_, len(array))
        array = np.array([0 if cell is None else cell for cell in array], target)
    elif array.dtype.kind == "f":
        missing = np.isnan(array)
    if missing is not None and not missing.any():
        missing = None
    return _Fixed(name, array.astype(target, copy=False), missing)


def _wire_dtype(type_: types.TypeEngine[Any]) -> str:
    if isinstance(type_, Double):
        return ">f8"
    if isinstance(type_, types.REAL):
        return ">f4"
    if isinstance(type_, Boolean):
        return "u1"
    if isinstance(type_, SmallInteger):
        return ">i2"
    return ">i8" if isinstance(type_, types.BigInteger) else ">i4" if isinstance(type_, Integer) else _unknown(type_)


def _unknown(type_: types.TypeEngine[Any]) -> str:
    raise TypeError(f"no wire format for {type_!r}")


def _arrays(matrix: NDArray[Any]) -> NDArray[Any]:
    """Lay out each row of ``matrix`` as PostgreSQL's ``float8[]``."""
    rows, width = matrix.shape
    element = np.dtype([("length", ">i4"), ("cell", ">f8")])
    arrays = np.empty(rows, np.dtype([("head", ">i4", 5), ("cells", element, width)]))
    arrays["head"] = (1, 0, _FLOAT8_OID, width, 1)
    arrays["cells"]["length"] = 8
    arrays["cells"]["cell"] = matrix
    return arrays


def _fields(cells: list[Any], text: bool) -> list[bytes]:
    """Return the framed field of every cell; equal cells are framed once."""
    framed: dict[Any, bytes] = {None: _NULL}
    fields = []
    for cell in cells:
        field = framed.get(cell)
        if field is None:
            raw = cell.encode() if text else cell
            field = len(raw).to_bytes(4, "big") + raw
            if len(raw) < 64:
                framed[cell] = field
        fields.append(field)
    return fields


def _rows(fixed: Sequence[_Fixed], varying: Sequence[list[bytes]], rows: int) -> bytes:
    layout: list[tuple[str, Any]] = [("fields", ">i2")]
    for i, column in enumerate(fixed):
        layout += (
            [(f"c{i}", column.cells.dtype)] if column.framed else [(f"l{i}", ">i4"), (f"c{i}", column.cells.dtype)]
        )
    laid = np.empty(rows, np.dtype(layout))
    laid["fields"] = len(fixed) + len(varying)
    for i, column in enumerate(fixed):
        laid[f"c{i}"] = column.cells
        if not column.framed:
            length = column.cells.dtype.itemsize
            laid[f"l{i}"] = length if column.missing is None else np.where(column.missing, -1, length)
    width = laid.dtype.itemsize
    holes = [(i, column.missing) for i, column in enumerate(fixed) if column.missing is not None]
    if not holes:
        whole = laid.tobytes()
        ends: Sequence[int] = range(width, width * rows + 1, width) if varying else ()
    else:
        kept = np.ones((rows, width), np.bool_)
        for i, missing in holes:
            _, start = laid.dtype.fields[f"c{i}"][:2]  # type: ignore[index]
            kept[missing, start : start + fixed[i].cells.dtype.itemsize] = False
        whole = laid.view(np.uint8).reshape(rows, width)[kept].tobytes()
        ends = np.cumsum(kept.sum(axis=1)).tolist() if varying else ()
    if not varying:
        return whole
    starts = itertools.chain((0,), ends)
    heads = [whole[start:end] for start, end in zip(starts, ends, strict=False)]
    return b"".join(itertools.chain.from_iterable(zip(heads, *varying, strict=True)))
