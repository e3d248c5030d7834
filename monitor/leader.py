"""Which of the monitors of one store leads: it runs the jobs and shows their results, the others stand by.

Invariants
----------
- At most one leads. On PostgreSQL that is who holds an advisory lock on a session of its own; on SQLite, whose monitors
  all run on one host, who holds ``flock`` on a file beside the store's.
- A leader that dies frees the lock with its session. One that is frozen or cut off does not: the server ends a session
  that was not heard of for ``LEASE_SECONDS``, and a leader that was not answered so long takes itself for none.
- What a job writes is written by the leader or not at all: each transaction of a job that writes holds the fence and
  then looks whether the session still has the lock. Who comes to lead waits until nobody is behind the fence any more,
  so no former leader commits after it has begun. A transaction of a frozen process is ended by the server.
"""

import fcntl
import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from driftline.store.engine import WRITES
from driftline.store.errors import LeadershipLost

POLL_SECONDS = 2.0
LEASE_SECONDS = 8.0
_TRANSACTION_SECONDS = 10  # a job's transaction may rest so long between two statements
_LOCK, _FENCE = 0x6472_6966_746C_0010, 0x6472_6966_746C_0011
_SESSION_TIMEOUT_SINCE = (14,)  # PostgreSQL's idle_session_timeout

log = logging.getLogger(__name__)


class Claim(ABC):
    """The lock that the leader holds."""

    @abstractmethod
    def take(self) -> bool:
        """Return whether the lock is ours now, and no former leader writes any more."""

    @abstractmethod
    def renew(self) -> bool:
        """Return whether it is still ours."""

    @abstractmethod
    def give_up(self) -> None:
        """Free it; nothing happens where it is not ours."""

    @abstractmethod
    def fenced(self, engine: Engine) -> Engine:
        """Return an engine on which only the leader's transactions may write."""


class Leadership:
    """Tries for the lead until it has it, and keeps it; see the module.

    Args:
        on_lead: called when this monitor comes to lead, with whether it takes over (it stood by or lost the lead);
            where it raises, the lead is given up and tried for again.
        on_loss: called when it leads no more.
    """

    def __init__(self, claim: Claim, on_lead: Callable[[bool], None], on_loss: Callable[[], None]) -> None:
        self._claim, self._on_lead, self._on_loss = claim, on_lead, on_loss
        self._leads = self._stood_by = False
        self._renewed = 0.0
        self._told = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadership", daemon=True)

    @property
    def leads(self) -> bool:
        """Whether this monitor leads, as far as it was told within ``LEASE_SECONDS``."""
        return self._leads and time.monotonic() - self._renewed < LEASE_SECONDS

    def start(self) -> None:
        """Try for the lead at once and from then on."""
        self._thread.start()

    def stop(self) -> None:
        """Give the lead up; another monitor takes it at its next look."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(POLL_SECONDS)
        self._leads = False
        self._claim.give_up()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._turn()
            except Exception as error:  # the thread must live: nobody else would take the lead
                self._lose(f"the lead is tried for again ({type(error).__name__})")
            self._stopped.wait(POLL_SECONDS)

    def _turn(self) -> None:
        asked = time.monotonic()
        if self._leads:
            if self._claim.renew():
                self._renewed = asked
            else:
                self._lose("the lead is lost")
        if self._leads:
            return
        if not self._claim.take():
            self._stood_by = True
            self._tell("this monitor stands by: another one runs the jobs")
            return
        self._leads, self._renewed = True, time.monotonic()
        self._on_lead(self._stood_by)
        self._tell("this monitor leads: it runs the jobs")

    def _lose(self, why: str) -> None:
        led, self._leads, self._stood_by = self._leads, False, True
        self._claim.give_up()
        self._tell(why)
        if led:
            self._on_loss()

    def _tell(self, what: str) -> None:
        if what != self._told:
            log.info("%s", what)
        self._told = what


def claim_on(engine: Engine) -> Claim:
    """Return the lock of the store's kind."""
    return (
        _FileClaim(f"{engine.url.database}.monitor.lock") if engine.dialect.name == "sqlite" else _SessionClaim(engine)
    )


class _FileClaim(Claim):
    """SQLite's: the kernel frees it when the process dies, and nothing else does."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def renew(self) -> bool:
        return self._descriptor is not None

    def give_up(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def fenced(self, engine: Engine) -> Engine:
        return engine


class _SessionClaim(Claim):
    """PostgreSQL's: a session that does nothing else."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Connection | None = None
        self._driver_connection: Any = None
        self._pid = 0

    def take(self) -> bool:
        if self._session is None:
            self._session = self._open()
        try:
            if not self._session.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
                return False
            self._session.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _FENCE})
            self._session.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _FENCE})
            self._pid = int(self._session.scalar(text("SELECT pg_backend_pid()")) or 0)
        except SQLAlchemyError:
            self.give_up()
            raise
        return True

    def renew(self) -> bool:
        try:
            return self._session is not None and self._session.scalar(text("SELECT 1")) == 1
        except SQLAlchemyError:
            return False

    def give_up(self) -> None:
        session, self._session, self._pid = self._session, None, 0
        if session is not None:
            with suppress(SQLAlchemyError):
                session.close()
            self._driver_connection.close()  # where the server ended it, SQLAlchemy leaves it open

    def fenced(self, engine: Engine) -> Engine:
        fenced = engine.execution_options()  # the same pool; what is listened for below is this one's alone

        @event.listens_for(fenced, "begin")
        def check(connection: Connection) -> None:
            if connection.get_execution_options().get(WRITES):
                self._check(connection)

        return fenced

    def _open(self) -> Connection:
        session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._driver_connection = session.connection.driver_connection
        session.detach()  # its settings are not for the pool, and what is closed is to be closed
        if (self._engine.dialect.server_version_info or ()) >= _SESSION_TIMEOUT_SINCE:
            session.exec_driver_sql(f"SET idle_session_timeout = '{LEASE_SECONDS:g}s'")
        return session

    def _check(self, connection: Connection) -> None:
        """Go behind the fence, and end the transaction unless the lock is ours there."""
        connection.execute(
            text(
                "SELECT set_config('idle_in_transaction_session_timeout', :rest, true), "
                "pg_advisory_xact_lock_shared(:key)"
            ),
            {"rest": f"{_TRANSACTION_SECONDS}s", "key": _FENCE},
        )
        held = text(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = :pid AND objsubid = 1 "
            "AND classid = :high AND objid = :low "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        key = {"high": _LOCK >> 32, "low": _LOCK & 0xFFFF_FFFF}
        if not self._pid or not connection.scalar(held, {"pid": self._pid, **key}):
            raise LeadershipLost("another monitor leads now: this one's job ends without writing, that one runs it")
