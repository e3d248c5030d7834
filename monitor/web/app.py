"""The monitor's pages: ``/metrics``, ``/healthz``, a status page, its JSON, and links to the newest MLflow run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from driftline.monitor.jobs import JobContext
from driftline.monitor.results import newest_mlflow_run
from driftline.monitor.schedule import Schedule
from driftline.monitor.status import CHECKS, StatusReader
from driftline.monitor.web.status_document import status_document

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True)
class Pages:
    """What the pages show."""

    context: JobContext
    status: StatusReader
    schedule: Schedule
    exposition: Callable[[str], tuple[bytes, str]]

    async def metrics(self, request: Request) -> Response:
        """The exposition in the format that the scraper asks for."""
        page, content_type = await run_in_threadpool(self.exposition, request.headers.get("accept", ""))
        # A bare header: Starlette would add a second charset to OpenMetrics' own.
        return Response(page, headers={"Content-Type": content_type})

    async def healthz(self, request: Request) -> Response:
        """200 while the scheduler's heartbeat moves."""
        if self.schedule.is_alive:
            return PlainTextResponse("ok\n")
        return PlainTextResponse("the scheduler's loop does not run\n", status_code=503)

    async def api_status(self, request: Request) -> Response:
        """The status page as JSON."""
        return JSONResponse(await run_in_threadpool(self._document))

    async def page(self, request: Request) -> Response:
        """The status page."""
        document = await run_in_threadpool(self._document)
        return HTMLResponse(_TEMPLATES.get_template("status.html").render(status=document), headers=_HEADERS)

    async def latest(self, request: Request) -> Response:
        """Redirect to the MLflow run of the model's newest report, which tells of every check.

        It only ever leads to the configured MLflow.
        """
        model, check = request.path_params["model"], request.path_params["check"]
        base = mlflow_url(self.context)
        if base is None:
            return PlainTextResponse("MLflow has no web address here: set mlflow_url in [monitor]\n", status_code=404)
        found = await run_in_threadpool(self._latest_run, model) if check in CHECKS else None
        if found is None:
            return PlainTextResponse(
                "no MLflow run yet: make one with `driftline report MODEL --to-mlflow`\n", status_code=404
            )
        experiment, run = found
        return RedirectResponse(f"{base}/#/experiments/{experiment}/runs/{run}", status_code=302)

    def _document(self) -> dict[str, Any]:
        return status_document(self.context, self.status, self.schedule)

    def _latest_run(self, model: str) -> tuple[str, str] | None:
        with self.context.engine.connect() as connection:
            run = newest_mlflow_run(connection, model)
        if run is None:
            return None
        return self.context.link.experiment_of(run) or "0", run


def mlflow_url(context: JobContext) -> str | None:
    """Return the address of MLflow's web pages, or None where it has none."""
    base = context.monitor.mlflow_url or context.link.shown_uri
    return base.rstrip("/") if base.startswith(("http://", "https://")) else None


def build_app(pages: Pages) -> Starlette:
    """Return the ASGI application."""
    return Starlette(
        routes=[
            Route("/metrics", pages.metrics),
            Route("/healthz", pages.healthz),
            Route("/api/status", pages.api_status),
            Route("/r/{model}/{check}/latest", pages.latest),
            Route("/", pages.page),
        ]
    )
