"""``driftline replay``: ask another version what it would have answered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from driftline.cli.base_options import base_options
from driftline.cli.progress import progress_bar
from driftline.cli.since import Since
from driftline.store.settings import BaseSettings

DISAGREES = 3  # the exit code of --fail-above


class Share(click.ParamType[float]):
    """Reads ``0.05`` or ``5%`` as a share of at most 1."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is no share like 0.05 or 5%", param, ctx)
        return share


@click.command()
@click.option("-m", "--model", "uri", required=True, metavar="URI", help="The version to ask, as models:/churn/7.")
@click.option(
    "--since", type=Since(), default="7d", show_default=True, help="Requests from then on: 24h, 7d, or a time."
)
@click.option("--until", type=Since(), help="Requests before then; a span counts back from now.  [default: now]")
@click.option("--limit", type=click.IntRange(1), default=10_000, show_default=True, help="At most so many rows.")
@click.option(
    "--of",
    metavar="MODEL[/VERSION]",
    help="Whose requests.  [default: the model of the URI's name, the version that serves]",
)
@click.option(
    "--arm", type=click.Choice(["champion", "shadow", "canary"]), default="champion", show_default=True,
    help="Whose answers.",
)  # fmt: skip
@click.option("--labelled", is_flag=True, help="Only rows that have a label.")
@click.option(
    "--tolerance", type=click.FloatRange(0), metavar="X",
    help="Numbers further apart differ.  [default: 0.05 between 0 and 1, else a tenth of the standard deviation]",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=300, show_default=True, metavar="SECONDS",
    help="What a version may take for a batch of up to 1,000 rows.",
)  # fmt: skip
@click.option("--no-check", is_flag=True, help="Do not ask the serving version again, to see that it still answers so.")
@click.option("--show-values", is_flag=True, help="Tell request values of the rows that differ most, and categories.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write one page to this file."
)
@click.option(
    "--fail-above", type=Share(), metavar="SHARE",
    help="Exit with 3 when a larger share of the rows (0.05 or 5%) is answered otherwise or not at all.",
)  # fmt: skip
@click.option("--no-mlflow", is_flag=True, help="Log no run in the experiment driftline/<model>, set no tags.")
@base_options
def replay(
    base: BaseSettings,
    uri: str,
    since: int,
    until: int | None,
    limit: int,
    of: str | None,
    arm: str,
    labelled: bool,
    tolerance: float | None,
    timeout: float,
    no_check: bool,
    show_values: bool,
    as_json: bool,
    html_file: Path | None,
    fail_above: float | None,
    no_mlflow: bool,
) -> None:
    """Ask another version what it would have answered to captured requests, and compare.

    The rows that the serving version answered, a uniform sample of them, are put to the version at URI. Told are how
    many it answers otherwise, where, how its predictions drift and, with labels, how much better or worse it is. The
    replay becomes a run in MLflow, linked to the version that was asked.
    """
    from driftline.cli.job_context import open_context
    from driftline.monitor.replay.mlflow_run import log_replay
    from driftline.monitor.replay.page import render
    from driftline.monitor.replay.replay import ReplayOptions, to_json
    from driftline.monitor.replay.replay import replay as run
    from driftline.monitor.replay.wording import told
    from driftline.store.errors import ConfigurationError, MlflowUnreachable
    from driftline.store.records import Arm

    if html_file is not None and not html_file.absolute().parent.is_dir():
        raise ConfigurationError(
            f"the folder of {html_file} does not exist: create it or name another file with --html"
        )
    context = open_context(base, create=False)
    if not no_mlflow:
        context.link.require_listening()
    options = ReplayOptions(
        window=(since, context.clock() if until is None else until), of=of, arm=Arm[arm.upper()], limit=limit,
        labelled=labelled, tolerance=tolerance, timeout_seconds=timeout, check=not no_check, show_values=show_values,
    )  # fmt: skip
    made = run(context, uri, options, _bar, lambda step: click.echo(f"{step} ...", err=True))
    click.echo(to_json(made.shown).decode() if as_json else told(made.shown))
    if html_file is not None:
        html_file.write_text(render(made.shown), encoding="utf-8")
        click.echo(f"wrote {html_file}", err=as_json)
    if not no_mlflow:
        click.echo("logging to MLflow ...", err=True)
        try:
            run_id = log_replay(context.link, made)
        except MlflowUnreachable as error:
            raise MlflowUnreachable(f"{error}; {_log_later(options.window)}") from error
        click.echo(f"MLflow run {run_id} in the experiment driftline/{made.asked.name}", err=as_json)
    if fail_above is not None and made.content["disagreement"]["share_with_failed"] > fail_above:
        raise SystemExit(DISAGREES)


def _log_later(window: tuple[int, int]) -> str:
    """Return how to log the replay that was just told: by the same rows, whatever came since."""
    from driftline.store.records import MICROSECONDS, iso

    start, end = iso(window[0]), iso(-(-window[1] // MICROSECONDS) * MICROSECONDS)
    return f"the replay is told but not logged: log it by the same command with --since {start} --until {end}"


@contextmanager
def _bar(length: int) -> Iterator[Callable[[int], object]]:
    with progress_bar(length, "rows") as bar:
        yield bar.update
