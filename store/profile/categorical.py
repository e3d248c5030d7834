"""The categorical half of a profile: counts of the reference's categories and of what the reference never held.

Invariants
----------
- Counts are integers, so adding is exactly associative and commutative.
- Names outside the reference are kept with bounded memory: those ``UNSEEN_NAMES`` whose hash is least. A name among
  the least of the whole is among the least of every part that holds it, so names and their counts are as exact,
  associative and commutative as the rest; beyond the bound the names shown are a sample, the total stays exact.
- A category's key is text: ``category_key``.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.store.profile.cells import is_missing

UNSEEN_NAMES = 100
_LONGEST_NAME = 200
_TEXT = frozenset({str, type(None)})
_EVEN_KEYS = frozenset({frozenset({bool, type(None)}), frozenset({int, type(None)})})


def category_key(cell: object) -> str | None:
    """Return the key under which a cell is counted, None for a missing one.

    Text is its own key. Numbers that are whole have the digits of the whole number, so 1, 1.0 and ``"1"`` are one
    category; other numbers are written as Python writes them; booleans are ``"True"`` and ``"False"``. Bytes are
    hexadecimal after ``0x``. Anything else is its ``str``.
    """
    if isinstance(cell, str):
        return str(cell)
    if isinstance(cell, np.generic):
        cell = cell.item()
    if is_missing(cell):
        return None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**63:
        return str(int(cell))
    if isinstance(cell, (bytes, bytearray, memoryview)):
        return "0x" + bytes(cell).hex()
    return str(cell)


def storable_name(key: str) -> str:
    """Return the key as it is stored: valid UTF-8, at most 217 characters; a longer one keeps its start and a hash."""
    name = key.encode("utf-8", "backslashreplace").decode()
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}~{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"


def count_categories(cells: Sequence[object]) -> dict[str | None, int]:
    """Return rows per key; the missing ones under None."""
    if len(cells) and type(cells[0]) in _TEXT and (counted := _count_text(cells)) is not None:
        return counted
    types = frozenset(map(type, cells))
    if types in _EVEN_KEYS or types | {type(None)} in _EVEN_KEYS:
        return {category_key(cell): count for cell, count in Counter(cells).items()}
    # Python holds 1, 1.0 and True equal: keys first, then counting.
    return Counter(map(category_key, cells))


def _count_text(cells: Sequence[Any]) -> dict[str | None, int] | None:
    """Return rows per key of cells that are text or None, None where others are among them: only text equals text."""
    try:
        counted = Counter(cells)
    except TypeError:  # a cell without a hash
        return None
    return counted if all(type(key) in _TEXT for key in counted) else None


class UnseenNames:
    """Names that the reference does not hold, with their counts: those of least hash."""

    __slots__ = ("_ranked",)

    def __init__(self, counts: dict[str, int] | None = None) -> None:
        self._ranked: dict[str, tuple[bytes, int]] = {}
        if counts:
            self.add(counts.items())

    @property
    def counts(self) -> dict[str, int]:
        """Rows per kept name, in the order of their hashes."""
        return {name: count for name, (_, count) in self._ranked.items()}

    def add(self, counts: Iterable[tuple[str, int]]) -> None:
        """Count more rows of names that are storable."""
        ranked = self._ranked
        for name, count in counts:
            rank, before = ranked.get(name) or (hashlib.blake2b(name.encode(), digest_size=8).digest(), 0)
            ranked[name] = (rank, before + count)
        keep = sorted(ranked.items(), key=lambda item: (item[1][0], item[0]))[:UNSEEN_NAMES]
        self._ranked = dict(keep)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnseenNames) and self._ranked == other._ranked

    __hash__ = None  # type: ignore[assignment]


class CategoryLayout:
    """Where each categorical column's categories lie in the flat array; made once per reference, never changed."""

    def __init__(self, categories: Sequence[Sequence[str]]) -> None:
        self.categories = tuple(tuple(names) for names in categories)
        self.starts = np.concatenate([[0], np.cumsum([len(c) for c in self.categories])]).astype(np.int64)
        self.total = int(self.starts[-1])
        self.indexes = [
            {name: start + i for i, name in enumerate(names)}
            for names, start in zip(self.categories, self.starts.tolist(), strict=False)
        ]

    def __len__(self) -> int:
        return len(self.categories)


class CategoricalState:
    """Counts of all categorical columns of one profile.

    Attributes:
        counts: rows per category of the reference, flat, shape (layout.total,).
        missing, unseen: rows without a value, and rows whose value the layout does not hold, shape (columns,).
        names: of the unseen ones, per column.
    """

    def __init__(self, layout: CategoryLayout) -> None:
        self.layout = layout
        self.counts = np.zeros(layout.total, np.int64)
        self.missing = np.zeros(len(layout), np.int64)
        self.unseen = np.zeros(len(layout), np.int64)
        self.names = [UnseenNames() for _ in range(len(layout))]

    def absorb(self, column: int, cells: Sequence[object]) -> None:
        """Add cells of one column."""
        index = self.layout.indexes[column]
        fresh: dict[str, int] = {}
        for key, count in count_categories(cells).items():
            place = index.get(key) if key is not None else None
            if place is not None:
                self.counts[place] += count
            elif key is None:
                self.missing[column] += count
            else:
                name = storable_name(key)
                if name in index:
                    self.counts[index[name]] += count
                else:
                    self.unseen[column] += count
                    fresh[name] = fresh.get(name, 0) + count
        if fresh:
            self.names[column].add(fresh.items())

    def merge(self, other: "CategoricalState") -> None:
        """Add the rows of ``other``, which has the same layout."""
        self.counts += other.counts
        self.missing += other.missing
        self.unseen += other.unseen
        for column in np.nonzero(other.unseen)[0]:
            self.names[column].add(other.names[column].counts.items())

    def equals(self, other: "CategoricalState") -> bool:
        """Whether every count and every kept name is the same."""
        return self.names == other.names and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("counts", "missing", "unseen")
        )

    def column(self, position: int) -> "CategoryCounts":
        """Return what is known of one column."""
        start, stop = self.layout.starts[position : position + 2]
        return CategoryCounts(
            categories=self.layout.categories[position],
            counts=self.counts[start:stop],
            unseen=int(self.unseen[position]),
            unseen_names=self.names[position].counts,
            missing=int(self.missing[position]),
        )


@dataclass(frozen=True, eq=False)
class CategoryCounts:
    """One categorical column of a profile.

    Attributes:
        categories: of the reference, the most frequent first.
        counts: rows per category, shape (categories,).
        unseen: rows of any other value; in a text column, of any value outside its most frequent ones.
        unseen_names: up to ``UNSEEN_NAMES`` of those values with their rows.
        missing: rows without a value.
    """

    categories: tuple[str, ...]
    counts: NDArray[np.int64]
    unseen: int
    unseen_names: dict[str, int]
    missing: int

    @property
    def value_rows(self) -> int:
        """Rows with a value."""
        return int(self.counts.sum()) + self.unseen


def text_length(cell: object) -> float:
    """Return the characters of a text or bytes of a binary cell, NaN when missing."""
    if isinstance(cell, (str, bytes)):
        return float(len(cell))
    key = category_key(cell)
    return math.nan if key is None else float(len(key))
