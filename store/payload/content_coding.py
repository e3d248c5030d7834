"""Bodies that were sent compressed: told by their first bytes, which no JSON, CSV or Parquet begins with.

A server behind ``driftline proxy`` may take and give compressed bodies; they are recorded as they crossed the wire, and
unpacked here, beside the way of any answer.
"""

import zlib
from collections.abc import Sequence

import zstandard

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_LARGEST_BYTES = 256 << 20  # a body may be made to unpack to any size


def plain(bodies: Sequence[bytes]) -> Sequence[bytes]:
    """Return the bodies, unpacked where they are gzip or zstd; what cannot be unpacked stays as it is."""
    packed = [i for i, body in enumerate(bodies) if body[:2] == _GZIP or body[:4] == _ZSTD]
    if not packed:
        return bodies
    unpacked = list(bodies)
    for i in packed:
        unpacked[i] = _unpacked(bodies[i])
    return unpacked


def _unpacked(body: bytes) -> bytes:
    try:
        if body[:2] == _GZIP:
            stream = zlib.decompressobj(wbits=31)
            unpacked = stream.decompress(body, _LARGEST_BYTES)
            return unpacked if stream.eof else body
        return zstandard.ZstdDecompressor().decompress(body, max_output_size=_LARGEST_BYTES)
    except (zlib.error, zstandard.ZstdError):
        return body
