"""One label as it comes, whatever it came in: fields of a record in, a checked label or a refusal out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from driftline.store.payload.typed_cells import storable_text
from driftline.store.records import MICROSECONDS

LONGEST_KEY = 512  # bytes; longer ids of clients are in no index
_LONGEST_VALUE = 1024  # bytes of JSON
_CONTENT_CHARACTERS = 1000
_LARGEST_ROW = 2**31 - 1
_FUTURE_US = 86_400 * MICROSECONDS  # a clock may be ahead, but not by more


class Fate(StrEnum):
    """What becomes of a label. The first three are in force, ``pending`` waits, the others are rejects."""

    STORED = "stored"
    REPLACED = "replaced"
    REPEATED = "repeated"
    PENDING = "pending"
    OLDER = "older"
    AMBIGUOUS = "ambiguous"
    NO_SUCH_ROW = "no_such_row"
    ROW_MISSING = "row_missing"
    WRONG_TYPE = "wrong_type"
    MALFORMED = "malformed"
    EXPIRED = "expired"


IN_FORCE = (Fate.STORED, Fate.REPLACED, Fate.REPEATED)
REJECTS = tuple(fate for fate in Fate if fate not in (*IN_FORCE, Fate.PENDING))
REASONS = {
    Fate.OLDER: "the row has another label, of a later event",
    Fate.AMBIGUOUS: "the client's id, or the key, is that of several requests; of a key `--repeated-keys newest` takes "
    "the newest row, `all` takes all",
    Fate.NO_SUCH_ROW: "the request had fewer rows, or was an error",
    Fate.ROW_MISSING: "the request had several rows and the label names none",
    Fate.WRONG_TYPE: "no number, text or truth, too long, or nothing that the model's output could be",
    Fate.MALFORMED: "a line that cannot be read, or no id or key, no row index or no time that can be used",
    Fate.EXPIRED: "no request came in `pending_days`",
}


@dataclass(frozen=True, slots=True)
class Fields:
    """What the fields of a label are called where it comes from; ``key`` is empty where there is no business key."""

    request_id: str = "request_id"
    row: str = "row"
    label: str = "label"
    event_time: str = "event_time"
    key: str = ""


class Label(NamedTuple):
    """A label that says what it is about.

    Attributes:
        key: a request id, or with ``by_key`` a value of the key column, as text.
        row: index of the row in its request; None: the request's only row.
        value: a JSON scalar: number, string, true or false.
        event_at_us: when it became true; without a time of its own, when it came.
    """

    key: str
    by_key: bool
    row: int | None
    value: str
    event_at_us: int


class Refusal(NamedTuple):
    """A label that was not taken: why, and what it was."""

    fate: Fate
    content: str


def read_record(record: Any, fields: Fields, now_us: int) -> Label | Refusal:
    """Return the label that a record holds, or why it holds none."""
    if not isinstance(record, Mapping):
        return Refusal(Fate.MALFORMED, as_content(record))
    try:
        key, by_key = _key(record, fields)
        row = None if by_key else _row(record.get(fields.row))
        event_at_us = _event_time(record.get(fields.event_time), now_us)
    except (ValueError, ArithmeticError, TypeError):
        return Refusal(Fate.MALFORMED, as_content(record))
    value = scalar(record.get(fields.label))
    if value is None:
        return Refusal(Fate.WRONG_TYPE, as_content(record))
    return Label(key, by_key, row, value, event_at_us)


def scalar(value: Any) -> str | None:
    """Return a number, string or truth as JSON; None for anything else, NaN and long texts too."""
    if hasattr(value, "item") and not isinstance(value, str):  # of NumPy
        value = value.item()
    if isinstance(value, Decimal):
        value = float(value)
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    try:
        raw = orjson.dumps(value)
    except orjson.JSONEncodeError:  # beyond 64 bits, or no Unicode
        return None
    return raw.decode() if len(raw) <= _LONGEST_VALUE and b"\\u0000" not in raw else None


def as_content(record: Any) -> str:
    """Return a record as what a reject keeps of it: JSON where that is possible, cut to a bound."""
    try:
        text = record if isinstance(record, str) else orjson.dumps(record, default=str).decode()
    except (orjson.JSONEncodeError, RecursionError):
        text = repr(record)[:_CONTENT_CHARACTERS]
    return storable_text(text[:_CONTENT_CHARACTERS])


def _key(record: Mapping[str, Any], fields: Fields) -> tuple[str, bool]:
    found, by_key = record.get(fields.request_id), False
    if _is_missing(found) and fields.key:
        found, by_key = record.get(fields.key), True
    if isinstance(found, float | Decimal) and found == found // 1:  # a column of whole numbers with gaps, or of NUMERIC
        found = int(found)
    elif isinstance(found, UUID):
        found = str(found)
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise TypeError("no key")
    text = str(found)
    if not text or len(text.encode()) > LONGEST_KEY or "\0" in text:
        raise ValueError("no key that can be stored")
    return text, by_key


def _row(value: Any) -> int | None:
    if _is_missing(value):
        return None
    row = int(float(value))  # a CSV of a column with gaps says 1.0
    if isinstance(value, bool) or row != float(value) or not 0 <= row <= _LARGEST_ROW:
        raise ValueError("no row index")
    return row


def _event_time(value: Any, now_us: int) -> int:
    """Read ISO 8601 text or a time (UTC where it names no zone), or a number of seconds since the epoch."""
    if _is_missing(value):
        return now_us
    if isinstance(value, bool):
        raise TypeError("no time")
    moment = _moment(value) if isinstance(value, str) else value
    if isinstance(moment, date) and not isinstance(moment, datetime):  # a day of a database
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if isinstance(moment, datetime):
        at_us = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * MICROSECONDS)
    else:
        at_us = round(float(moment) * MICROSECONDS)
    if not 0 <= at_us <= now_us + _FUTURE_US:
        raise ValueError("a time before 1970 or in the future")
    return at_us


def _moment(text: str) -> datetime | float:
    """Return what a text says: a time, or seconds, which a CSV has as text too."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return float(text)


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
