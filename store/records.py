"""What crosses the borders between scorer, spool, loader and monitor.

Times are integers: microseconds since 1970-01-01 UTC (``*_us``), the same on both engines (record 0003).
"""

import hashlib
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, NamedTuple, Self

import orjson

MICROSECONDS = 1_000_000


class Arm(IntEnum):
    """Which role the model version played for an invocation."""

    CHAMPION = 0
    SHADOW = 1
    CANARY = 2


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A model version as the scorer serves it; travels beside the spool so that the loader needs no MLflow server.

    ``name`` is the registered name; a model from a path or a run has its artifact's or folder's name.
    ``version`` is the registry's version; without one the LoggedModel id, else the run id, else the signature's
    fingerprint. ``signature`` is MLflow's ``ModelSignature.to_dict()`` (JSON strings inside) or None.
    """

    name: str
    version: str
    uri: str
    run_id: str | None = None
    model_id: str | None = None
    alias: str | None = None
    flavor: str = "python_function"
    signature: dict[str, Any] | None = None
    created_at_us: int | None = None

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of the canonical inputs and outputs of the signature."""
        schemas = self.signature or {}
        canonical = [orjson.loads(schemas[side]) if schemas.get(side) else None for side in ("inputs", "outputs")]
        return hashlib.sha256(orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        return cls(**orjson.loads(raw))


_HEADER = struct.Struct("<16sQIIIIHBBHHII")
_VERSION = 1
_LONGEST_US = 0xFFFFFFFF
_LONGEST_TEXT_BYTES = 0xFFFF
_RANDOM = struct.Struct(">HQ")
_UUID = struct.Struct(">QQ")


class Invocation(NamedTuple):
    """One answered HTTP request to ``/invocations``, with the bytes as they crossed the wire.

    A named tuple, because the loader makes one of every record: a frozen dataclass takes three times as long. The
    scorer hands its fields to ``pack_invocation``.

    Attributes:
        id: UUIDv7, 16 bytes; its time is ``received_at_us`` in milliseconds.
        received_at_us: when the request's headers had arrived.
        status: HTTP status of the answer.
        arm: champion, shadow or canary.
        latency_us: from headers received to answer ready; ``parse_us``, ``predict_us``, ``encode_us`` are its
            measured stages, 0 where a stage was not measured.
        content_type: the request's, as sent; empty when absent.
        client_request_id: the client's ``X-Request-Id``; empty when absent.
        request, response: raw bodies.
    """

    id: bytes
    received_at_us: int
    status: int
    arm: Arm
    latency_us: int
    content_type: bytes
    client_request_id: bytes
    request: bytes
    response: bytes
    parse_us: int = 0
    predict_us: int = 0
    encode_us: int = 0

    def pack(self) -> bytes:
        """Return the payload of a spool record; ``unpack`` is its inverse."""
        return pack_invocation(*self)

    @classmethod
    def unpack(cls, payload: bytes | memoryview) -> Self:
        """Return the invocation that ``pack`` wrote.

        Raises:
            ValueError: the payload is no invocation of a known version, or its lengths disagree.
        """
        raw = bytes(payload)
        if len(raw) < _HEADER.size:
            raise ValueError(f"invocation record of {len(raw)} bytes is shorter than its header ({_HEADER.size})")
        (
            id_,
            received,
            latency,
            parse,
            predict,
            encode,
            status,
            arm,
            version,
            n_type,
            n_client,
            n_request,
            n_response,
        ) = _HEADER.unpack_from(raw)
        if version != _VERSION:
            raise ValueError(f"invocation record of version {version}, this driftline reads version {_VERSION}")
        ends = [_HEADER.size]
        for length in (n_type, n_client, n_request, n_response):
            ends.append(ends[-1] + length)
        if ends[-1] != len(raw):
            raise ValueError(f"invocation record of {len(raw)} bytes, its lengths add up to {ends[-1]}")
        return cls(
            id=id_,
            received_at_us=received,
            status=status,
            arm=Arm(arm),
            latency_us=latency,
            parse_us=parse,
            predict_us=predict,
            encode_us=encode,
            content_type=raw[ends[0] : ends[1]],
            client_request_id=raw[ends[1] : ends[2]],
            request=raw[ends[2] : ends[3]],
            response=raw[ends[3] : ends[4]],
        )


InvocationFields = tuple[bytes, int, int, Arm, int, bytes, bytes, bytes, bytes, int, int, int]


def pack_invocation(
    id_: bytes,
    received_at_us: int,
    status: int,
    arm: Arm,
    latency_us: int,
    content_type: bytes,
    client_request_id: bytes,
    request: bytes,
    response: bytes,
    parse_us: int,
    predict_us: int,
    encode_us: int,
) -> bytes:
    """Return the payload of a spool record; arguments as the attributes of ``Invocation``, in their order.

    A function of its own, because answers wait for it: an ``Invocation`` on the way takes three times as long. Content
    type and client's request id are cut after 65,535 bytes, durations end at 71 minutes.

    Raises:
        struct.error, TypeError: a value of another type or range.
    """
    if latency_us > _LONGEST_US or parse_us > _LONGEST_US or predict_us > _LONGEST_US or encode_us > _LONGEST_US:
        stages = (latency_us, parse_us, predict_us, encode_us)
        latency_us, parse_us, predict_us, encode_us = (min(stage, _LONGEST_US) for stage in stages)
    type_, client = content_type[:_LONGEST_TEXT_BYTES], client_request_id[:_LONGEST_TEXT_BYTES]
    header = _HEADER.pack(
        id_, received_at_us, latency_us, parse_us, predict_us, encode_us, status, arm, _VERSION,
        len(type_), len(client), len(request), len(response),
    )  # fmt: skip
    return b"".join((header, type_, client, request, response))


class _RandomBits:
    """Random numbers of 16 and 64 bits from the kernel, drawn many at a time: a call for one costs as much as a record.

    Threads may share it, and a child that was forked draws its own: nothing comes twice.
    """

    def __init__(self) -> None:
        self._drawn: Iterator[tuple[int, int]] = iter(())
        os.register_at_fork(after_in_child=self._forget)

    def next(self) -> tuple[int, int]:
        try:
            return next(self._drawn)
        except StopIteration:
            drawn = iter(list(_RANDOM.iter_unpack(os.urandom(_RANDOM.size * 256))))
            first = next(drawn)
            self._drawn = drawn
            return first

    def _forget(self) -> None:
        self._drawn = iter(())


_random_bits = _RandomBits()


def new_invocation_id(at_us: int) -> bytes:
    """Return a UUIDv7 (RFC 9562): 48 bits of milliseconds, then 74 random bits.

    Args:
        at_us: the time to embed, microseconds since the epoch.
    """
    high, low = _random_bits.next()
    return _UUID.pack(
        (at_us // 1000 & 0xFFFFFFFFFFFF) << 16 | 0x7000 | high & 0x0FFF, 0x8000000000000000 | low & 0x3FFFFFFFFFFFFFFF
    )


def first_invocation_id(at_us: int) -> bytes:
    """Return what every invocation id of that time and later is larger than, and every earlier one smaller."""
    return (at_us // 1000).to_bytes(6) + bytes(10)


def invocation_id_text(id_: bytes) -> str:
    """Return the id as people and SQL write it: ``str(uuid.UUID(bytes=id_))``, in a quarter of its time."""
    digits = id_.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def now_us() -> int:
    """Return the wall clock in microseconds since the epoch."""
    return time.time_ns() // 1000


def iso(at_us: int) -> str:
    """Return a time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(at_us / MICROSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
