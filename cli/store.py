"""``driftline store``: upgrade, status, verify, load, prune, export, forget, backup, upkeep."""

import sys
from pathlib import Path

import click

from driftline.cli.base_options import base_options
from driftline.cli.export import export
from driftline.cli.forget import forget
from driftline.cli.open_store import open_for_command, open_store
from driftline.cli.progress import counted
from driftline.cli.prune import prune
from driftline.cli.status import status
from driftline.store import migrate
from driftline.store.errors import DriftlineError
from driftline.store.home import make_home
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.settings import BaseSettings, load_section


@click.group()
def store() -> None:
    """Upgrade, inspect, verify, prune and export the store."""


store.add_command(export)
store.add_command(forget)
store.add_command(prune)
store.add_command(status)


@store.command()
@base_options
def upgrade(base: BaseSettings) -> None:
    """Bring the database to this driftline's schema."""
    if not base.store:
        make_home(base.home)
    engine = open_for_command(base.store_url)
    migrate.upgrade(engine)
    click.echo(f"the store {engine.url.render_as_string(hide_password=True)} is ready")


@store.command()
@click.argument("file", type=click.Path(path_type=Path))
@base_options
def backup(base: BaseSettings, file: Path) -> None:
    """Copy a SQLite store to FILE while it is in use.

    For PostgreSQL it says which `pg_dump` to type.
    """
    from driftline.store.backup import backup as copy

    size = copy(open_store(base), file)
    click.echo(f"{size} bytes copied to {file}; put it in the store's place while nothing runs to restore it")


@store.command()
@click.argument("model_uris", nargs=-1)
@base_options
def upkeep(base: BaseSettings, model_uris: tuple[str, ...]) -> None:
    """Make partitions, and tables of models, ahead of their use.

    For PostgreSQL whose loader and monitor may make no tables: run it daily as their owner, and with the URI of a model
    before it is served for the first time. Elsewhere this happens by itself.
    """
    from driftline.store.engine import writing
    from driftline.store.partitions import DAYS_AHEAD, day_of, ensure_days
    from driftline.store.prediction_tables import ensure_model_version
    from driftline.store.records import now_us
    from driftline.store.redaction import load_redaction

    engine = open_store(base)
    redaction = load_redaction()
    for uri in model_uris:
        from driftline.monitor.mlflow_link import MlflowLink

        identity = MlflowLink().resolve(uri)
        with writing(engine) as connection:
            version = ensure_model_version(connection, redaction.identity(identity) if redaction else identity)
        click.echo(f"{identity.name} version {identity.version} has its table {version.table.name}")
    today = day_of(now_us())
    ensure_days(engine, range(today - 1, today + DAYS_AHEAD + 1))
    click.echo(
        f"there are partitions for {DAYS_AHEAD} days" if engine.dialect.name == "postgresql" else "nothing to do"
    )


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
