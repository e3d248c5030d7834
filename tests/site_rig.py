"""Stores of made-up models, and their pages over HTTP."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
import servers
import uvicorn
from seeded_store import SeededModel, seed
from sqlalchemy import Engine

from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.settings import MonitorSettings, ReportSettings
from driftline.monitor.status import StatusReader
from driftline.monitor.web.app import Pages, build_app
from driftline.store.engine import open_engine
from driftline.store.imports.settings import ImportSettings
from driftline.store.labels.settings import LabelSettings
from driftline.store.records import now_us
from driftline.store.redaction import Redaction
from driftline.store.segments.settings import SegmentSettings

HOSTILE = "<script>document.title='owned'</script>'\"&amp;"
CATEGORIES = {"plan": ("basic", "plus", "family"), "region": tuple(f"region {i}" for i in range(30))}


@dataclass(frozen=True)
class Site:
    """The pages of one store."""

    url: str
    context: JobContext
    schedule: Schedule
    ids: dict[str, int] = field(default_factory=dict)

    def get(self, path: str, **arguments: object) -> requests.Response:
        return requests.get(self.url + path, timeout=60, allow_redirects=False, **arguments)  # type: ignore[arg-type]


Serve = Callable[..., Site]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Serve]:
    """Return a function that fills a store with models and serves its pages on loopback."""
    running: list[tuple[uvicorn.Server, threading.Thread, Engine]] = []

    def serve(
        *models: SeededModel,
        monitor: MonitorSettings | None = None,
        store: str = "",
        labels: LabelSettings | None = None,
        segments: SegmentSettings | None = None,
        imports: ImportSettings | None = None,
        redaction: Redaction | None = None,
    ) -> Site:
        home: Path = tmp_path_factory.mktemp("home")
        engine = open_engine(store or f"sqlite:///{shutil.copy(sqlite_template, home)}")
        now = now_us()
        ids = {model.name: seed(engine, model, now) for model in models}
        settings = monitor or MonitorSettings(mlflow_url="http://mlflow.example")
        labels = labels or LabelSettings()
        segments = segments or SegmentSettings()
        context = JobContext(
            engine, home, settings, ReportSettings(), DriftSettings(), labels=labels, segments=segments,
            imports=imports or ImportSettings(), redaction=redaction,
        )  # fmt: skip
        status = StatusReader(context)
        schedule = Schedule(context, status.expire)
        schedule._tick()
        app = build_app(Pages(context, status, schedule, lambda accept: (b"", "text/plain")))
        port = servers.free_port()
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread, engine))
        servers.wait_until(lambda: server.started, 60, what="the pages are served")
        return Site(f"http://127.0.0.1:{port}", context, schedule, ids)

    yield serve
    for server, thread, engine in running:
        server.should_exit = True
        thread.join()
        engine.dispose()


@pytest.fixture(scope="module")
def site(serve: Serve) -> Site:
    """A handful of models of every kind."""
    return serve(
        SeededModel("fraud/cards", alias="champion", categories=CATEGORIES, drifted=("income", "plan"), seed=1),
        SeededModel("churn", seed=2),
        SeededModel("kredit größe", categories=CATEGORIES, seed=3),
        SeededModel("unreferenced", referenced=False, seed=4),
        SeededModel(HOSTILE, numeric=(HOSTILE, "a/columns/b", "100% & more?#"), categories={"</td>": (HOSTILE, "b'")},
                    drifted=(HOSTILE, "</td>"), seed=5),
    )  # fmt: skip


@pytest.fixture(scope="module")
def locked(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Pages that ask for a token."""
    tokens = tmp_path_factory.mktemp("tokens") / "tokens"
    tokens.write_text("ops:s3cret~token\n")
    return serve(monitor=MonitorSettings(token_file=tokens))
