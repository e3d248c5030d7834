"""The rows of a request as typed blocks instead of its body: what a scorer that has parsed the body may append.

A record of kind ``TYPED`` is an ``Invocation`` whose ``request`` is what ``TypedLayout.pack`` returned. Where the
outputs lie in it too the ``response`` is empty, else it is the raw answer.

    version u8 | outputs u8 | 0 u16 | rows u32 | blocks of the inputs | blocks of the outputs | texts      little endian

A block holds the columns of one type, in the signature's order, one after the other: ``rows`` numbers each, NaN for a
missing one, or of texts the length in bytes, -1 for a missing one. Blocks follow in the order of ``BLOCK_TYPES``. The
bytes of all texts follow in the order of their lengths.

Invariants
----------
- What is unpacked is what was packed, and is stored as the same request would be whose body is parsed.
- What the blocks cannot hold exactly is not packed: None asks for a raw record.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from driftline.store.payload.typed_cells import Column, storable_text
from driftline.store.prediction_columns import ColumnType, PredictionColumn

BLOCK_TYPES: Final = (
    ColumnType.DOUBLE, ColumnType.FLOAT, ColumnType.LONG, ColumnType.INTEGER, ColumnType.BOOLEAN, ColumnType.STRING,
)  # fmt: skip
_DTYPES: Final[dict[ColumnType, np.dtype[Any]]] = {
    ColumnType.DOUBLE: np.dtype("<f8"), ColumnType.FLOAT: np.dtype("<f4"), ColumnType.LONG: np.dtype("<i8"),
    ColumnType.INTEGER: np.dtype("<i4"), ColumnType.BOOLEAN: np.dtype("?"), ColumnType.STRING: np.dtype("<i4"),
}  # fmt: skip
# Which arrays hold their cells exactly as the answer's JSON would; by NumPy's letters of kinds.
_KINDS: Final[dict[ColumnType, str]] = {
    ColumnType.DOUBLE: "f", ColumnType.FLOAT: "f", ColumnType.LONG: "i", ColumnType.INTEGER: "i",
    ColumnType.BOOLEAN: "b", ColumnType.STRING: "OU",
}  # fmt: skip
_HEADER: Final = struct.Struct("<BBHI")
_VERSION: Final = 1

Cells = NDArray[Any] | Sequence[Any]
_Blocks = list[tuple[ColumnType, list[PredictionColumn]]]


def bodies_may_be_left_out(raw_bodies: Literal["none", "errors", "sample", "all"]) -> bool:
    """Return whether a scorer may send typed records under the loader's policy for raw bodies.

    Answers that are errors are always sent raw.
    """
    return raw_bodies in ("none", "errors")


@dataclass(frozen=True, slots=True)
class TypedPart:
    """Requests of equally many rows each.

    Attributes:
        positions: of the requests in what was unpacked.
        rows: of each of them.
        columns: cells of all of them in that order, by column name; without the outputs where those are not in it.
        has_outputs: whether they are.
    """

    positions: NDArray[np.int64]
    rows: int
    columns: dict[str, Column]
    has_outputs: bool


class TypedLayout:
    """Packs and unpacks the rows of one model; ``of`` is the way to one."""

    def __init__(self, columns: Sequence[PredictionColumn]) -> None:
        self._inputs = _by_block([c for c in columns if c.side == "input"])
        self._outputs = _by_block([c for c in columns if c.side == "output"])
        self._places = {c.column_name: i for side in ("input", "output")
                        for i, c in enumerate(c for c in columns if c.side == side)}  # fmt: skip
        self.outputs_fit = all(c.type in _DTYPES for c in columns if c.side == "output")

    @classmethod
    def of(cls, columns: Sequence[PredictionColumn]) -> "TypedLayout | None":
        """Return the layout of ``prediction_columns``, or None where an input is of a type without blocks."""
        fits = all(c.type in _DTYPES for c in columns if c.side == "input")
        return cls(columns) if fits else None

    def pack(self, inputs: Sequence[Cells | None], outputs: Sequence[Cells] | None, rows: int) -> bytes | None:
        """Return the ``request`` of a typed record, or None where a raw one is needed.

        Args:
            inputs: cells of each input column in the signature's order, as the model received them; texts with None
                for missing; None for a whole column that is absent.
            outputs: cells of each output column, as the model returned them; None leaves them to the raw response,
                and so does the caller that finds ``outputs_fit`` false.
            rows: of every column.
        """
        texts: list[bytes] = []
        parts = [_HEADER.pack(_VERSION, outputs is not None, 0, rows)]
        try:
            parts += self._packed_side(self._inputs, inputs, rows, texts)
            if outputs is not None:
                parts += self._packed_side(self._outputs, outputs, rows, texts)
        except _NotExact:
            return None
        return b"".join(parts + texts)

    def pack_blocks(self, blocks: Sequence[NDArray[Any]], outputs: Sequence[Cells] | None, rows: int) -> bytes | None:
        """Return the same, faster, of inputs that lie in one array of shape (columns, rows) for each type.

        Args:
            blocks: one per type that the inputs have, in the order of ``BLOCK_TYPES``, every column of it present.
        """
        texts: list[bytes] = []
        parts = [_HEADER.pack(_VERSION, outputs is not None, 0, rows)]
        try:
            for (type_, columns), block in zip(self._inputs, blocks, strict=True):
                if block.shape != (len(columns), rows):
                    return None
                if type_ is ColumnType.STRING:
                    parts += (_packed(type_, column, rows, texts) for column in block)
                elif block.dtype == _DTYPES[type_]:
                    parts.append(block.tobytes())
                else:
                    return None
            if outputs is not None:
                parts += self._packed_side(self._outputs, outputs, rows, texts)
        except _NotExact:
            return None
        return b"".join(parts + texts)

    def _packed_side(
        self, side: _Blocks, cells: Sequence[Cells | None], rows: int, texts: list[bytes]
    ) -> Iterator[bytes]:
        for type_, columns in side:
            for column in columns:
                yield _packed(type_, cells[self._places[column.column_name]], rows, texts)

    def unpack(self, requests: Sequence[bytes]) -> tuple[list[TypedPart], dict[int, str]]:
        """Return the rows of ``requests`` and, by position, why a request is none of this layout."""
        refused: dict[int, str] = {}
        alike: dict[tuple[int, int], list[int]] = {}
        for position, request in enumerate(requests):
            if len(request) < _HEADER.size or request[0] != _VERSION or request[1] > self.outputs_fit:
                refused[position] = "the typed rows are of an unknown kind"
                continue
            _, outputs, _, rows = _HEADER.unpack_from(request)
            alike.setdefault((rows, outputs), []).append(position)
        parts = []
        for (rows, outputs), positions in alike.items():
            if (part := self._unpacked(requests, positions, rows, bool(outputs), refused)) is not None:
                parts.append(part)
        return parts, refused

    def _unpacked(
        self, requests: Sequence[bytes], positions: list[int], rows: int, outputs: bool, refused: dict[int, str]
    ) -> TypedPart | None:
        sides = [*self._inputs, *(self._outputs if outputs else ())]
        named = [(c.column_name, type_) for type_, columns in sides for c in columns]
        size = _HEADER.size + rows * sum(_DTYPES[type_].itemsize for _, type_ in named)
        texts = [name for name, type_ in named if type_ is ColumnType.STRING]
        whole = [p for p in positions if (len(requests[p]) >= size if texts else len(requests[p]) == size)]
        refused.update((p, "the typed rows do not fit the signature") for p in set(positions) - set(whole))
        if not whole:
            return None
        layout = np.dtype([("", f"V{_HEADER.size}"), *((name, _DTYPES[type_], (rows,)) for name, type_ in named)])
        raw = np.frombuffer(b"".join([requests[p][:size] if texts else requests[p] for p in whole]), layout)
        if texts:
            lengths = np.concatenate([raw[name] for name in texts], axis=1)
            tails = np.fromiter((len(requests[p]) - size for p in whole), np.int64, len(whole))
            fits = (np.maximum(lengths, 0).sum(axis=1, dtype=np.int64) == tails) & (lengths >= -1).all(axis=1)
            refused.update((whole[i], "the texts of typed rows are cut") for i in np.flatnonzero(~fits).tolist())
            raw, lengths = raw[fits], lengths[fits]
            whole = [p for p, fit in zip(whole, fits.tolist(), strict=True) if fit]
        columns = {name: raw[name].reshape(-1) for name, type_ in named if type_ is not ColumnType.STRING}
        if texts:
            columns |= _texts(texts, rows, lengths, [requests[p][size:] for p in whole])
        return TypedPart(np.array(whole, np.int64), rows, columns, outputs)


def _texts(names: list[str], rows: int, lengths: NDArray[Any], tails: list[bytes]) -> dict[str, Column]:
    cells = np.empty(lengths.shape, np.object_)
    for i, tail in enumerate(tails):
        cells[i] = list(_cut(tail, lengths[i].tolist()))
    return {name: cells[:, i * rows : (i + 1) * rows].reshape(-1) for i, name in enumerate(names)}


def _cut(tail: bytes, lengths: list[int]) -> Iterator[str | None]:
    start = 0
    for length in lengths:
        if length < 0:
            yield None
            continue
        yield storable_text(tail[start : start + length].decode(errors="replace"))
        start += length


class _NotExact(Exception):
    """The blocks cannot hold these cells."""


def _packed(type_: ColumnType, cells: Cells | None, rows: int, texts: list[bytes]) -> bytes:
    if type_ is ColumnType.STRING:
        if cells is None:
            cells = [None] * rows
        return _packed_texts(cells.tolist() if isinstance(cells, np.ndarray) else list(cells), rows, texts)
    if cells is None:
        if type_ not in (ColumnType.DOUBLE, ColumnType.FLOAT):
            raise _NotExact
        return np.full(rows, np.nan, _DTYPES[type_]).tobytes()
    try:
        array = np.asarray(cells)
    except (ValueError, OverflowError) as error:
        raise _NotExact from error
    if array.shape != (rows,) or array.dtype.kind not in _KINDS[type_] or array.dtype.itemsize > 8:
        raise _NotExact
    if type_ is ColumnType.INTEGER and rows and not -(2**31) <= int(array.min()) <= int(array.max()) < 2**31:
        raise _NotExact
    with np.errstate(over="ignore"):
        return array.astype(_DTYPES[type_], copy=False).tobytes()


def _packed_texts(cells: list[Any], rows: int, texts: list[bytes]) -> bytes:
    if len(cells) != rows or not {str, type(None)}.issuperset(map(type, cells)):
        raise _NotExact
    try:
        encoded = [None if cell is None else cell.encode() for cell in cells]
    except UnicodeEncodeError as error:  # a lone surrogate
        raise _NotExact from error
    texts += (text for text in encoded if text is not None)
    return np.array([-1 if text is None else len(text) for text in encoded], "<i4").tobytes()


def _by_block(columns: Sequence[PredictionColumn]) -> _Blocks:
    grouped = [(type_, [c for c in columns if c.type is type_]) for type_ in BLOCK_TYPES]
    return [(type_, own) for type_, own in grouped if own]
