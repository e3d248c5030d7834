"""Where every answered request is: ``answered == stored + spooled + dropped``, at every moment.

Invariants
----------
- A spool is accounted from one position: what the store holds up to it, and what the spool holds behind it. The
  loader may commit meanwhile; where it may have removed what was being read, the spool is looked at again.
- A spool of another host, or one that is loaded and gone, is accounted by the store alone: what other hosts have not
  loaded yet is told by the loaders there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from driftline.store.errors import SpoolError
from driftline.store.spool.adoption import spools
from driftline.store.spool.inspect import SpoolState, first_position, inspect
from driftline.store.spool.layout import Meta
from driftline.store.spool.reader import Position
from driftline.store.spool_ledger import SpoolLedger, ledgers

_TRIES = 8


@dataclass(frozen=True, slots=True)
class SpoolAccount:
    """One spool's account.

    Attributes:
        answered: sequence numbers used up.
        stored: records in the store, those in dead_letter (``quarantined``) included.
        spooled: records in memory (``in_memory``) and on this host's disk that are not stored yet.
        dropped: by reason.
        quarantined_by_reason: its sum is ``quarantined``; what retention has taken of dead_letter is ``pruned``.
        alive: whether its process lives; None for a spool that is not on this host any more, or never was.
        bytes: of its segments.
        oldest_pending_us: time of the oldest record that is not stored yet.
    """

    uuid: str
    host: str
    pid: int
    started_at_us: int
    answered: int
    stored: int
    spooled: int
    quarantined: int
    dropped: dict[str, int]
    alive: bool | None
    bytes: int = 0
    oldest_pending_us: int | None = None
    in_memory: int = 0
    quarantined_by_reason: dict[str, int] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        return self.answered == self.stored + self.spooled + sum(self.dropped.values())


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of all spools; the totals are their sums."""

    spools: list[SpoolAccount]
    answered: int = field(init=False)
    stored: int = field(init=False)
    spooled: int = field(init=False)
    in_memory: int = field(init=False)
    quarantined: int = field(init=False)
    dropped: dict[str, int] = field(init=False)
    quarantined_by_reason: dict[str, int] = field(init=False)
    oldest_pending_us: int | None = field(init=False)

    def __post_init__(self) -> None:
        for name in ("answered", "stored", "spooled", "in_memory", "quarantined"):
            object.__setattr__(self, name, sum(getattr(spool, name) for spool in self.spools))
        for name in ("dropped", "quarantined_by_reason"):
            object.__setattr__(self, name, summed(getattr(spool, name) for spool in self.spools))
        pending = [spool.oldest_pending_us for spool in self.spools if spool.oldest_pending_us is not None]
        object.__setattr__(self, "oldest_pending_us", min(pending, default=None))

    @property
    def balanced(self) -> bool:
        return all(spool.balanced for spool in self.spools)


def summed(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums of counts by reason."""
    sums: dict[str, int] = {}
    for part in parts:
        for reason, count in part.items():
            sums[reason] = sums.get(reason, 0) + count
    return sums


def accounts(engine: Engine, spool_folder: Path) -> Accounts:
    """Return the accounts of the spools under ``spool_folder`` and of all others the store knows.

    Raises:
        StoreUnreachable, DBAPIError: the database does not answer.
        SpoolError: a spool cannot be read.
    """
    here: dict[str, SpoolAccount] = {}
    for path in spools(spool_folder):
        account = _local(engine, path)
        if account is not None:
            here[account.uuid] = account
    elsewhere = [_settled(uuid, ledger) for uuid, ledger in ledgers(engine).items() if uuid not in here]
    return Accounts([*here.values(), *elsewhere])


def spooled_here(spool_folder: Path) -> list[SpoolState]:
    """Return what the spools under ``spool_folder`` hold, for want of a database that says what of it is stored.

    Raises:
        SpoolError: a spool cannot be read.
    """
    found = []
    for path in spools(spool_folder):
        try:
            found.append(inspect(path, first_position(path)))
        except (SpoolError, FileNotFoundError):
            if path.exists():  # else it was loaded and removed since it was listed
                raise
    return found


def _local(engine: Engine, path: Path) -> SpoolAccount | None:
    """Return the account of a spool on this host, or None when it is gone: then the store knows all of it."""
    for attempt in range(_TRIES):
        try:
            meta = Meta.read(path)
            before = ledgers(engine, {meta.uuid}).get(meta.uuid) or _untouched(meta)
            state = inspect(path, before.position)
        except SpoolError:
            if not path.exists():
                return None
            raise
        except FileNotFoundError:
            continue
        after = ledgers(engine, {meta.uuid}).get(meta.uuid) or before
        if not path.exists():
            return None
        if after.position.segment == before.position.segment:
            return _account(meta, before, state, state.in_memory + state.on_disk, state.dropped)
        if attempt == _TRIES - 1 and state.answered >= after.position.seq:
            # The loader runs through segments faster than they can be read: all behind it counts as spooled.
            return _account(meta, after, state, state.answered - after.position.seq, {})
    raise SpoolError(f"the spool {path.name} is loaded faster than it can be counted: try again")


def _account(meta: Meta, ledger: SpoolLedger, state: SpoolState, spooled: int, pending: dict[str, int]) -> SpoolAccount:
    return SpoolAccount(
        meta.uuid, meta.host, meta.pid, meta.started_at_us, state.answered, ledger.stored, spooled,
        ledger.quarantined, summed([ledger.dropped, pending]), state.alive, state.bytes, state.oldest_at_us,
        state.in_memory, ledger.quarantined_by_reason,
    )  # fmt: skip


def _settled(uuid: str, ledger: SpoolLedger) -> SpoolAccount:
    return SpoolAccount(
        uuid, ledger.host, ledger.pid, ledger.started_at_us, ledger.position.seq, ledger.stored, 0,
        ledger.quarantined, ledger.dropped, None, quarantined_by_reason=ledger.quarantined_by_reason,
    )  # fmt: skip


def _untouched(meta: Meta) -> SpoolLedger:
    return SpoolLedger(Position(), meta.host, meta.pid, meta.started_at_us, 0, 0, {})
