"""The monitor's pages: the status page and its JSON, reports, ``/metrics``, ``/healthz``, and ways on into MLflow."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.report import summary_page
from driftline.monitor.report.drift_report import EVIDENTLY, QUALITY, SUMMARY
from driftline.monitor.report.kept_reports import listed_report, read_content, read_file
from driftline.monitor.rows.results import newest_mlflow_run
from driftline.monitor.status import CHECKS, StatusReader
from driftline.monitor.web import answers
from driftline.monitor.web.documents import columns, fleet
from driftline.monitor.web.documents.chosen import NotWatched
from driftline.monitor.web.documents.column import column_document
from driftline.monitor.web.documents.fleet import fleet_document
from driftline.monitor.web.documents.model import model_document
from driftline.monitor.web.door import Door
from driftline.monitor.web.events import EventDoor
from driftline.monitor.web.labels import LabelDoor
from driftline.monitor.web.links import mlflow_url, model_path, split_path
from driftline.monitor.web.openapi import openapi
from driftline.monitor.web.query import BadQuery, PageQuery
from driftline.monitor.web.sources import Sources
from driftline.monitor.web.views import column_view, model_view
from driftline.store.bearer_tokens import BearerTokens
from driftline.store.errors import DriftlineError

_FILES = {"evidently": EVIDENTLY, "quality": QUALITY, "json": SUMMARY}  # of a report, by the last part of its path
Made = tuple[str, dict[str, Any], Callable[[dict[str, Any]], dict[str, Any]]]  # template, document, what it draws


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
        """200 while the scheduler's heartbeat moves, and whether this monitor leads."""
        if self.schedule.is_alive:
            return PlainTextResponse("ok, stands by\n" if self.schedule.stands_by else "ok\n")
        return PlainTextResponse("the scheduler's loop does not run\n", status_code=503)

    async def latest(self, request: Request) -> Response:
        """Redirect to the MLflow run of the model's newest report, which tells of every check."""
        model, check = request.path_params["model"], request.path_params["check"]
        run = await run_in_threadpool(self._latest_run, model) if check in CHECKS else None
        if run is None and mlflow_url(self.context) is not None:
            raise HTTPException(404, "no MLflow run yet: make one with `driftline report MODEL --to-mlflow`")
        return await run_in_threadpool(self._to_run, run or "")

    async def run(self, request: Request) -> Response:
        """Redirect to a run in MLflow."""
        return await run_in_threadpool(self._to_run, request.path_params["run"])

    def _to_run(self, run: str) -> Response:
        """Lead to a run; it only ever leads to the configured MLflow."""
        base = mlflow_url(self.context)
        if base is None:
            raise HTTPException(404, "MLflow has no web address here: set mlflow_url in [monitor]")
        if not run.isascii() or not run.isalnum():
            raise HTTPException(404, "this is no id of an MLflow run")
        experiment = self.context.link.experiment_of(run) or "0"
        return RedirectResponse(f"{base}/#/experiments/{experiment}/runs/{run}", status_code=302)

    def _latest_run(self, model: str) -> str | None:
        if "\0" in model:  # no name holds it, and PostgreSQL takes no text that does
            return None
        with self.context.engine.connect() as connection:
            return newest_mlflow_run(connection, model)

    async def report(self, request: Request) -> Response:
        """A kept report: our summary, its JSON, or one of Evidently's pages; the pages are shut off from the others."""
        number, part = request.path_params["report"], request.path_params.get("part", "")
        if part in _FILES:
            content = await run_in_threadpool(self._file, number, _FILES[part])
            return answers.json_text(content) if part == "json" else answers.foreign_page(content, scripts=True)
        if part:
            raise HTTPException(404, f"a report has {', '.join(_FILES)}")
        return answers.foreign_page(await run_in_threadpool(self._summary, number))

    def _file(self, report_id: int, name: str) -> bytes:
        with self.context.engine.connect() as connection:
            found = read_file(connection, report_id, name)
        if found is None:
            raise HTTPException(404, "no such report or page is kept: the report says what it leaves out and why")
        return found

    def _summary(self, report_id: int) -> str:
        with self.context.engine.connect() as connection:
            found = listed_report(connection, report_id)
            content = read_content(connection, report_id)
        if found is None or content is None:
            raise HTTPException(404, "no such report is kept: the model's page lists those that are")
        path = f"/reports/{report_id}"
        linked = {part: f"{path}/{part}" for part, name in _FILES.items() if name in (*content["files"], SUMMARY)}
        run = f"/run/{found.mlflow_run_id}" if found.mlflow_run_id and mlflow_url(self.context) else None
        page, runbooks = model_path(content["model"]), self.context.report.runbooks_url or None
        return summary_page.render(content, {**linked, "run": run, "page": page, "runbooks": runbooks})


