"""Events as the loggers of KServe and Seldon send them, made by the CloudEvents project's own library."""

import json
from datetime import datetime
from typing import Any

from cloudevents.core.bindings.http import to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from driftline.store.imports.events import EventHalf, structured_half

REQUEST_AT, RESPONSE_AT = "2026-11-20T10:00:05.000000+00:00", "2026-11-20T10:00:05.250000+00:00"


def event(side: str, data: Any, id_: str = "call-1", sender: str = "kserve", **more: str) -> CloudEvent:
    """Return an event with the attributes that a logger gives it; ``more`` replaces and adds."""
    kserve = sender == "kserve"
    attributes: dict[str, Any] = {
        "id": id_ if kserve else f"{side}-of-{id_}",
        "type": f"{'org.kubeflow' if kserve else 'io.seldon'}.serving.inference.{side}",
        "source": "http://localhost:9081/", "specversion": "1.0", "datacontenttype": "application/json",
        "inferenceservicename": "iris", "namespace": "prod", "endpoint": "" if kserve else "default",
        "time": REQUEST_AT if side == "request" else RESPONSE_AT,
        **({"component": "predictor", "metadata": "{}"} if kserve else {"requestid": id_, "modelid": "classifier"}),
        **more,
    }  # fmt: skip
    attributes["time"] = datetime.fromisoformat(attributes["time"])
    return CloudEvent(attributes, data)


def call(
    id_: str, rows: list[list[float]], answers: list[Any], sender: str = "kserve", **more: str
) -> list[CloudEvent]:
    """Return the two events of a call in V1, or in Seldon's own form."""
    asked: Any = {"instances": rows} if sender == "kserve" else {"data": {"names": ["a", "b"], "ndarray": rows}}
    told: Any = {"predictions": answers} if sender == "kserve" else {"data": {"names": ["t"], "ndarray": answers}}
    return [event("request", asked, id_, sender, **more), event("response", told, id_, sender, **more)]


def binary(one: CloudEvent) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an event in binary mode."""
    message = to_binary(one, JSONFormat())
    return dict(message.headers), message.body


def structured(one: CloudEvent) -> bytes:
    """Return an event as JSON."""
    return to_structured(one, JSONFormat()).body


def half(one: CloudEvent) -> EventHalf:
    """Return the event as it is kept."""
    found = structured_half(json.loads(structured(one)), 0)
    assert found is not None
    return found
