"""Whole numbers as bytes, in the shape that compresses best: byte planes, low plane first."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Packer:
    """Appends sections; ``Unpacker`` reads them back in the same order with the same lengths."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def whole_numbers(self, values: NDArray[np.int64]) -> None:
        """Append numbers >= 0, shape (any,): one byte of width, then ``width`` planes of one byte per number."""
        width = (int(values.max()).bit_length() + 7) // 8 if values.size else 0
        planes = values.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
        self._parts += [bytes([width]), planes.T.tobytes()]

    def sparse(self, values: NDArray[np.int64]) -> None:
        """Append numbers >= 0 that are mostly 0: a bit each, then the others."""
        held = values != 0
        self._parts.append(np.packbits(held).tobytes())
        self.whole_numbers(values[held])

    def large_numbers(self, values: Sequence[int]) -> None:
        """Append Python integers >= 0 of any size."""
        width = max((v.bit_length() + 7) // 8 for v in values) if values else 0
        self._parts.append(width.to_bytes(2, "little"))
        self._parts += [v.to_bytes(width, "little") for v in values]

    def floats(self, values: NDArray[np.float64]) -> None:
        self._parts.append(values.astype("<f8").tobytes())

    def blob(self, raw: bytes) -> None:
        self._parts += [len(raw).to_bytes(4, "little"), raw]

    def to_bytes(self) -> bytes:
        return b"".join(self._parts)


class Unpacker:
    """Reads what ``Packer`` wrote.

    Every method raises ValueError when the bytes end early.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._raw):
            raise ValueError(f"{len(self._raw)} bytes end before byte {end}")
        self._at, start = end, self._at
        return self._raw[start:end]

    def whole_numbers(self, size: int) -> NDArray[np.int64]:
        width = self._take(1)[0]
        if width > 8:
            raise ValueError(f"a number of {width} bytes")
        wide = np.zeros((size, 8), np.uint8)
        wide[:, :width] = np.frombuffer(self._take(width * size), np.uint8).reshape(width, size).T
        return wide.view("<i8").reshape(size).astype(np.int64)

    def sparse(self, size: int) -> NDArray[np.int64]:
        bits = np.frombuffer(self._take((size + 7) // 8), np.uint8)
        held = np.unpackbits(bits, count=size).view(np.bool_)
        values = np.zeros(size, np.int64)
        values[held] = self.whole_numbers(int(held.sum()))
        return values

    def large_numbers(self, size: int) -> list[int]:
        width = int.from_bytes(self._take(2), "little")
        raw = self._take(width * size)
        return [int.from_bytes(raw[i * width : (i + 1) * width], "little") for i in range(size)]

    def floats(self, size: int) -> NDArray[np.float64]:
        return np.frombuffer(self._take(8 * size), "<f8").astype(np.float64)

    def blob(self) -> bytes:
        return self._take(int.from_bytes(self._take(4), "little"))

    def end(self) -> None:
        """Check that nothing is left."""
        if self._at != len(self._raw):
            raise ValueError(f"{len(self._raw) - self._at} bytes too many")
