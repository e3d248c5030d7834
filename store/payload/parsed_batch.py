"""The prediction rows of a batch of invocations, whichever way they were read."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.store.payload.coercions import Coercion
from driftline.store.payload.typed_cells import CellMismatch, Column


@dataclass(slots=True)
class ParsedBatch:
    """The prediction rows of a batch of invocations.

    Attributes:
        columns: typed columns by ``column_name``, all of one length.
        owners: for each row, the position of its invocation in the batch.
        row_index: for each row, its place in its request.
        errors: position of an invocation -> why it has no rows although its answer was 2xx.
        error_codes: position -> MLflow's ``error_code`` of an answer that was not.
        coerced: position -> cells that MLflow converted without a word (``coercions``).
    """

    columns: dict[str, Column]
    owners: NDArray[np.int64]
    row_index: NDArray[np.int32]
    errors: dict[int, str] = field(default_factory=dict)
    error_codes: dict[int, str] = field(default_factory=dict)
    coerced: dict[int, Counter[Coercion]] = field(default_factory=dict)

    @classmethod
    def joined(
        cls,
        parts: Sequence[dict[str, Column]],
        owned: Sequence[NDArray[np.int64]],
        errors: dict[int, str],
        error_codes: dict[int, str],
    ) -> Self:
        """Return the rows of all parts, at least one, each with the owners of its rows."""
        owners = np.concatenate(owned)
        first, *rest = parts
        columns = {n: np.concatenate([part[n] for part in parts]) for n in first} if rest else dict(first)
        return cls(columns, owners, _row_index(owners), errors, error_codes)


def loads(body: bytes) -> Any:
    """Parse JSON as Python does; orjson first, which refuses what is rare (NaN, UTF-16, lone surrogates)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)


def reason(error: Exception) -> str:
    """Say why a body has no rows, without a value of the request."""
    if isinstance(error, CellMismatch):
        return str(error)
    return f"the body could not be turned into rows ({type(error).__name__})"


def _row_index(owners: NDArray[np.int64]) -> NDArray[np.int32]:
    """Number the rows of each run of equal owners from 0."""
    if not len(owners):
        return np.zeros(0, np.int32)
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    lengths = np.diff(np.r_[starts, len(owners)])
    return (np.arange(len(owners)) - np.repeat(starts, lengths)).astype(np.int32)
