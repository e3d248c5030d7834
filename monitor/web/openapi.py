"""What the monitor answers, as an OpenAPI document: at ``/openapi.json``. A test holds it against the routes.

The pages are for people and may change; ``/api``, ``/metrics``, ``/labels`` and ``/ingest/cloudevents`` are for
programs.
"""

from typing import Any, get_args

from driftline.monitor.web.query import DAYS, VERDICTS
from driftline.store.imports.events import BATCH, STRUCTURED
from driftline.store.labels.settings import RepeatedKeys
from driftline.store.records import Arm

_TEXT: dict[str, Any] = {"type": "string"}
_PAGE = {"text/html; charset=utf-8": {"schema": _TEXT}}
_JSON = {"application/json": {"schema": {"type": "object"}}}
_ERROR = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["status", "error"],
            "properties": {"status": {"type": "integer"}, "error": _TEXT},
        }
    }
}
_MEANT = {
    "200": "as asked for", "302": "it lies there", "400": "the request is not as described", "401": "no known token",
    "404": "there is no such thing", "409": "not where columns are redacted", "413": "more bytes than allowed",
    "415": "none of these types, or compressed", "422": "of a service that no setting names",
    "503": "the store does not answer",
}  # fmt: skip
_SCALAR: dict[str, Any] = {"type": ["number", "string", "boolean", "null"]}
_EVENT = {
    "type": "object",
    "required": ["specversion", "type", "inferenceservicename", "id"],
    "properties": {
        "specversion": _TEXT,
        "type": {"type": "string", "minLength": 1},
        "id": {"type": "string", "minLength": 1, "maxLength": 128},
        "inferenceservicename": {"type": "string", "minLength": 1, "maxLength": 128},
        "time": {"type": "string", "format": "date-time"},
        "data": {"type": "object"},
    },
}
_LABEL = {
    "type": "object",
    "required": ["label"],
    "properties": {
        "request_id": _TEXT,
        "row": {"type": "integer", "minimum": 0},
        "label": _SCALAR,
        "event_time": _TEXT,
    },
}


def openapi(version: str) -> dict[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "driftline monitor", "version": version},
        "paths": {
            "/metrics": _get({"200": {"text/plain": {"schema": _TEXT}}, "default": {}}),
            "/healthz": _get({"200": {"text/plain; charset=utf-8": {"schema": _TEXT}},
                              "503": {"text/plain; charset=utf-8": {"schema": _TEXT}}}),
            "/openapi.json": _get({"200": _JSON}),
            "/api": _get({"200": _JSON, "400": _ERROR, "503": _ERROR}, *_fleet_query()),
            "/api/models/{rest}": _get(
                {"200": _JSON, "400": _ERROR, "404": _ERROR, "503": _ERROR}, _in_path("rest"), *_model_query()
            ),
            "/": _get({"200": _PAGE, "400": _PAGE, "503": _PAGE}, *_fleet_query()),
            "/models/{rest}": _get(
                {"200": _PAGE, "400": _PAGE, "404": _PAGE, "503": _PAGE}, _in_path("rest"), *_model_query()
            ),
            "/r/{model}/{check}/latest": _get(
                {"302": {}, "404": _PAGE, "503": _PAGE}, _in_path("model"), _in_path("check")
            ),
            "/run/{run}": _get({"302": {}, "404": _PAGE, "503": _PAGE}, _in_path("run")),
            "/reports/{report}": _get({"200": _PAGE, "404": _PAGE, "503": _PAGE}, _in_path("report", _NUMBER)),
            "/reports/{report}/{part}": _get(
                {"200": {**_PAGE, **_JSON}, "404": _PAGE, "503": _PAGE}, _in_path("report", _NUMBER), _in_path("part")
            ),
            "/driftline.css": _get({"200": {"text/css; charset=utf-8": {"schema": _TEXT}}}),
            "/icon.svg": _get({"200": {"image/svg+xml": {"schema": _TEXT}}}),
            "/labels": {"post": _labels()},
            "/ingest/cloudevents": {"post": _events()},
        },
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"bearer": []}],
    }  # fmt: skip


_NUMBER = {"type": "integer", "minimum": 0}


def _get(responses: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"parameters": list(parameters), "responses": _responses(responses)}}


def _responses(contents: dict[str, Any]) -> dict[str, Any]:
    return {
        status: {"description": _MEANT.get(status, "anything else"), **({"content": content} if content else {})}
        for status, content in {**contents, "401": {}}.items()
    }


def _in_path(name: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema or {"type": "string", "minLength": 1}}


def _in_query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _fleet_query() -> list[dict[str, Any]]:
    return [
        _in_query("q", _TEXT),
        _in_query("verdict", {"enum": ["", *VERDICTS]}),
        _in_query("page", {"type": "integer", "minimum": 1, "maximum": 1_000_000}),
        _in_query("per_page", {"type": "integer", "minimum": 1, "maximum": 200}),
        _in_query("refresh", {"type": "integer", "minimum": 0, "maximum": 86_400}),
    ]


def _model_query() -> list[dict[str, Any]]:
    return [
        *_fleet_query(),
        _in_query("version", _TEXT),
        _in_query("arm", {"enum": ["", *(arm.name.lower() for arm in Arm)]}),
        _in_query("side", {"enum": ["", "input", "output"]}),
        _in_query("days", {"type": "integer", "minimum": DAYS[0], "maximum": DAYS[-1]}),
    ]


def _labels() -> dict[str, Any]:
    names = ("model", "key_column", "request_id", "row", "label", "event_time")
    return {
        "parameters": [
            *(_in_query(name, _TEXT) for name in names),
            _in_query("repeated_keys", {"enum": list(get_args(RepeatedKeys))}),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "array", "items": _LABEL}},
                "application/x-ndjson": {"schema": _TEXT},
                "text/csv": {"schema": _TEXT},
            },
        },
        "responses": _responses(
            {"200": _JSON, "400": _ERROR, "413": _ERROR, "415": _ERROR, "503": _ERROR}
        ),
    }  # fmt: skip


def _events() -> dict[str, Any]:
    refusals = dict.fromkeys(("400", "409", "413", "415", "422", "503"), _ERROR)
    return {
        "requestBody": {
            "required": True,
            "content": {
                STRUCTURED: {"schema": _EVENT},
                BATCH: {"schema": {"type": "array", "items": _EVENT}},
                "application/json": {"schema": {"type": "object"}},
            },
        },
        "parameters": [
            {"name": f"ce-{name}", "in": "header", "required": False, "schema": {"type": "string", "maxLength": 128}}
            for name in ("type", "id", "source", "specversion", "time", "inferenceservicename", "endpoint", "requestid")
        ],
        "responses": _responses({"200": {}, **refusals}),
    }
