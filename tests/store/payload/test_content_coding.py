"""Bodies that were sent compressed."""

import gzip

import pytest
import zstandard

from driftline.store.payload import content_coding
from driftline.store.payload.body_parser import BodyParser
from driftline.store.payload.content_coding import plain
from driftline.store.prediction_columns import prediction_columns

_SIGNATURE = {
    "inputs": '[{"name": "a", "type": "double", "required": true}]',
    "outputs": '[{"type": "double", "name": "p", "required": true}]',
}
_REQUEST = b'{"dataframe_records": [{"a": 1.5}]}'
_ANSWER = b'{"predictions": [2.5]}'


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"])
def test_a_compressed_exchange_has_the_rows_of_a_plain_one(pack: object) -> None:
    parser = BodyParser(_SIGNATURE, prediction_columns(_SIGNATURE))
    requests, answers = [_REQUEST, pack(_REQUEST)], [_ANSWER, pack(_ANSWER)]  # type: ignore[operator]
    found = parser.parse([200, 200], [b"application/json"] * 2, requests, answers)
    assert found.errors == {}
    assert {name: list(cells) for name, cells in found.columns.items()} == {"in_a": [1.5, 1.5], "out_p": [2.5, 2.5]}


def test_what_cannot_be_unpacked_or_is_too_large_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_coding, "_LARGEST_BYTES", 1000)
    odd = [gzip.compress(_REQUEST)[:-9], b"\x1f\x8b", b"\x28\xb5\x2f\xfd", gzip.compress(bytes(2000)), b"x,y", b""]
    assert plain(odd) == odd


def test_an_answered_request_without_a_body_says_so() -> None:
    parser = BodyParser(_SIGNATURE, prediction_columns(_SIGNATURE))
    found = parser.parse([200, 200], [b"application/json"] * 2, [b"", _REQUEST], [_ANSWER, b""])
    assert len(found.owners) == 0
    assert all("without a body" in found.errors[i] for i in (0, 1))
