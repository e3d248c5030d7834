"""What happened to a server, left as small files that the loader turns into rows of ``event``.

Invariants
----------
- Whoever leaves an event needs no database, and an event that was left survives everything but its disk.
- Each is in the store once: its file goes after the commit, and one that is there already is not inserted again.
- A file that is no event, or that the database refuses, is set aside and stops no other.
"""

import logging
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

import orjson
from sqlalchemy import Connection, Engine, insert, select

from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.failures import describe, is_store_trouble
from driftline.store.prediction_tables import ensure_model_version, find_model_version
from driftline.store.records import ModelIdentity, new_invocation_id
from driftline.store.spool.layout import write_durably

FOLDER: Final = "events"  # beside the spools
_SUFFIX, _ASIDE = ".json", ".refused"

EventKind = Literal["alias moved", "model loaded", "model failed"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a time.

    Attributes:
        kind: ``alias moved``: the registry points to another version. ``model loaded``: all workers serve it.
            ``model failed``: it was to be served and is not.
        at_us: microseconds since the epoch.
        identity: the model version it is about.
        detail: what else there is to say, as JSON can say it.
        id: makes it one of its kind.
    """

    kind: EventKind
    at_us: int
    identity: ModelIdentity | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: new_invocation_id(0).hex()[12:])

    def to_json(self) -> bytes:
        identity = self.identity and self.identity.to_json().decode()
        document = {"kind": self.kind, "at_us": self.at_us, "identity": identity, "detail": self.detail, "id": self.id}
        return orjson.dumps(document)

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        document = orjson.loads(raw)
        identity = document.pop("identity")
        return cls(identity=ModelIdentity.from_json(identity.encode()) if identity else None, **document)


def leave_event(spool_folder: Path, event: Event) -> None:
    """Write the event beside the spools, durably.

    Raises:
        OSError: the disk refuses.
    """
    folder = spool_folder / FOLDER
    folder.mkdir(exist_ok=True, parents=True)
    write_durably(folder / f"{event.at_us:020d}-{event.id}{_SUFFIX}", event.to_json())


def load_events(engine: Engine, spool_folder: Path) -> int:
    """Insert the events that were left, oldest first, and remove their files; return how many these were.

    Raises:
        Exception: of the database where it is away; the files stay.
    """
    loaded = 0
    for path in sorted((spool_folder / FOLDER).glob(f"[0-9]*{_SUFFIX}")):
        try:
            event = Event.from_json(path.read_bytes())
            _store(engine, event)
        except FileNotFoundError:  # another loader was faster
            continue
        except Exception as error:
            if is_store_trouble(error):
                raise
            _log.error("event %s is set aside as %s: %s", path.name, path.with_suffix(_ASIDE).name, describe(error))
            with suppress(OSError):
                path.rename(path.with_suffix(_ASIDE))
            continue
        with suppress(OSError):  # then it is found again, and found in the store
            path.unlink()
        loaded += 1
    return loaded


def _store(engine: Engine, event: Event) -> None:
    t = schema.event
    detail = orjson.dumps({**event.detail, "host": socket.gethostname(), "event": event.id}).decode()
    with writing(engine) as connection:
        there = select(t.c.id).where(t.c.at == event.at_us, t.c.kind == event.kind, t.c.detail == detail)
        if connection.execute(there).first() is None:
            version_id = _version_id(connection, event)
            connection.execute(insert(t).values(
                at=event.at_us, kind=event.kind, model_version_id=version_id, detail=detail
            ))  # fmt: skip


def _version_id(connection: Connection, event: Event) -> int | None:
    """Return the key of the event's version; only one that is served may be made known by an event."""
    identity = event.identity
    if identity is None:
        return None
    if event.kind == "model loaded":
        return ensure_model_version(connection, identity).id
    known = find_model_version(connection, identity.name, identity.version, identity.fingerprint)
    return None if known is None else known.id
