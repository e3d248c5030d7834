"""``driftline store export``: rows as Parquet, by day, model and version."""

from pathlib import Path

import click

from driftline.cli.base_options import base_options
from driftline.cli.open_store import open_store
from driftline.cli.progress import counted, progress_bar
from driftline.cli.since import Since
from driftline.store.records import now_us
from driftline.store.settings import BaseSettings


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--since", type=Since(), help="The first day: 7d, or a time such as 2026-01-31.  [default: the oldest]")
@click.option("--model", help="Only this model.")
@base_options
def export(base: BaseSettings, folder: Path, since: int | None, model: str | None) -> None:
    """Write the rows to DIR as Parquet, by day, model and version.

    The files are dt=2026-01-31/model=NAME/version=V/*.parquet. The same command resumes after a stop and brings DIR up
    to date later: finished days are skipped; today's files are marked open and written again.
    """
    from driftline.store.export import export as exporting

    engine = open_store(base)
    files = exporting.day_files(engine, since, model, now_us())
    with progress_bar(sum(file.rows for file in files), "rows") as bar:
        report = exporting.export(engine, folder, files, bar.update)
    click.echo(
        f"wrote {counted(report.rows, 'row')} to {counted(report.files, 'file')} in {folder}; "
        f"finished already: {report.skipped}"
    )
