"""Try a loaded model before it serves: its first prediction is the slow one, and may be its only failure."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from driftline.scorer.asgi_types import ASGIApp, Message
from driftline.store.errors import DriftlineError
from driftline.store.records import ModelIdentity

_TRIES = 3  # a first prediction may compile for longer than a request may take
_OK, _TIMEOUT = 200, 504
_ROWS = 2
_CELLS: dict[str, Any] = {
    "boolean": False, "integer": 0, "long": 0, "float": 0.0, "double": 0.0, "string": "", "binary": "",
    "datetime": "2000-01-01",
}  # fmt: skip

_log = logging.getLogger("driftline.scorer")


class WarmUpFailed(DriftlineError):
    """A model does not answer the rows that it was tried on."""


def warm_up(app: ASGIApp, path: Path, identity: ModelIdentity, served: ASGIApp | None = None) -> None:
    """Answer the model's serving example, or else rows of its signature's types; call it from no event loop.

    An example has to be answered. Made-up rows may be none that this model should take, so that they only count where
    the version that is served answers them.

    Args:
        app: MLflow's application over the model in the folder ``path``.
        served: the same over the version that answers now.

    Raises:
        WarmUpFailed: it does not answer.
    """
    if (example := _serving_example(path)) is not None:
        status, body = _ask(app, example)
        if status != _OK:
            raise WarmUpFailed(f"its own input example is answered with {status}{_code(body)}")
        return
    rows = _rows_of_signature(identity)
    if rows is None:
        _log.info("version %s has neither an input example nor plain columns: it is not tried", identity.version)
        return
    status, body = _ask(app, rows)
    if status != _OK and served is not None and _ask(served, rows)[0] == _OK:
        raise WarmUpFailed(
            f"rows of its signature's types are answered with {status}{_code(body)}, the version that is served "
            "answers them"
        )


def _serving_example(path: Path) -> bytes | None:
    from mlflow.models import Model

    try:
        example = Model.load(str(path)).get_serving_input(str(path))
    except OSError:  # its metadata name a file that is not there
        return None
    return example.encode() if example else None


def _rows_of_signature(identity: ModelIdentity) -> bytes | None:
    raw = (identity.signature or {}).get("inputs")
    columns = orjson.loads(raw) if raw else []
    if not columns or any(column["type"] not in _CELLS or not column.get("name") for column in columns):
        return None
    row = {column["name"]: _CELLS[column["type"]] for column in columns}
    return orjson.dumps({"dataframe_records": [row] * _ROWS})


def _ask(app: ASGIApp, body: bytes) -> tuple[int, bytes]:
    """Return status and body of the answer, on an event loop of this thread's own."""
    for _ in range(_TRIES):
        try:
            status, answer = asyncio.run(_post(app, body))
        except SystemExit:  # a model that ends its process
            return 500, b""
        if status != _TIMEOUT:
            break
    return status, answer


async def _post(app: ASGIApp, body: bytes) -> tuple[int, bytes]:
    status = 500
    given = False
    answer: list[bytes] = []

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()  # a client that waits for its answer
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            answer.append(message.get("body", b""))

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/invocations", "raw_path": b"/invocations", "query_string": b"", "root_path": "",
        "headers": [(b"content-type", b"application/json")], "client": None, "server": None,
    }  # fmt: skip
    with suppress(Exception):  # an answer that cannot be encoded: the application sends 500 and raises
        await app(scope, receive, send)
    return status, b"".join(answer)


def _code(body: bytes) -> str:
    """Return MLflow's error code, in brackets; never its message, which echoes values."""
    try:
        return f" ({orjson.loads(body)['error_code']})"
    except (ValueError, TypeError, KeyError):
        return ""
