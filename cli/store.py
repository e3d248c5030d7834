"""``driftline store``: upgrade, status, verify, load, prune, export."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from sqlalchemy import Connection, func, select

from driftline.cli.export import export
from driftline.cli.open_store import open_store
from driftline.cli.prune import prune
from driftline.store import migrate, schema
from driftline.store.accounts import Accounts, SpoolAccount, accounts
from driftline.store.engine import open_engine
from driftline.store.errors import DriftlineError
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.retention.ledger import Pruned, pruned_so_far
from driftline.store.settings import load_base, load_section

COUNTED_INVOCATIONS = 1_000_000


@click.group()
def store() -> None:
    """Upgrade, inspect, verify, prune and export the store."""


store.add_command(export)
store.add_command(prune)


@store.command()
def upgrade() -> None:
    """Bring the database to this driftline's schema."""
    engine = open_engine(load_base().store_url)
    migrate.upgrade(engine)
    click.echo(f"the store {engine.url.render_as_string(hide_password=True)} is ready")


@store.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--count", is_flag=True, help="Count what each model version has, however long that takes.")
def status(as_json: bool, count: bool) -> None:
    """Tell where every answered request is.

    What each model version has is counted where that takes less than a moment, up to a million invocations.
    """
    base, engine = open_store()
    found = accounts(engine, base.spool_folder)
    with engine.connect() as connection:
        pruned = pruned_so_far(connection)
        models = _models(connection, count or found.stored - pruned.invocations <= COUNTED_INVOCATIONS)
    if as_json:
        click.echo(orjson.dumps(_status(found, pruned, models), option=orjson.OPT_INDENT_2).decode())
        return
    dropped = sum(found.dropped.values())
    click.echo(f"answered {found.answered} = stored {found.stored} + spooled {found.spooled} + dropped {dropped}"
               f"{'' if found.balanced else '  NOT BALANCED'}")  # fmt: skip
    for reason, number in sorted(found.dropped.items()):
        click.echo(f"  dropped, {reason}: {number}")
    for reason, number in sorted(found.quarantined_by_reason.items()):
        where = "were pruned from dead_letter" if reason == "pruned" else f"lie in dead_letter, {reason}"
        click.echo(f"  {number} of the stored {where}")
    if gone := pruned.invocations + pruned.dead_letters:
        click.echo(f"  {gone} of the stored were pruned, with {pruned.rows} rows")
    if found.oldest_pending_us is not None:
        click.echo(f"  oldest pending: {_time(found.oldest_pending_us)}")
    for model in models:
        reference = f"reference of {model['reference_rows']} rows" if model["reference_rows"] else "no reference"
        counted = f"{model['invocations']} invocations, {model['rows']} rows, " if "invocations" in model else ""
        click.echo(f"{model['name']} {model['version']}: {counted}{reference}")
    if any("invocations" not in model for model in models):
        click.echo("  what each model has is counted by `driftline store status --count`")


@store.command()
def verify() -> None:
    """Recompute profiles and counts from the stored rows; exit 1 where something differs."""
    from driftline.store.verify import verify as compare

    _, engine = open_store()
    checks = compare(engine)
    for check in checks:
        click.echo(f"{'ok' if check.agrees else 'DIFFERS'}  {check.name}: {check.detail}")
    if not all(check.agrees for check in checks):
        sys.exit(1)


@store.command()
def load() -> None:
    """Load the spools of this host once, by hand."""
    import threading

    from driftline.store.loader.process import lock_folder

    base, engine = open_store()
    busy = threading.Event()
    busy.set()
    lock = lock_folder(base.spool_folder, busy)
    if lock is None:
        raise DriftlineError(f"a loader works on {base.spool_folder} already: leave it to that one")
    with lock:
        report = Loader(engine, base.spool_folder, load_section(LoaderSettings, "loader")).load_once()
    click.echo(f"loaded {report.records} records with {report.rows} rows, {report.dropped} had been dropped, "
               f"{report.quarantined} went to dead_letter")  # fmt: skip


def _models(connection: Connection, count: bool) -> list[dict[str, Any]]:
    """Return what is known of each model version, with ``invocations`` and ``rows`` only where they are counted."""
    m, r = schema.model_version.c, schema.reference.c
    counts = _counts(connection) if count else None
    references = {row.model_version_id: row.row_count for row in connection.execute(
        select(r.model_version_id, r.row_count).order_by(r.id)
    )}  # fmt: skip
    return [
        {
            "name": row.name, "version": row.version, "prediction_table": row.prediction_table,
            "first_served_at": _time(row.first_served_at),
            **({} if counts is None else counts.get(row.id, {"invocations": 0, "rows": 0})),
            "reference_rows": references.get(row.id),
        }
        for row in connection.execute(select(schema.model_version).order_by(m.id))
    ]  # fmt: skip


def _counts(connection: Connection) -> dict[int, dict[str, int]]:
    """Count invocations and rows by model version; this reads the whole table."""
    i = schema.invocation.c
    query = select(i.model_version_id, func.count(), func.sum(i.row_count)).group_by(i.model_version_id)
    return {row[0]: {"invocations": row[1], "rows": int(row[2])} for row in connection.execute(query)}


def _status(found: Accounts, pruned: Pruned, models: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "answered": found.answered,
        "stored": found.stored,
        "spooled": found.spooled,
        "in_memory": found.in_memory,
        "on_disk": found.spooled - found.in_memory,
        "dropped": _dropped(found.dropped),
        "quarantined": found.quarantined,
        "quarantined_by_reason": found.quarantined_by_reason,
        "pruned": asdict(pruned),
        "balanced": found.balanced,
        "oldest_pending_at": _time(found.oldest_pending_us),
        "spools": [_spool(spool) for spool in found.spools],
        "models": models,
    }


def _spool(spool: SpoolAccount) -> dict[str, Any]:
    return {
        "uuid": spool.uuid, "host": spool.host, "pid": spool.pid, "alive": spool.alive,
        "started_at": _time(spool.started_at_us), "answered": spool.answered, "stored": spool.stored,
        "spooled": spool.spooled, "in_memory": spool.in_memory, "on_disk": spool.spooled - spool.in_memory,
        "dropped": _dropped(spool.dropped), "quarantined": spool.quarantined,
        "quarantined_by_reason": spool.quarantined_by_reason,
        "balanced": spool.balanced, "bytes": spool.bytes, "oldest_pending_at": _time(spool.oldest_pending_us),
    }  # fmt: skip


def _dropped(dropped: dict[str, int]) -> dict[str, int]:
    return {**dropped, "total": sum(dropped.values())}


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).isoformat()
