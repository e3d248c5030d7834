"""SageMaker's data capture: one call a line, in files by hour that an endpoint leaves in its bucket."""

import base64
import binascii
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import orjson

from driftline.store.errors import ConfigurationError
from driftline.store.imports.bodies import answer_body, request_body
from driftline.store.imports.call import ImportedCall, UnreadableEvent
from driftline.store.records import MICROSECONDS

_SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz")
_TYPES = {"CSV": b"text/csv", "JSON": b"application/json"}
_BROKEN_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)


def capture_files(path: Path) -> list[Path]:
    """Return the files of a capture, oldest first as SageMaker names them.

    Raises:
        ConfigurationError: there are none.
    """
    if path.is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(_SUFFIXES))
    if not found:
        raise ConfigurationError(f"{path} holds no file of a capture ({', '.join(_SUFFIXES)}): correct the path")
    return found


@contextmanager
def capture_lines(file: Path) -> Iterator[tuple[Iterator[bytes], IO[bytes]]]:
    """Open a file; yield its lines and the file whose position says how far they are.

    Raises:
        ConfigurationError: it cannot be opened, or is no whole gzip file; the lines before its break were given.
    """
    try:
        opened = file.open("rb")
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read ({error.strerror}): correct the path or its owner, and type this again"
        ) from error
    with opened as raw, gzip.open(raw) if file.suffix == ".gz" else nullcontext(raw) as plain:
        yield _lines(file, plain), raw


def _lines(file: Path, plain: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from (line for line in plain if line.strip())
    except _BROKEN_GZIP:
        raise ConfigurationError(
            f"{file} is no whole gzip file: copy it again, and type this again; what is stored is not stored twice"
        ) from None


def captured_call(line: bytes, names: Sequence[str]) -> ImportedCall:
    """Return the call of a line.

    Args:
        names: of the model's columns, see ``bodies``.

    Raises:
        UnreadableEvent: it is none.
    """
    try:
        document = orjson.loads(line)
        data, meta = document["captureData"], document["eventMetadata"]
        event_id = meta["eventId"]
        at_us = _time_us(meta["inferenceTime"])
    except (orjson.JSONDecodeError, KeyError, OverflowError, TypeError, ValueError):
        raise UnreadableEvent("a line is no capture: eventMetadata needs eventId and inferenceTime") from None
    request_type, request = _side(data, "endpointInput")
    answer_type, answer = _side(data, "endpointOutput")
    if request:
        request_type, request = request_body(request_type, request, names)
    return ImportedCall(
        str(event_id), at_us, request_type, request, answer_body(answer_type, answer) if answer else b"",
        client_request_id=str(meta.get("inferenceId") or ""),
    )  # fmt: skip


def _side(data: Any, name: str) -> tuple[bytes, bytes]:
    """Return content type and bytes of one side; both are empty where it was not captured."""
    side = data.get(name) if isinstance(data, dict) else None
    if not isinstance(side, dict) or not isinstance(side.get("data"), str):
        return b"", b""
    encoding = side.get("encoding", "JSON")
    observed = str(side.get("observedContentType") or "").encode("latin-1", "replace")
    if encoding != "BASE64":
        return observed or _TYPES.get(str(encoding), b""), side["data"].encode()
    try:
        return observed, base64.b64decode(side["data"], validate=True)
    except (binascii.Error, ValueError):  # the latter where it is not even ASCII
        raise UnreadableEvent(f"{name} says it is BASE64, and is not") from None


def _time_us(text: str) -> int:
    at = datetime.fromisoformat(text)
    at_us = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * MICROSECONDS)
    if at_us < 0:
        raise ValueError("before the epoch, which an id's time begins with")
    return at_us
