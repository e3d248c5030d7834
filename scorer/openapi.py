"""What a scoring server answers, as an OpenAPI document: at ``/openapi.json`` of the port of metrics.

The scoring port itself answers ``/openapi.json`` and ``/docs`` as MLflow's server does, byte for byte: that document is
MLflow's own, which says nothing of bodies, and nothing of what the door answers before MLflow is asked.
"""

from typing import Any

_COLUMN_NAMES: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_TABLE: dict[str, Any] = {"type": "array", "items": {"type": "array"}}
_REQUEST: dict[str, Any] = {
    "oneOf": [
        {
            "type": "object",
            "required": ["dataframe_split"],
            "properties": {
                "dataframe_split": {
                    "type": "object",
                    "required": ["data"],
                    "properties": {"columns": _COLUMN_NAMES, "index": {"type": "array"}, "data": _TABLE},
                },
                "params": {"type": "object"},
            },
        },
        {
            "type": "object",
            "required": ["dataframe_records"],
            "properties": {"dataframe_records": {"type": "array", "items": {"type": "object"}}},
        },
        {"type": "object", "required": ["instances"]},
        {"type": "object", "required": ["inputs"]},
    ]
}
_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
}
_MEANT = {
    "200": "MLflow's answer", "400": "MLflow cannot read the body, or the model cannot predict from it",
    "401": "no known token", "413": "more bytes than max_body_bytes", "415": "MLflow takes no such type",
    "429": "the client asks too often", "503": "too many requests are being answered",
    "504": "the prediction took longer than the timeout",
}  # fmt: skip


def openapi(version: str) -> dict[str, Any]:
    """Return the document; ``version`` is driftline's."""
    errors = {status: {"application/json": {"schema": _ERROR}} for status in ("400", "413", "415", "503")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "driftline serve", "version": version},
        "paths": {
            "/invocations": {
                "post": {
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {"schema": _REQUEST},
                            "text/csv": {"schema": {"type": "string"}},
                        },
                    },
                    "responses": _responses(
                        {"200": {"application/json": {"schema": {}}}, **errors, "401": {}, "429": {}, "504": {}}
                    ),
                }
            },
            **{path: {"get": {"responses": {"200": {"description": "it answers"}}}} for path in ("/ping", "/health")},
            "/version": {"get": {"responses": {"200": {"description": "MLflow's version"}}}},
        },
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"bearer": []}],
    }


def _responses(contents: dict[str, Any]) -> dict[str, Any]:
    return {
        status: {"description": _MEANT[status], **({"content": content} if content else {})}
        for status, content in contents.items()
    }
