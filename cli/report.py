"""``driftline report``: make the drift report of a model now."""

from contextlib import suppress
from pathlib import Path

import click

from driftline.cli.base_options import base_options
from driftline.cli.since import Since
from driftline.store.settings import BaseSettings


@click.command()
@click.argument("model")
@click.option(
    "--since",
    type=Since(before_now=True),
    default="7d",
    show_default=True,
    help="How far back to look: 24h, 7d, or a time such as 2026-01-31T12:00:00Z.",
)
@click.option(
    "--week", is_flag=True, help="Instead: the newest window of the schedule. Makes that report and its run anew."
)
@click.option("--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the summary, a page.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as JSON.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Write all files, Evidently's pages among them."
)
@click.option("--to-mlflow", is_flag=True, help="Log the report as a run in the experiment driftline/<model>.")
@base_options
def report(
    base: BaseSettings,
    model: str,
    since: int,
    week: bool,
    html_file: Path | None,
    json_file: Path | None,
    folder: Path | None,
    to_mlflow: bool,
) -> None:
    """Make the drift report of a model.

    MODEL is a name, name/version or models:/name/version; a name alone means the version that had rows last. The
    report is kept in the store in any case.
    """
    from driftline.cli.job_context import open_context
    from driftline.monitor.report import job, report_files
    from driftline.monitor.report.compose import compose
    from driftline.monitor.report.kept_reports import keep
    from driftline.monitor.report.summary_page import render
    from driftline.monitor.report.windows import due_windows
    from driftline.monitor.report.wording import headline, told
    from driftline.monitor.training.reference import require
    from driftline.monitor.watch import find_version
    from driftline.store.errors import ConfigurationError, MlflowUnreachable, ReferenceMissing

    for option, file in (("--html", html_file), ("--json", json_file), ("--folder", folder)):
        if file is not None and not file.absolute().parent.is_dir():
            raise ConfigurationError(
                f"the folder of {file} does not exist: create it or name another place with {option}"
            )
    context = open_context(base, create=False)
    if to_mlflow:
        context.link.require_listening()
    window = due_windows(context.report, context.clock())[-1] if week else (since, context.clock())
    with context.engine.connect() as connection:
        version = find_version(connection, model, window[0])
    with suppress(ReferenceMissing, MlflowUnreachable):  # the report says that it is missing
        require(context.engine, context.link, version)
    made = compose(context, version, window, scheduled=week, progress=lambda step: click.echo(f"{step} ...", err=True))
    kept = keep(context.engine, version.id, made, context.clock())
    click.echo(f"{version.label}: {headline(made.content)}")
    for line in told(made.content["arms"][0]):
        click.echo(f"  {line}")
    for note in made.content["notes"]:
        click.echo(f"left out: {note}")
    if folder is not None:
        folder.mkdir(exist_ok=True)
        report_files.write(folder, made, {"runbooks": context.report.runbooks_url or None})
        click.echo(f"wrote {folder}")
    if html_file is not None:
        html_file.write_text(render(made.content), encoding="utf-8")
        click.echo(f"wrote {html_file}")
    if json_file is not None:
        json_file.write_bytes(report_files.as_json(made))
        click.echo(f"wrote {json_file}")
    if to_mlflow:
        click.echo("logging to MLflow ...", err=True)
        run_id = job.log_kept(context, version, kept, made)
        click.echo(f"MLflow run {run_id} in the experiment driftline/{version.identity.name}")
