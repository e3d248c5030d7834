"""The events that KServe's and Seldon's loggers send: a call is two, a request and a response.

Read are binary mode (attributes in ``ce-`` headers, the body as the client sent it), structured mode and batches, as in
CloudEvents 1.0 and its HTTP binding. What others leave out is not asked for: MLServer sends version 0.3 and no time.

What pairs the halves, from the loggers' sources:

- KServe (``pkg/logger/worker.go``, ``handler.go``): both have the same ``id``, the client's own ``Ce-Id`` where it sent
  one. A response is logged where its status is 200. Both carry the request's content type, and ``component`` and
  ``endpoint``, which may be empty; ``time`` is when the event was sent.
- Seldon (``executor/logger/worker.go``): ``requestid`` is the same, ``id`` is the event's own; each node of a graph
  sends its own, with ``modelid``; ``endpoint`` is the predictor's name.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import unquote

import orjson

from driftline.store.imports.call import UnreadableEvent
from driftline.store.imports.fates import Fate
from driftline.store.labels.record import LONGEST_KEY
from driftline.store.payload.parsed_batch import loads
from driftline.store.records import MICROSECONDS, Arm

Side = Literal["request", "response"]
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
_PREFIX = "ce-"
_KINDS: dict[str, Side] = {
    f"{sender}.inference.{side}": side
    for sender in ("org.kubeflow.serving", "io.seldon.serving")
    for side in ("request", "response")
}
_PREDICTORS = ("", "predictor")  # KServe's transformers and explainers have inputs of their own
_ARMS = {"canary": Arm.CANARY, "shadow": Arm.SHADOW}
_LATEST_US = 253_402_300_800 * MICROSECONDS  # the year 10000


class RefusedEvent(UnreadableEvent):
    """An event that is not taken, and the fate that it is counted under."""

    def __init__(self, fate: Fate, message: str) -> None:
        super().__init__(message)
        self.fate = fate


@dataclass(frozen=True, slots=True)
class EventHalf:
    """A request or a response.

    Attributes:
        key: the same for both halves of a call, and for every copy of them.
        client_id: what the call is known by to the client, so that labels may name it.
        service, namespace, node, endpoint: who answered; empty where it is not said. ``node`` is of a Seldon graph.
        at_us: microseconds since the epoch; when it came where it does not say.
        body: as the client sent or got it.
    """

    key: str
    side: Side
    client_id: str
    service: str
    namespace: str
    node: str
    endpoint: str
    at_us: int
    content_type: str
    body: bytes

    @property
    def arm(self) -> Arm:
        return _ARMS.get(self.endpoint, Arm.CHAMPION)


def binary_half(headers: Mapping[str, str], body: bytes, now_us: int) -> EventHalf | None:
    """Return the event of a request in binary mode, None where it is neither a request to a predictor nor a response.

    Args:
        headers: by their names in lower case.

    Raises:
        RefusedEvent: it is not taken.
    """
    attributes = {name.removeprefix(_PREFIX): unquote(v) for name, v in headers.items() if name.startswith(_PREFIX)}
    return _half({**attributes, "datacontenttype": headers.get("content-type", "")}, body, now_us)


def structured_half(event: Any, now_us: int) -> EventHalf | None:
    """Return the event that a JSON object is, None where it is neither a request to a predictor nor a response.

    Raises:
        RefusedEvent: it is not taken.
    """
    if not isinstance(event, dict):
        raise RefusedEvent(Fate.MALFORMED, "an event should be an object")
    return _half(event, _data(event), now_us)


def batched_halves(body: bytes, now_us: int) -> list[EventHalf | None]:
    """Return the events of a batch.

    Raises:
        RefusedEvent: one of them is not taken.
    """
    events = document(body)
    if not isinstance(events, list):
        raise RefusedEvent(Fate.MALFORMED, "a batch should be a list of events")
    return [structured_half(event, now_us) for event in events]


def document(body: bytes) -> Any:
    """Return what JSON says.

    Raises:
        RefusedEvent: it is none.
    """
    try:
        return loads(body)
    except (ValueError, RecursionError):
        raise RefusedEvent(Fate.MALFORMED, "an event says it is JSON, and is not") from None


def _data(event: dict[str, Any]) -> bytes:
    if isinstance(encoded := event.get("data_base64"), str):
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise RefusedEvent(Fate.MALFORMED, "an event's data_base64 is not base64") from None
    if (data := event.get("data")) is None:
        return b""
    try:
        return data.encode() if isinstance(data, str) else orjson.dumps(data)
    except (TypeError, UnicodeEncodeError):  # numbers beyond 64 bits, halves of surrogate pairs
        raise RefusedEvent(Fate.MALFORMED, "an event's data is no JSON that can be kept") from None


def _half(event: Mapping[str, Any], body: bytes, now_us: int) -> EventHalf | None:
    kind = _text(event, "type")
    side, component = _KINDS.get(kind), _text(event, "component")
    if not kind:
        raise RefusedEvent(Fate.MALFORMED, "an event has no type")
    if side is None or component not in _PREDICTORS:
        return None
    client_id, service = _text(event, "requestid") or _text(event, "id"), _text(event, "inferenceservicename")
    if not client_id or not service:
        raise RefusedEvent(Fate.MALFORMED, "an event needs an id (or a requestid) and an inferenceservicename")
    namespace, node, endpoint = _text(event, "namespace"), _text(event, "modelid"), _text(event, "endpoint")
    parts = [kind.rpartition(".")[0], namespace, service, node, endpoint, client_id]
    return EventHalf(
        hashlib.sha256(orjson.dumps(parts)).hexdigest(), side, client_id, service, namespace, node, endpoint,
        _time_us(event, now_us), _text(event, "datacontenttype"), body,
    )  # fmt: skip


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not value.isprintable() or len(value.encode()) > LONGEST_KEY:
        raise RefusedEvent(
            Fate.MALFORMED, f"an event's {name} should be a printable text of at most {LONGEST_KEY} bytes"
        )
    return value.strip()


def _time_us(event: Mapping[str, Any], now_us: int) -> int:
    text = _text(event, "time")
    if not text:
        return now_us
    try:
        at = datetime.fromisoformat(text)
        at_us = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * MICROSECONDS)
    except (ValueError, OverflowError):
        at_us = -1
    if not 0 <= at_us < _LATEST_US:
        raise RefusedEvent(Fate.MALFORMED, "an event's time is none: it should be as in RFC 3339")
    return at_us
