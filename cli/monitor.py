"""``driftline monitor``: the scheduled jobs and their results over HTTP."""

import logging
import os
import sys

import click


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of metrics and status page.  [default: 9108]")
@click.option("--once", is_flag=True, help="Run every job now, print one line each, and end: 1 where a job failed.")
def monitor(host: str | None, port: int | None, once: bool) -> None:
    """Run the scheduled jobs and expose their results."""
    from driftline.cli.job_context import open_context

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("apscheduler", "alembic", "mlflow"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    context = open_context({"host": host, "port": port})
    if not once:
        from driftline.monitor import server

        server.run(context)
        _leave()
    from driftline.monitor.schedule import jobs, run_job

    failed = False
    for job in jobs(context):
        report = run_job(context, job)
        click.echo(str(report))
        failed = failed or report.failed
    sys.exit(1 if failed else 0)


def _leave() -> None:
    """End at once: a job's thread that still runs would keep the process alive until it is done."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
