"""The capture accounts as JSON for machines: on the status page and in reports."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from driftline.store.accounts import accounts
from driftline.store.errors import DriftlineError
from driftline.store.records import iso

log = logging.getLogger(__name__)
_MOST_SPOOLS = 50


def accounts_document(engine: Engine, home: Path) -> dict[str, Any] | None:
    """Return the capture accounts, None where they cannot be had; of spools only those that are open or off balance."""
    try:
        kept = accounts(engine, home / "spool")
    except (SQLAlchemyError, DriftlineError, OSError) as error:
        log.warning("no capture accounts: %s", type(error).__name__)
        return None
    open_ = [s for s in kept.spools if s.alive or s.spooled or not s.balanced]
    entry = {k: v for k, v in asdict(kept).items() if k not in ("spools", "oldest_pending_us")}
    return entry | {
        "balanced": kept.balanced,
        "oldest_pending_at": None if kept.oldest_pending_us is None else iso(kept.oldest_pending_us),
        "spools": len(kept.spools),
        "open_spools": [
            {
                "host": s.host, "pid": s.pid, "alive": s.alive, "started_at": iso(s.started_at_us),
                "answered": s.answered, "stored": s.stored, "spooled": s.spooled, "dropped": s.dropped,
                "bytes": s.bytes, "balanced": s.balanced,
            }
            for s in open_[:_MOST_SPOOLS]
        ],
    }  # fmt: skip
