"""A profile: per column the counts of a span of rows, on bins fixed by the reference. Profiles add.

Invariants
----------
- Adding is exactly associative and commutative, whatever the batches: the same rows end in equal profiles.
- A profile counts every row once in every column: in a bin or category, as unseen, missing, infinite or no number.
  A column that the data lacks is missing in all its rows.
- Rows are gathered up to ``_GATHERED_ROWS`` before they are counted; every reader sees them counted.
- A profile belongs to its reference's bins; bytes made on other bins are refused.

Not safe for use by several threads at once.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from driftline.store.errors import ProfileCorrupt
from driftline.store.profile.categorical import CategoricalState, CategoryCounts, UnseenNames
from driftline.store.profile.columns import Layout
from driftline.store.profile.numeric import NumericCounts, NumericState
from driftline.store.profile.packing import Packer, Unpacker

if TYPE_CHECKING:
    from driftline.store.profile.reference import Reference

_MAGIC = b"dpr1"
_HASH_BYTES = 8
_GATHERED_ROWS = 1024
_GATHERED_CELLS = 65536


class Profile:
    """Counts of a span of rows; see the module."""

    def __init__(self, layout: Layout, spec_hash: str) -> None:
        """``Reference.empty_profile`` is the usual way to one."""
        self._layout = layout
        self._spec_hash = spec_hash
        self._rows = 0
        self._numeric = NumericState(layout.numeric)
        self._categorical = CategoricalState(layout.categorical)
        self._gathered = 0
        self._capacity = max(64, min(_GATHERED_ROWS, _GATHERED_CELLS // max(1, len(layout.numeric))))
        self._matrix = np.empty((0, 0))
        self._lanes: list[tuple[str, str, NDArray[np.float64]]] = []
        self._categorical_lanes: list[tuple[str, list[object]]] = [
            (layout.columns[position].column.column_name, []) for position in layout.named
        ]

    @property
    def row_count(self) -> int:
        """Rows added."""
        return self._rows

    def add(self, data: Mapping[str, NDArray[Any]], rows: int) -> None:
        """Count ``rows`` more rows.

        Args:
            data: arrays of ``rows`` cells by column name; others than the profile's columns are passed over.
            rows: how many.

        Raises:
            ValueError: an array has another length.
        """
        for name in self._layout.names:
            cells = data.get(name)
            if cells is not None and len(cells) != rows:
                raise ValueError(f"column {name} has {len(cells)} cells, {rows} rows are added")
        start = 0
        while start < rows:
            stop = min(rows, start + self._capacity - self._gathered)
            self._gather(data, start, stop)
            start = stop
            if self._gathered == self._capacity:
                self._count()
        self._rows += rows

    def _gather(self, data: Mapping[str, NDArray[Any]], start: int, stop: int) -> None:
        at, end = self._gathered, self._gathered + stop - start
        for place, (name, plain_dtypes, lane) in enumerate(self._numeric_lanes()):
            cells = data.get(name)
            if cells is None:
                lane[at:end] = np.nan
                continue
            if end - at != len(cells):
                cells = cells[start:stop]
            if cells.dtype.char in plain_dtypes:
                lane[at:end] = cells
            else:
                self._gather_strange(place, cells, lane[at:end])
        for name, gathered in self._categorical_lanes:
            cells = data.get(name)
            if cells is None:
                gathered.extend([None] * (end - at))
            else:
                gathered.extend((cells if end - at == len(cells) else cells[start:stop]).tolist())
        self._gathered = end

    def _gather_strange(self, place: int, cells: NDArray[Any], lane: NDArray[np.float64]) -> None:
        lane[:], not_numbers = self._layout.columns[self._layout.binned[place]].numbers(cells)
        # What is no number is gathered as NaN, which will be counted as missing.
        self._numeric.tallies[place, 0] -= not_numbers
        self._numeric.tallies[place, 3] += not_numbers

    def _numeric_lanes(self) -> list[tuple[str, str, NDArray[np.float64]]]:
        """Name, dtypes that need no conversion, and gathering row per binned column; made at the first rows."""
        if not self._lanes and self._layout.binned:
            self._matrix = np.empty((len(self._layout.numeric), self._capacity))
            columns = [self._layout.columns[position] for position in self._layout.binned]
            self._lanes = [
                (c.column.column_name, c.plain_dtypes, lane) for c, lane in zip(columns, self._matrix, strict=True)
            ]
        return self._lanes

    def _count(self) -> None:
        if not self._gathered:
            return
        if self._lanes:
            self._numeric.absorb(self._matrix[:, : self._gathered])
        for place, (_, cells) in enumerate(self._categorical_lanes):
            self._categorical.absorb(place, cells)
            cells.clear()
        self._gathered = 0

    def numeric(self, column_name: str) -> NumericCounts:
        """Return the counts on the bins of a numeric, length or text column.

        Raises:
            KeyError: the column has no bins.
        """
        self._count()
        return self._numeric.column(self._layout.numeric_at[column_name])

    def categories(self, column_name: str) -> CategoryCounts:
        """Return the counts of a categorical or text column.

        Raises:
            KeyError: the column has no categories.
        """
        self._count()
        return self._categorical.column(self._layout.categorical_at[column_name])

    def __iadd__(self, other: "Profile") -> Self:
        if self._spec_hash != other._spec_hash:
            raise ValueError("a profile on other bins does not add")
        self._count()
        other._count()
        self._numeric.merge(other._numeric)
        self._categorical.merge(other._categorical)
        self._rows += other._rows
        return self

    def __add__(self, other: "Profile") -> "Profile":
        total = Profile(self._layout, self._spec_hash)
        total += self
        total += other
        return total

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Profile):
            return NotImplemented
        self._count()
        other._count()
        return (
            self._spec_hash == other._spec_hash
            and self._rows == other._rows
            and self._numeric.equals(other._numeric)
            and self._categorical.equals(other._categorical)
        )

    __hash__ = None  # type: ignore[assignment]

    def to_bytes(self) -> bytes:
        """Return the profile for the store: zstd over byte planes, with a checksum."""
        self._count()
        numeric, categorical, body = self._numeric, self._categorical, Packer()
        body.large_numbers([self._rows])
        body.sparse(numeric.counts)
        body.whole_numbers(numeric.offsets[(numeric.counts > 0) & numeric.layout.located])
        body.large_numbers([n for pair in numeric.open_offsets for n in pair])
        body.large_numbers(numeric.squares)
        body.sparse(numeric.tallies.ravel())
        held = numeric.least <= numeric.greatest
        body.sparse(held.astype(np.int64))
        body.floats(numeric.least[held])
        body.floats(numeric.greatest[held])
        body.sparse(categorical.counts)
        body.whole_numbers(categorical.missing)
        body.sparse(categorical.unseen)
        named = {str(c): categorical.names[c].counts for c in np.nonzero(categorical.unseen)[0]}
        body.blob(orjson.dumps(named))
        packed = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(body.to_bytes())
        return _MAGIC + bytes.fromhex(self._spec_hash)[:_HASH_BYTES] + packed

    @classmethod
    def from_bytes(cls, reference: "Reference", raw: bytes) -> "Profile":
        """Return the profile that ``to_bytes`` wrote.

        Raises:
            ProfileCorrupt: the bytes are damaged, no profile, or made on other bins than the reference's.
        """
        profile = reference.empty_profile()
        head = _MAGIC + bytes.fromhex(profile._spec_hash)[:_HASH_BYTES]
        if raw[: len(head)] != head:
            found = "of another reference" if raw[:4] == _MAGIC else "no profile"
            raise ProfileCorrupt(f"expected a profile on the reference's bins, found one {found}: {_NEXT}")
        try:
            profile._fill(Unpacker(zstandard.ZstdDecompressor().decompress(raw[len(head) :])))
        except (zstandard.ZstdError, ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
            raise ProfileCorrupt(f"a stored profile is damaged ({error}): {_NEXT}") from error
        return profile

    def _fill(self, body: Unpacker) -> None:
        numeric, categorical, columns = self._numeric, self._categorical, len(self._layout.numeric)
        (self._rows,) = body.large_numbers(1)
        numeric.counts = body.sparse(numeric.layout.total)
        kept = (numeric.counts > 0) & numeric.layout.located
        numeric.offsets[kept] = body.whole_numbers(int(kept.sum()))
        sums = body.large_numbers(2 * columns)
        numeric.open_offsets = [sums[i : i + 2] for i in range(0, 2 * columns, 2)]
        numeric.squares = body.large_numbers(columns)
        numeric.tallies = body.sparse(numeric.tallies.size).reshape(numeric.tallies.shape)
        held = body.sparse(columns) > 0
        numeric.least[held] = body.floats(int(held.sum()))
        numeric.greatest[held] = body.floats(int(held.sum()))
        categorical.counts = body.sparse(categorical.layout.total)
        categorical.missing = body.whole_numbers(len(categorical.layout))
        categorical.unseen = body.sparse(len(categorical.layout))
        for column, names in orjson.loads(body.blob()).items():
            categorical.names[int(column)] = UnseenNames(names)
        body.end()


_NEXT = "`driftline store verify` says which buckets differ from their rows"
