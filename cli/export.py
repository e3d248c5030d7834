"""``driftline store export``: rows as Parquet, by day, model and version."""

import sys
from pathlib import Path

import click

from driftline.cli.open_store import open_store
from driftline.cli.since import Since
from driftline.store.records import now_us


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--since", type=Since(), help="The first day: 7d, or a time such as 2026-01-31.  [default: the oldest]")
@click.option("--model", help="Only this model.")
def export(folder: Path, since: int | None, model: str | None) -> None:
    """Write the rows to DIR as Parquet: dt=2026-01-31/model=NAME/version=V/*.parquet.

    The same command resumes after a stop and brings DIR up to date later: finished days are skipped; today's files
    are marked open and written again.
    """
    from driftline.store.export import export as exporting

    _, engine = open_store()
    files = exporting.day_files(engine, since, model, now_us())
    with click.progressbar(length=sum(file.rows for file in files), label="rows", file=sys.stderr) as bar:
        report = exporting.export(engine, folder, files, bar.update)
    click.echo(f"wrote {report.rows} rows to {report.files} files in {folder}, {report.skipped} were finished already")
