"""The reference: the training data of a model version reduced once to bins and counts, and its file.

A file is the line ``driftline reference 1``, four bytes CRC-32C (little-endian) of what follows, and the zstd of a
JSON object. Anything else, and any damage, is ``ReferenceCorrupt``.
"""

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import crc32c
import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from driftline.store.errors import ProfileCorrupt, ReferenceCorrupt
from driftline.store.prediction_columns import PredictionColumn
from driftline.store.profile.columns import Layout, ProfiledColumn, profile_column
from driftline.store.profile.profile import Profile
from driftline.store.profile.segments import SegmentedReference

_MAGIC = b"driftline reference 1\n"
_FAMILY = b"driftline reference "
_NEXT = "build it again with `driftline reference build MODEL_URI --data train.parquet`"


@dataclass(frozen=True, eq=False)
class Reference:
    """What later windows are compared with.

    Attributes:
        profiled: the columns and how each is counted, in the signature's order.
        packed_profile: the reference's own rows on its bins, as ``Profile.to_bytes`` gives them.
        row_count: rows of the reference.
        source: where the data came from, for people.
        made_at_us: when it was made, microseconds since the epoch.
        seed: of every simulation that is made from this reference.
        calibration: what the judge has simulated from this reference, JSON; opaque here.
        importances: how much the model relies on each input, by column name: shares that sum to 1; None where that is
            not known. ``importances_from`` says where they came from, for people.
        performance: what the model did on labelled rows of the reference, JSON; opaque here. None without labels.
    """

    profiled: tuple[ProfiledColumn, ...] = field(repr=False)
    packed_profile: bytes = field(repr=False)
    row_count: int
    source: str
    made_at_us: int
    seed: int = 0
    calibration: dict[str, Any] | None = field(default=None, repr=False)
    importances: dict[str, float] | None = field(default=None, repr=False)
    importances_from: str = ""
    performance: dict[str, Any] | None = field(default=None, repr=False)
    segments: tuple[SegmentedReference, ...] = field(default=(), repr=False)

    @property
    def columns(self) -> tuple[PredictionColumn, ...]:
        """The columns as the signature gives them."""
        return tuple(p.column for p in self.profiled)

    @functools.cached_property
    def layout(self) -> Layout:
        """The flat places of all columns."""
        return Layout(self.profiled)

    @functools.cached_property
    def spec_hash(self) -> str:
        """SHA-256 of columns, bins and categories: profiles add only within one, in hexadecimal digits."""
        return hashlib.sha256(orjson.dumps([p.to_json() for p in self.profiled])).hexdigest()

    @functools.cached_property
    def profile(self) -> Profile:
        """The reference's own rows. To be read, not added to."""
        return Profile.from_bytes(self, self.packed_profile)

    def empty_profile(self) -> Profile:
        """Return a profile without rows on this reference's bins."""
        return Profile(self.layout, self.spec_hash)

    def with_calibration(self, calibration: dict[str, Any] | None) -> "Reference":
        """Return the same reference with other simulated tables; bins and ``spec_hash`` stay."""
        return replace(self, calibration=calibration)

    def to_bytes(self) -> bytes:
        """Return the reference as a file."""
        content = {
            "columns": [p.to_json() for p in self.profiled],
            "profile": base64.b64encode(self.packed_profile).decode(),
            "row_count": self.row_count,
            "source": self.source,
            "made_at_us": self.made_at_us,
            "seed": self.seed,
            "calibration": self.calibration,
            "importances": self.importances,
            "importances_from": self.importances_from,
            "performance": self.performance,
            "segments": [segmented.to_json() for segmented in self.segments],
        }
        body: bytes = zstandard.ZstdCompressor(level=9).compress(orjson.dumps(content))
        checksum: int = crc32c.crc32c(body)
        return _MAGIC + checksum.to_bytes(4, "little") + body

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Reference":
        """Return the reference that ``to_bytes`` wrote.

        Raises:
            ReferenceCorrupt: the bytes are no reference, of another format, cut or damaged.
        """
        if not raw.startswith(_MAGIC):
            what = "one of another format" if raw.startswith(_FAMILY) else "something else"
            raise ReferenceCorrupt(f"expected a reference file of format 1, found {what}: {_NEXT}")
        start = len(_MAGIC) + 4
        if len(raw) < start or crc32c.crc32c(raw[start:]) != int.from_bytes(raw[len(_MAGIC) : start], "little"):
            raise ReferenceCorrupt(f"the reference file is cut or damaged (checksum differs): {_NEXT}")
        try:
            body = orjson.loads(zstandard.ZstdDecompressor().decompress(raw[start:]))
            reference = cls(
                profiled=tuple(ProfiledColumn.from_json(c) for c in body["columns"]),
                packed_profile=base64.b64decode(body["profile"]),
                row_count=int(body["row_count"]),
                source=str(body["source"]),
                made_at_us=int(body["made_at_us"]),
                seed=int(body["seed"]),
                calibration=body["calibration"],
                importances=body.get("importances"),  # files of earlier releases have none
                importances_from=body.get("importances_from", ""),
                performance=body.get("performance"),
                segments=tuple(map(SegmentedReference.from_json, body.get("segments", ()))),
            )
            agrees = reference.profile.row_count == reference.row_count
        except (zstandard.ZstdError, ProfileCorrupt, ValueError, KeyError, TypeError) as error:
            raise ReferenceCorrupt(f"the reference file cannot be read ({type(error).__name__}): {_NEXT}") from error
        if not agrees:
            raise ReferenceCorrupt(f"the reference file contradicts itself (row counts differ): {_NEXT}")
        return reference


def build_reference(
    columns: Sequence[PredictionColumn],
    data: Mapping[str, NDArray[Any]],
    *,
    source: str,
    made_at_us: int,
    seed: int = 0,
) -> Reference:
    """Reduce training data to a reference.

    Args:
        columns: of the model's rows; one that ``data`` lacks is profiled as all missing.
        data: arrays of equal length by column name.
        source: where the data came from, for people.
        made_at_us: now, microseconds since the epoch.
        seed: of every simulation that is made from this reference.

    Raises:
        ValueError: the arrays differ in length.
    """
    known = [c.column_name for c in columns if c.column_name in data]
    rows = len(data[known[0]]) if known else 0
    nothing = np.empty(0, dtype=object)
    profiled = tuple(profile_column(c, data.get(c.column_name, nothing)) for c in columns)
    reference = Reference(profiled, b"", rows, source, made_at_us, seed)
    profile = reference.empty_profile()
    profile.add(data, rows)
    return replace(reference, packed_profile=profile.to_bytes())
