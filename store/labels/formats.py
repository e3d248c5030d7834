"""Labels out of JSON, JSON lines and CSV, one record at a time: what the web door and the command line both read.

Invariants
----------
- Memory holds one line (of at most ``LONGEST_LINE`` bytes) at a time; a JSON document, which is one value, at most
  ``LARGEST_DOCUMENT`` bytes.
- What cannot be read comes out as its own text, to be refused and kept; the records around it are read.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

import orjson

from driftline.store.errors import DriftlineError

LONGEST_LINE: Final = 1 << 20
LARGEST_DOCUMENT: Final = 16 << 20
_SHOWN_BYTES = 4000  # of a line that cannot be read
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_NAME = re.compile(r"[^\W\d][\w .()%/-]{0,63}")  # what a column may be called, not what a number or an id looks like
_SHOWN_NAMES = 10
_TRUTH = {"true": True, "false": False}

Records = Iterator[Any]


class UnreadableLabels(DriftlineError):
    """A file or a body of labels is not of the form that it should be, as a whole."""


def read_json(stream: IO[bytes], label: str) -> Records:
    """Yield the records of a JSON array, of ``{"labels": [...]}``, or of one object.

    Raises:
        UnreadableLabels: no JSON, or larger than ``LARGEST_DOCUMENT``.
    """
    raw = stream.read(LARGEST_DOCUMENT + 1)
    if len(raw) > LARGEST_DOCUMENT:
        raise UnreadableLabels(
            f"labels as one JSON document may have {LARGEST_DOCUMENT >> 20} MiB, these have more: "
            "send JSON lines (application/x-ndjson, *.jsonl), which have no such limit"
        )
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise UnreadableLabels(
            f"the labels are no JSON (line {error.lineno}): send an array of objects, or JSON lines"
        ) from error
    if isinstance(document, dict) and isinstance(document.get("labels"), list):
        document = document["labels"]
    yield from document if isinstance(document, list) else [document]


def read_json_lines(stream: IO[bytes], label: str) -> Records:
    """Yield the record of every line that is not empty."""
    for line in _lines(stream):
        if stripped := line.strip():
            try:
                yield orjson.loads(stripped)
            except orjson.JSONDecodeError:
                yield stripped[:_SHOWN_BYTES].decode("utf-8", "replace")


def read_csv(stream: IO[bytes], label: str) -> Records:
    """Yield a record per line under the header's names; a line of another length comes out as its text.

    Args:
        label: the column whose cells are typed: what looks like a number is one, ``true`` and ``false`` are truths, the
            empty cell is none.

    Raises:
        UnreadableLabels: there is no header that names this column.
    """
    lines = _lines(stream)
    header = [name.strip() for name in _cells(next(lines, b"").removeprefix(b"\xef\xbb\xbf")) or []]
    if label not in header:
        raise UnreadableLabels(f"the first line of the CSV names no column {label!r}{_instead(header)}")
    for line in lines:
        cells = _cells(line)
        if cells is None or (cells and len(cells) != len(header)):
            yield line[:_SHOWN_BYTES].decode("utf-8", "replace").rstrip("\r\n")
        elif cells:
            record: dict[str, Any] = dict(zip(header, cells, strict=True))
            record[label] = _typed(record[label].strip())
            yield record


def _instead(header: list[str]) -> str:
    """Return what a first line without the label's column names, and what to do; cells of a label are not told."""
    usual = "give it a header such as `request_id,row,label`"
    if len(header) == 1 and ";" in header[0]:
        return ": its cells are separated by semicolons, write commas"
    if not header or not all(_NAME.fullmatch(name) for name in header):
        return f": {usual}"
    found = ", ".join(header[:_SHOWN_NAMES]) + (" ..." if len(header) > _SHOWN_NAMES else "")
    return f" but {found}: name the label's by --label-field (in a post by ?label=NAME), or {usual}"


def _cells(line: bytes) -> list[str] | None:
    """Return the cells of one line; a quote that it does not close damages no other line."""
    try:
        return next(csv.reader([line.decode()], strict=True), [])
    except (csv.Error, UnicodeDecodeError):
        return None


def _typed(cell: str) -> Any:
    if not cell:
        return None
    if cell.lower() in _TRUTH:
        return _TRUTH[cell.lower()]
    if _WHOLE.fullmatch(cell):
        return int(cell)
    return float(cell) if _NUMBER.fullmatch(cell) else cell


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield lines; of one that is too long its beginning."""
    buffered = stream if isinstance(stream, io.BufferedIOBase) else io.BufferedReader(stream)  # type: ignore[type-var]
    while line := buffered.readline(LONGEST_LINE):
        yield line
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            line = buffered.readline(LONGEST_LINE)


READERS: Final[dict[str, Callable[[IO[bytes], str], Records]]] = {
    "json": read_json, "jsonl": read_json_lines, "csv": read_csv
}  # fmt: skip
