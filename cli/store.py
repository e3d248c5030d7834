"""``driftline store``: upgrade, status, verify, load, prune, export."""

import sys

import click

from driftline.cli.base_options import base_options
from driftline.cli.export import export
from driftline.cli.open_store import open_store
from driftline.cli.progress import counted
from driftline.cli.prune import prune
from driftline.cli.status import status
from driftline.store import migrate
from driftline.store.engine import open_engine
from driftline.store.errors import DriftlineError
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.settings import BaseSettings, load_section


@click.group()
def store() -> None:
    """Upgrade, inspect, verify, prune and export the store."""


store.add_command(export)
store.add_command(prune)
store.add_command(status)


@store.command()
@base_options
def upgrade(base: BaseSettings) -> None:
    """Bring the database to this driftline's schema."""
    engine = open_engine(base.store_url)
    migrate.upgrade(engine)
    click.echo(f"the store {engine.url.render_as_string(hide_password=True)} is ready")


@store.command()
@base_options
def verify(base: BaseSettings) -> None:
    """Recompute profiles and counts from the stored rows.

    Exit 1 where something differs.
    """
    from driftline.store.verify import verify as compare

    engine = open_store(base)
    checks = compare(engine)
    for check in checks:
        click.echo(f"{'ok' if check.agrees else 'DIFFERS'}  {check.name}: {check.detail}")
    if not all(check.agrees for check in checks):
        sys.exit(1)


@store.command()
@base_options
def load(base: BaseSettings) -> None:
    """Load the spools of this host once, by hand."""
    import threading

    from driftline.store.loader.process import lock_folder

    engine = open_store(base)
    busy = threading.Event()
    busy.set()
    lock = lock_folder(base.spool_folder, busy)
    if lock is None:
        raise DriftlineError(f"a loader works on {base.spool_folder} already: leave it to that one")
    with lock:
        report = Loader(engine, base.spool_folder, load_section(LoaderSettings, "loader")).load_once()
    click.echo(
        f"loaded {counted(report.records, 'record')} with {counted(report.rows, 'row')}, "
        f"{report.dropped} had been dropped, {report.quarantined} went to dead_letter"
    )