@dataclass(frozen=True)
class StatusPages:
    """The status page's own pages, and their documents under ``/api``."""

    sources: Sources

    async def page(self, request: Request) -> Response:
        """Any of them as HTML."""
        return await run_in_threadpool(self._page, request)

    def _page(self, request: Request) -> Response:
        template, document, view = self._made(request)
        return answers.page(request, template, document, **view(document))

    async def api(self, request: Request) -> Response:
        """The same as JSON."""
        return await run_in_threadpool(lambda: answers.document(self._made(request)[1]))

    def _made(self, request: Request) -> Made:
        rest = request.path_params.get("rest")
        if rest is None:
            query = PageQuery.of(request.query_params, fleet.SORTS, fleet.PER_PAGE)
            return "fleet.html", fleet_document(self.sources, query), lambda _: {}
        query = PageQuery.of(request.query_params, columns.SORTS)
        found = split_path(rest, self.sources.status.snapshot().by_name)
        if found is None:
            raise NotWatched("no such model is under watch: `/` lists those that are")
        model, column = found
        if column is None:
            return "model.html", model_document(self.sources, model, query), model_view
        return "column.html", column_document(self.sources, model, column, query), column_view


def build_app(pages: Pages) -> ASGIApp:
    """Return the ASGI application; where ``[monitor] token_file`` is set, behind its door.

    Raises:
        ConfigurationError: the token file holds no token.
    """
    own = StatusPages(Sources(pages.context, pages.status, pages.schedule))
    app = Starlette(
        routes=[
            Route("/metrics", pages.metrics),
            Route("/healthz", pages.healthz),
            Route("/r/{model:path}/{check}/latest", pages.latest),
            Route("/run/{run}", pages.run),
            Route("/reports/{report:int}", pages.report),
            Route("/reports/{report:int}/{part:str}", pages.report),
            Route("/labels", LabelDoor(pages.context).post, methods=["POST"]),
            Route("/ingest/cloudevents", EventDoor(pages.context).post, methods=["POST"]),
            Route("/openapi.json", lambda _: answers.document(openapi(version("driftline")))),
            Route("/driftline.css", lambda _: answers.file("driftline.css", "text/css; charset=utf-8")),
            Route("/icon.svg", lambda _: answers.file("icon.svg", "image/svg+xml")),
            Route("/api", own.api),
            Route("/api/", own.api),
            Route("/api/models/{rest:path}", own.api),
            Route("/", own.page),
            Route("/models/{rest:path}", own.page),
        ],
        exception_handlers={
            NotWatched: _told(404),
            BadQuery: _told(400),
            DriftlineError: _told(503),
            SQLAlchemyError: _store_away,
            HTTPException: _http_error,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )
    token_file = pages.context.monitor.token_file
    return Door(app, BearerTokens(token_file, "token_file")) if token_file else app


def _told(status: int) -> Callable[[Request, Exception], Response]:
    return lambda request, error: answers.trouble(request, status, str(error))


def _store_away(request: Request, error: Exception) -> Response:
    return answers.trouble(request, 503, "the store does not answer: `driftline store status` says why")


def _gone(request: Request, error: Exception) -> Response:
    """Answer who is not there any more: it broke off while it sent a body, of which nothing was kept."""
    return Response(status_code=400)


def _failed(request: Request, error: Exception) -> Response:
    """Tell the kind of an unforeseen error, which is logged: its text may hold request values."""
    return answers.trouble(request, 500, f"{type(error).__name__}: the monitor's log says where")


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = "there is nothing here: `/` leads on" if error.detail == "Not Found" else error.detail
    answer = answers.trouble(request, error.status_code, detail)
    answer.headers.update(error.headers or {})  # which methods there are, of a 405
    return answer
