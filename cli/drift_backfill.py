"""``driftline drift backfill``: recompute the profiles that drift is judged by."""

from pathlib import Path

import click

from driftline.cli.base_options import base_options
from driftline.cli.progress import counted, progress_bar
from driftline.store.settings import BaseSettings


@click.command()
@click.argument("model")
@click.option(
    "--from-parquet",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Take rows from what `driftline store export` wrote to DIR, those of pruned days among them.",
)
@base_options
def backfill(base: BaseSettings, model: str, folder: Path | None) -> None:
    """Recompute the profiles of MODEL, day by day.

    On its newest reference, after a new reference, new bins or a new column: `reference build` does it for the rows
    that the store holds, this also for those that only an export has. Loading goes on meanwhile; the same command
    resumes after a stop.
    """
    from driftline.cli.job_context import open_context
    from driftline.monitor.training.reference import require
    from driftline.monitor.watch import find_version
    from driftline.store import backfill as backfilling

    context = open_context(base, create=False)
    source: backfilling.RowSource = backfilling.StoredRows()
    if folder is not None:
        from driftline.store.export.parquet_rows import ParquetRows

        source = ParquetRows(folder)
    with context.engine.connect() as connection:
        version = find_version(connection, model, since_us=0)
    require(context.engine, context.link, version)
    days = backfilling.days_to_do(context.engine, version.id, source)
    with progress_bar(24 * days, "hours of rows") as bar:
        rows = backfilling.backfill(context.engine, version.id, source, context.retention, bar.update)
    click.echo(
        f"{version.label}: {counted(rows, 'row')} profiled on the newest reference, {counted(days, 'day')} in this run"
    )
