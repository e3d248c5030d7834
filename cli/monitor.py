"""``driftline monitor``: the scheduled jobs and their results over HTTP."""

import logging
import os
import sys
from typing import TYPE_CHECKING

import click

from driftline.cli.base_options import base_options
from driftline.store.settings import BaseSettings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from driftline.monitor.mlflow_link import MlflowLink

_log = logging.getLogger("driftline.monitor")


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of metrics and status page.  [default: 9108]")
@click.option("--once", is_flag=True, help="Run every job now, print one line each, and end: 1 where a job failed.")
@base_options
def monitor(base: BaseSettings, host: str | None, port: int | None, once: bool) -> None:
    """Run the scheduled jobs and expose their results.

    It may be started before `driftline serve`, and makes a SQLite store that is not there yet; with --once that is an
    error.
    """
    from driftline.cli.job_context import open_context

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("apscheduler", "alembic", "mlflow"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    context = open_context(base, {"host": host, "port": port}, create=not once)
    _tell_if_mlflow_is_away(context.link)
    if not once:
        from driftline.monitor import server

        _tell_if_empty(context.engine)
        server.run(context)
        _leave()
    from driftline.monitor.jobs.schedule import jobs, run_job

    failed = False
    for job in jobs(context):
        report = run_job(context, job)
        click.echo(str(report))
        failed = failed or report.failed
    sys.exit(1 if failed else 0)


def _tell_if_mlflow_is_away(link: "MlflowLink") -> None:
    from driftline.store.errors import MlflowUnreachable

    try:
        link.require_listening()
    except MlflowUnreachable as error:
        _log.warning("%s; what needs it is tried again at the jobs' next runs", error)


def _tell_if_empty(engine: "Engine") -> None:
    """Say where was looked when the store holds no model: nothing will be judged, and nothing will look wrong."""
    from sqlalchemy import select

    from driftline.store import schema

    with engine.connect() as connection:
        if connection.execute(select(schema.model_version.c.id).limit(1)).first() is None:
            _log.warning(
                "the store %s holds no model yet: nothing is judged until `driftline serve` fills it; where that runs "
                "with another home or store, name them here (`--home`, `--store`)",
                engine.url.render_as_string(hide_password=True),
            )


def _leave() -> None:
    """End at once: a job's thread that still runs would keep the process alive until it is done."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
