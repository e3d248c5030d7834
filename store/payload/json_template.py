"""JSON documents that are alike but for one place, parsed together: what is alike is parsed once.

Invariants
----------
- A document is given exactly the value that parsing it alone would give to that place. What surrounds the place is
  compared byte by byte, and parses around another value; what stands in it must be one JSON value.
- No document can take from its neighbour or give to it: between them stands a number drawn for this call, and
  everything is refused where it is not found between every two values.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class JsonTemplate:
    """What documents have in common.

    Attributes:
        prefix, suffix: the bytes before and behind the place.
        document: what they parse to, the place holding text.
    """

    prefix: bytes
    suffix: bytes
    document: dict[str, Any]

    @classmethod
    def of(cls, body: bytes, *path: str) -> "JsonTemplate | None":
        """Return the template of documents like ``body``; the place is the value at ``path``.

        None where it is not the last thing in the document, or where the document is not plain JSON.
        """
        begin = re.compile(rb'"%s"\s*:\s*' % path[-1].encode()).match(body, body.rfind(b'"%s"' % path[-1].encode()))
        end = re.compile(rb"\s*\}" * len(path) + rb"\s*\Z").search(body, max(0, len(body) - 100))
        if begin is None or end is None:
            return None
        prefix, suffix = body[: begin.end()], body[end.start() :]
        probe = _drawn()
        try:
            orjson.loads(body[begin.end() : end.start()])
            value = document = orjson.loads(b'%s"%s"%s' % (prefix, probe.encode(), suffix))
            for key in path:
                value = value[key]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None
        return cls(prefix, suffix, document) if value == probe else None

    def fits(self, body: bytes) -> bool:
        """Return whether a document differs in the place alone."""
        return body.startswith(self.prefix) and body.endswith(self.suffix)

    def values(self, bodies: Sequence[bytes]) -> "PlaceValues | None":
        """Return what each of the documents, which all fit, holds in the place; None where one is not plain JSON."""
        start, stop, between = len(self.prefix), -len(self.suffix), _drawn()
        joined = f',"{between}",'.encode().join([body[start:stop] for body in bodies])
        try:
            parsed = orjson.loads(b"[%s]" % joined)
        except orjson.JSONDecodeError:
            return None
        if len(parsed) != 2 * len(bodies) - 1 or parsed[1::2].count(between) != len(bodies) - 1:
            return None
        return PlaceValues(parsed[::2], b"t" in joined or b"f" in joined)


@dataclass(frozen=True, slots=True)
class PlaceValues:
    """The values of one place; without ``letters`` there is no boolean among them."""

    values: list[Any]
    letters: bool


def _drawn() -> str:
    """Return digits that no client can know."""
    return str(int.from_bytes(os.urandom(8)))
