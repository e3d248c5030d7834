"""The reference and its file: whole or refused with the next step."""

from collections.abc import Callable
from typing import Any

import crc32c
import numpy as np
import orjson
import pytest
import zstandard

from driftline.store.errors import ReferenceCorrupt
from driftline.store.profile.reference import Reference, build_reference

Rows = Callable[[int, int], dict[str, Any]]
MAGIC = b"driftline reference 1\n"


def file_of(body: bytes) -> bytes:
    return MAGIC + crc32c.crc32c(body).to_bytes(4, "little") + body


def test_the_file_holds_the_whole_reference(reference: Reference) -> None:
    kept = reference.with_calibration({"format": 0, "tables": [1.5]})
    again = Reference.from_bytes(kept.to_bytes())
    assert again.profile == reference.profile
    assert again.spec_hash == reference.spec_hash
    assert (again.columns, again.row_count, again.source) == (reference.columns, 5000, "made up")
    assert (again.made_at_us, again.seed, again.calibration) == (
        reference.made_at_us,
        0,
        {"format": 0, "tables": [1.5]},
    )


def test_every_damaged_byte_is_noticed(reference: Reference) -> None:
    raw = reference.to_bytes()
    for position in [*range(40), *range(40, len(raw), 997)]:
        damaged = raw[:position] + bytes([raw[position] ^ 0x10]) + raw[position + 1 :]
        with pytest.raises(ReferenceCorrupt, match="driftline reference build"):
            Reference.from_bytes(damaged)


def test_a_cut_file_is_refused(reference: Reference) -> None:
    raw = reference.to_bytes()
    for size in (0, 10, len(MAGIC), len(MAGIC) + 3, len(raw) // 2, len(raw) - 1):
        with pytest.raises(ReferenceCorrupt, match="driftline reference build"):
            Reference.from_bytes(raw[:size])


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"PAR1 something", "found something else"),
        (b"driftline reference 2\n....", "one of another format"),
        (file_of(b"no zstd"), "cannot be read"),
        (file_of(zstandard.compress(b"[1, 2]")), "cannot be read"),
        (file_of(zstandard.compress(orjson.dumps({"columns": []}))), "cannot be read"),
    ],
)
def test_other_bytes_are_refused_in_one_line(raw: bytes, said: str) -> None:
    with pytest.raises(ReferenceCorrupt, match=said) as caught:
        Reference.from_bytes(raw)
    assert "\n" not in str(caught.value)


def test_edges_that_do_not_rise_are_refused(reference: Reference) -> None:
    body = orjson.loads(zstandard.decompress(reference.to_bytes()[len(MAGIC) + 4 :]))
    body["columns"][0]["bins"]["edges"][3] = body["columns"][0]["bins"]["edges"][2]
    with pytest.raises(ReferenceCorrupt, match="cannot be read"):
        Reference.from_bytes(file_of(zstandard.compress(orjson.dumps(body))))


def test_a_file_of_an_earlier_release_knows_no_importances(reference: Reference) -> None:
    body = orjson.loads(zstandard.decompress(reference.to_bytes()[len(MAGIC) + 4 :]))
    del body["importances"], body["importances_from"]
    earlier = Reference.from_bytes(file_of(zstandard.compress(orjson.dumps(body))))
    assert earlier.importances is None
    assert earlier.profile == reference.profile


def test_bins_alone_make_the_spec_hash(reference: Reference, rows_of: Rows) -> None:
    assert reference.with_calibration({}).spec_hash == reference.spec_hash
    again = build_reference(reference.columns, rows_of(1, 5000), source="elsewhere", made_at_us=1)
    assert again.spec_hash == reference.spec_hash
    assert build_reference(reference.columns, rows_of(2, 5000), source="", made_at_us=0).spec_hash != again.spec_hash


def test_absent_and_empty_columns_are_profiled_as_missing(reference: Reference) -> None:
    built = build_reference(reference.columns, {"age": np.arange(30)}, source="", made_at_us=0)
    assert built.row_count == 30
    assert built.profile.numeric("amount").missing == 30
    assert built.profile.categories("region").missing == 30
    assert build_reference(reference.columns, {}, source="", made_at_us=0).row_count == 0


def test_the_reference_lies_inside_its_own_range(reference: Reference) -> None:
    for profiled in reference.profiled:
        if profiled.bins is not None:
            assert reference.profile.numeric(profiled.column.column_name).out_of_range_rows == 0
