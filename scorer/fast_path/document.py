"""From a body to the one field of MLflow's protocol that holds its rows, and the parameters beside it."""

import json
from typing import Any, NamedTuple

import orjson

FIELDS = frozenset({"dataframe_split", "dataframe_records", "inputs", "instances"})
_PARAMS = "params"


class Document(NamedTuple):
    """One request.

    Attributes:
        field: which of ``FIELDS``.
        value: what stands below it. An integer beyond 64 bits may have become the double next to it.
        params: what stands beside it; None if nothing.
    """

    field: str
    value: Any
    params: Any


def read_document(body: bytes) -> Document | None:
    """Return the request, or None where anything but rows and parameters stands in it.

    MLflow's JSON is Python's. A faster parser that accepts less of it goes first: it refuses NaN, lone surrogates, byte
    order marks and the wide encodings, and what it accepts is the same but for integers beyond 64 bits.

    Raises:
        ValueError: no JSON.
        RecursionError: nested too deep.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = json.loads(body)
    if type(document) is not dict:
        return None
    if len(document) == 2 and _PARAMS in document:
        document = json.loads(body)  # parameters go to the model as they are, so their integers must be whole
        params = document.pop(_PARAMS)
    elif len(document) == 1:
        params = None
    else:
        return None
    ((field, value),) = document.items()
    return Document(field, value, params) if field in FIELDS else None
