"""``driftline store status``: where every answered request is."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from sqlalchemy import Connection, func, select

from driftline.cli.base_options import base_options
from driftline.cli.open_store import open_store
from driftline.cli.progress import counted
from driftline.store import schema
from driftline.store.accounts import Accounts, SpoolAccount, accounts, spooled_here, summed
from driftline.store.errors import StoreUnreachable
from driftline.store.retention.ledger import Pruned, pruned_so_far
from driftline.store.settings import BaseSettings
from driftline.store.spool.inspect import SpoolState

COUNTED_INVOCATIONS = 1_000_000


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--count", is_flag=True, help="Count what each model version has, however long that takes.")
@base_options
def status(base: BaseSettings, as_json: bool, count: bool) -> None:
    """Tell where every answered request is.

    What each model version has is counted where that takes less than a moment, up to a million invocations. Where the
    database does not answer, what lies in this host's spools is told, loaded or not, and the exit code is 1.
    """
    try:
        engine = open_store(base)
    except StoreUnreachable:
        if base.spool_folder.is_dir():
            _tell_spooled(spooled_here(base.spool_folder), as_json)
        raise
    found = accounts(engine, base.spool_folder)
    with engine.connect() as connection:
        pruned = pruned_so_far(connection)
        models = _models(connection, count or found.stored - pruned.invocations <= COUNTED_INVOCATIONS)
    if as_json:
        _print_json(_status(found, pruned, models))
    else:
        _tell(found, pruned, models)


def _tell(found: Accounts, pruned: Pruned, models: list[dict[str, Any]]) -> None:
    dropped = sum(found.dropped.values())
    click.echo(f"answered {found.answered} = stored {found.stored} + spooled {found.spooled} + dropped {dropped}"
               f"{'' if found.balanced else '  NOT BALANCED'}")  # fmt: skip
    for reason, number in sorted(found.dropped.items()):
        click.echo(f"  dropped, {reason}: {number}")
    for reason, number in sorted(found.quarantined_by_reason.items()):
        where = "were pruned from dead_letter" if reason == "pruned" else f"lie in dead_letter, {reason}"
        click.echo(f"  {number} of the stored {where}")
    if gone := pruned.invocations + pruned.dead_letters:
        click.echo(f"  {gone} of the stored were pruned, with {counted(pruned.rows, 'row')}")
    if found.oldest_pending_us is not None:
        click.echo(f"  oldest pending: {_time(found.oldest_pending_us)}")
    for model in models:
        reference = f"reference of {counted(model['reference_rows'], 'row')}" if model["reference_rows"] else (
            "no reference"
        )  # fmt: skip
        has = ""
        if "invocations" in model:
            has = f"{counted(model['invocations'], 'invocation')}, {counted(model['rows'], 'row')}, "
        click.echo(f"{model['name']} {model['version']}: {has}{reference}")
    if any("invocations" not in model for model in models):
        click.echo("  what each model has is counted by `driftline store status --count`")


def _tell_spooled(states: list[SpoolState], as_json: bool) -> None:
    """Print what this host knows alone. Which of it is loaded too, only the database knows."""
    spooled, size = sum(state.in_memory + state.on_disk for state in states), sum(state.bytes for state in states)
    oldest = min((state.oldest_at_us for state in states if state.oldest_at_us is not None), default=None)
    if as_json:
        _print_json(
            {
                "answered": None, "stored": None, "spooled": spooled,
                "in_memory": sum(state.in_memory for state in states),
                "on_disk": sum(state.on_disk for state in states),
                "dropped": _dropped(summed(state.dropped for state in states)),
                "bytes": size, "oldest_pending_at": _time(oldest), "spools": [_state(state) for state in states],
            }
        )  # fmt: skip
        return
    click.echo(
        f"in the spools of this host: {counted(spooled, 'request')} ({counted(size, 'byte')}), loaded or not: "
        "the store would tell"
    )
    if oldest is not None:
        click.echo(f"  the oldest of them: {_time(oldest)}")
    for state in states:
        click.echo(
            f"  spool {state.uuid} of process {state.pid}{'' if state.alive else ', which has ended'}: "
            f"{counted(state.in_memory + state.on_disk, 'request')}, {counted(state.bytes, 'byte')}"
            + (f", oldest {_time(state.oldest_at_us)}" if state.oldest_at_us is not None else "")
        )


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


def _state(state: SpoolState) -> dict[str, Any]:
    return {
        "uuid": state.uuid, "host": state.host, "pid": state.pid, "alive": state.alive,
        "started_at": _time(state.started_at_us), "answered": None, "stored": None,
        "spooled": state.in_memory + state.on_disk, "in_memory": state.in_memory, "on_disk": state.on_disk,
        "dropped": _dropped(state.dropped), "bytes": state.bytes, "oldest_pending_at": _time(state.oldest_at_us),
    }  # fmt: skip


def _print_json(document: dict[str, Any]) -> None:
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


def _dropped(dropped: dict[str, int]) -> dict[str, int]:
    return {**dropped, "total": sum(dropped.values())}


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).isoformat()
