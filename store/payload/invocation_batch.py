"""Many packed invocations decoded at once: what ``Invocation.unpack`` does, by columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline.store.records import Invocation

# The layout of records.Invocation.pack; a test compares with Invocation.unpack.
_HEADER = np.dtype([
    ("id", "V16"), ("received_at", "<i8"), ("latency_us", "<u4"), ("parse_us", "<u4"), ("predict_us", "<u4"),
    ("encode_us", "<u4"), ("status", "<u2"), ("arm", "u1"), ("version", "u1"), ("type_length", "<u2"),
    ("client_length", "<u2"), ("request_length", "<u4"), ("response_length", "<u4"),
])  # fmt: skip


@dataclass(slots=True)
class InvocationBatch:
    """Invocations as columns, in the order of their payloads.

    Attributes:
        ids: UUIDv7, dtype ``V16``.
        received_at, latency_us, parse_us, predict_us, encode_us, status, arm: as in ``Invocation``.
    """

    ids: NDArray[np.void]
    received_at: NDArray[np.int64]
    latency_us: NDArray[np.int64]
    parse_us: NDArray[np.int64]
    predict_us: NDArray[np.int64]
    encode_us: NDArray[np.int64]
    status: NDArray[np.int16]
    arm: NDArray[np.int16]
    content_types: list[bytes]
    client_request_ids: list[bytes]
    requests: list[bytes]
    responses: list[bytes]

    def __len__(self) -> int:
        return len(self.requests)


def decode(payloads: Sequence[bytes]) -> tuple[InvocationBatch, dict[int, str]]:
    """Return the invocations of ``payloads`` and, by position, why a payload is none.

    A payload that is no invocation is left out of the batch, so where the second value is not empty the positions of
    the batch are those of the payloads without it.
    """
    size = _HEADER.itemsize
    starts = [payload[:size] for payload in payloads]
    if min(map(len, starts), default=size) < size:
        starts = [start.ljust(size, b"\0") for start in starts]
    headers = np.frombuffer(b"".join(starts), _HEADER)
    lengths = np.stack([headers[f"{part}_length"] for part in ("type", "client", "request", "response")]).astype(
        np.int64
    )
    ends = size + np.cumsum(lengths, axis=0)
    whole = np.fromiter(map(len, payloads), np.int64, len(payloads))
    sound = (ends[-1] == whole) & (headers["version"] == 1) & (headers["arm"] <= 2)
    refused: dict[int, str] = {}
    if not sound.all():
        for position in np.flatnonzero(~sound).tolist():
            refused[position] = _why(payloads[position])
        payloads = [payload for payload, good in zip(payloads, sound, strict=True) if good]
        headers, ends = headers[sound], ends[:, sound]
    types, clients, requests, responses = [], [], [], []
    for payload, a, b, c in zip(payloads, *ends[:3].tolist(), strict=True):
        types.append(payload[size:a])
        clients.append(payload[a:b])
        requests.append(payload[b:c])
        responses.append(payload[c:])
    batch = InvocationBatch(
        ids=headers["id"],
        received_at=headers["received_at"].astype(np.int64),
        latency_us=headers["latency_us"].astype(np.int64),
        parse_us=headers["parse_us"].astype(np.int64),
        predict_us=headers["predict_us"].astype(np.int64),
        encode_us=headers["encode_us"].astype(np.int64),
        status=headers["status"].astype(np.int16),
        arm=headers["arm"].astype(np.int16),
        content_types=types,
        client_request_ids=clients,
        requests=requests,
        responses=responses,
    )
    return batch, refused


def _why(payload: bytes) -> str:
    try:
        Invocation.unpack(payload)
    except ValueError as error:
        return str(error)
    return "invocation record of an unknown kind"
