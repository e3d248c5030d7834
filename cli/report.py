"""``driftline report``: make the drift report of a model now."""

from pathlib import Path

import click

from driftline.cli.base_options import base_options
from driftline.cli.since import Since
from driftline.store.settings import BaseSettings


@click.command()
@click.argument("model")
@click.option(
    "--since",
    type=Since(),
    default="7d",
    show_default=True,
    help="How far back to look: 24h, 7d, or a time such as 2026-01-31T12:00:00Z.",
)
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write Evidently's page to this file."
)
@click.option("--to-mlflow", is_flag=True, help="Log the report as a run in the experiment driftline/<model>.")
@base_options
def report(base: BaseSettings, model: str, since: int, html_file: Path | None, to_mlflow: bool) -> None:
    """Write the drift report of a model.

    MODEL is a name, name/version or models:/name/version; a name alone means the version that had rows last. The
    report is kept in the store in any case.
    """
    from driftline.cli.job_context import open_context
    from driftline.monitor.report import drift_report
    from driftline.monitor.report.mlflow_run import log_report, verdict
    from driftline.monitor.training.reference import require
    from driftline.monitor.watch import find_version
    from driftline.store.errors import ConfigurationError

    if html_file is not None and not html_file.absolute().parent.is_dir():
        raise ConfigurationError(
            f"the folder of {html_file} does not exist: create it or name another file with --html"
        )
    context = open_context(base, create=False)
    if to_mlflow:
        context.link.require_listening()
    with context.engine.connect() as connection:
        version = find_version(connection, model, since)
    require(context.engine, context.link, version)
    made = drift_report.compose(context, version, (since, context.clock()), progress=click.echo)
    drift_report.keep(context, version, made)
    drifted = ", ".join(c["column"] for c in made.content["columns"] if c["verdict"] == "drift")
    click.echo(
        f"{version.label}: {verdict(made.content)}{f' in {drifted}' if drifted else ''}; "
        f"{made.content['window']['rows']} rows"
    )
    if html_file is not None:
        html_file.write_bytes(made.html)
        click.echo(f"wrote {html_file}")
    if to_mlflow:
        run_id = log_report(context.link, version.identity, made)
        drift_report.note_run(context, version, made, run_id)
        click.echo(f"MLflow run {run_id} in the experiment driftline/{version.identity.name}")
