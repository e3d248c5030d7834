"""What every fault must leave in the store: each answered invocation once, with its bytes and its rows, in order.

The oracle believes nothing that the store says of itself before it has been compared with what was issued: ids and
hashes of both bodies are kept by the side that sent them.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import zstandard
from sqlalchemy import Engine, select, text

from driftline.store import schema
from driftline.store.accounts import Accounts, accounts
from driftline.store.records import Arm, Invocation
from driftline.store.verify import verify


@dataclass
class Figures:
    """A line of the table in docs/reliability.md, summed over tries."""

    tries: int = 0
    issued: int = 0
    lost: int = 0
    twice: int = 0
    dropped: int = 0
    quarantined: int = 0

    def __iadd__(self, other: "Figures") -> "Figures":
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self


def digest(request: bytes, response: bytes) -> bytes:
    """Return what is compared of an invocation's bodies."""
    return hashlib.sha256(hashlib.sha256(request).digest() + hashlib.sha256(response).digest()).digest()


def digests(sent: Iterable[Invocation]) -> dict[bytes, bytes]:
    """Return the digest of each invocation by its id."""
    return {one.id: digest(one.request, one.response) for one in sent}


def stored(engine: Engine, without: Arm | None = None) -> dict[bytes, bytes | None]:
    """Return the digest of each stored invocation by its id, None where its bodies were not kept; nothing twice.

    Args:
        without: leave this arm out: a challenger's invocations have the ids of those that it scored too.
    """
    t = schema.invocation.c
    query = select(t.id, t.request_body, t.response_body).where(t.arm != (-1 if without is None else without))
    if engine.dialect.name == "sqlite":
        query = query.order_by(text("rowid"))
    found: dict[bytes, bytes | None] = {}
    twice = 0
    with engine.connect().execution_options(yield_per=1000) as connection:
        for row in connection.execute(query):
            twice += bytes(row.id) in found
            found[bytes(row.id)] = _digest(row.request_body, row.response_body)
    assert not twice, f"{twice} invocations were stored twice"
    return found


def letters(engine: Engine) -> list[bytes]:
    """Return the payloads in dead_letter, in the order of their numbers."""
    t = schema.dead_letter.c
    with engine.connect() as connection:
        return [bytes(payload) for payload in connection.scalars(select(t.payload).order_by(t.spool_id, t.seq))]


def settle(engine: Engine, folder: Path, sent: list[Invocation], *, quarantined: int = 0, tries: int = 1) -> Figures:
    """Assert that one spool, or several in turn, of which ``sent`` was all, lies in the store exactly."""
    found, expected = stored(engine), digests(sent)
    dead = letters(engine)
    assert len(dead) == quarantined
    dead_ids = {payload[:16] for payload in dead}
    assert not expected.keys() - found.keys() - dead_ids, "answered and lost"
    assert not found.keys() - expected.keys(), "stored and never sent"
    assert not found.keys() & dead_ids, "stored and quarantined"
    assert all(expected[id_] == hashed for id_, hashed in found.items() if hashed is not None), "altered"
    if engine.dialect.name == "sqlite":
        assert list(found) == [one.id for one in sent if one.id in found], "not in order"
    account = balanced(engine, folder)
    assert (account.answered, account.stored, account.spooled) == (len(sent), len(sent), 0)
    return Figures(tries, len(sent), quarantined=quarantined)


def balanced(engine: Engine, folder: Path) -> Accounts:
    """Return the accounts, once they and everything that the store says of itself agree."""
    account = accounts(engine, folder)
    assert account.balanced, account
    disagreeing = [check for check in verify(engine) if not check.agrees]
    assert not disagreeing, disagreeing
    return account


def _digest(request: bytes | None, response: bytes | None) -> bytes | None:
    if request is None or response is None:
        return None
    unpack = zstandard.ZstdDecompressor().decompress
    return digest(unpack(request), unpack(response))
