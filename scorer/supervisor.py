"""The parent process: resolves the model once, starts uvicorn and the loader, watches both and answers ``/metrics``.

Invariants
----------
- uvicorn is started as the installed MLflow starts it: same arguments, same variables, another application. It has
  more patience with a worker that is silent while it loads a model (and none with one that is dead, see
  ``uvicorn_program``), a protocol that sends the same bytes by fewer calls (record 0011), and the flags that were asked
  for; what ``UVICORN_*`` says is respected.
- ``driftline proxy`` has the same parent, and workers with another application (``proxy/``).
- uvicorn stops first and closes its spools, then the loader drains them; uvicorn's exit code is ours, 0 where it
  ended because we passed on a signal. One line says so where it ended by itself.
- What refuses to start says so before anything runs.
"""

import logging
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from driftline.scorer.arms import CanaryOption
from driftline.scorer.children import Signals, start_tied
from driftline.scorer.fetch_folder import FetchFolder
from driftline.scorer.load_reports import ReportPipe
from driftline.scorer.loader_child import LoaderChild
from driftline.scorer.metrics import ScorerCollector
from driftline.scorer.metrics_server import start_metrics_server
from driftline.scorer.model_source import ModelSource, require_listening_for, resolve
from driftline.scorer.native_threads import native_thread_limits
from driftline.scorer.orders import OrderBoard
from driftline.scorer.registry_watch import EventLog, RegistryWatch
from driftline.scorer.rollout import Rollout
from driftline.scorer.settings import ScorerSettings
from driftline.scorer.spool_watch import SpoolWatch
from driftline.scorer.start_checks import (
    check_home,
    check_limits,
    check_ports,
    check_ports_differ,
    check_ring,
    open_tokens,
    prepare_store,
)
from driftline.scorer.tls import server_context, uvicorn_flags
from driftline.scorer.version_book import VersionBook
from driftline.scorer.worker import STARTUP_FAILURE, WorkerOrder
from driftline.store.events import Event
from driftline.store.loader.settings import LoaderSettings
from driftline.store.records import Arm
from driftline.store.redaction import Redaction
from driftline.store.settings import BaseSettings
from driftline.store.spool.settings import SpoolSettings

_UVICORN = (sys.executable, "-P", "-m", "driftline.scorer.uvicorn_program")
# uvicorn kills a worker that is silent for 5 s, and unpickling a large model may hold Python's lock for longer.
_LOADING_SECONDS = "30"
_PROTOCOL = "driftline.scorer.joined_writes:JoinedWrites"
_OTHER_SOCKETS = ("UVICORN_UDS", "UVICORN_FD")  # then uvicorn does not bind the port

_log = logging.getLogger("driftline.scorer")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Where a server listens, and driftline's settings."""

    host: str
    port: int
    workers: int
    base: BaseSettings
    spool: SpoolSettings
    redaction: Redaction | None
    loader: LoaderSettings
    scorer: ScorerSettings

    @property
    def metrics_host(self) -> str:
        return self.scorer.metrics_host or self.host

    def settings_of_children(self) -> dict[str, str]:
        """Return the variables by which child processes get what the flags say."""
        return {
            **as_variables("scorer", self.scorer),
            "DRIFTLINE_HOME": str(self.base.home.absolute()),
            "DRIFTLINE_SPOOL_DURABILITY": self.spool.durability,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions(ServerOptions):
    """The flags of ``mlflow models serve``, and driftline's settings."""

    model_uri: str
    timeout: int


@dataclass(frozen=True, slots=True)
class UvicornStart:
    """How uvicorn is started: arguments up to the application, the application's factory, and its environment."""

    arguments: Sequence[str]
    factory: str
    environment: Mapping[str, str]


def serve(options: ServeOptions) -> int:
    """Serve until uvicorn ends; return the exit code for the shell.

    Raises:
        DriftlineError: it cannot start; the message says why and what next.
    """
    return supervise(options, _uris(options), resolve, partial(_as_mlflow_starts_it, options))


def supervise(
    options: ServerOptions,
    uris: Mapping[Arm, str],
    fetch_into: Callable[[str, Path], ModelSource],
    uvicorn_start: Callable[[ModelSource], UvicornStart],
) -> int:
    """Run uvicorn and the loader until uvicorn ends; return the exit code for the shell.

    Args:
        uris: what is served, by arm.
        fetch_into: brings the files of a URI into a folder and says what they are.
        uvicorn_start: says how uvicorn is started over the champion.

    Raises:
        DriftlineError: it cannot start; the message says why and what next.
    """
    _check(options)
    tls = server_context(options.scorer)
    metrics_tokens = open_tokens(options.scorer.metrics_token_file, "--metrics-token-file")
    prepare_store(options.base.store_url, options.scorer.start_without_store)
    require_listening_for(uris.values())
    book = VersionBook(options.workers)
    fetched = FetchFolder()

    def fetch(uri: str) -> ModelSource:
        return fetch_into(uri, fetched.path)

    sources = {arm: fetch(uri) for arm, uri in uris.items()}
    board, reports = OrderBoard.create(), ReportPipe.create()
    registry = _follow_registry(options, uris, sources, fetch, book, board, reports)
    watch = SpoolWatch(options.base.store_url, options.base.spool_folder, options.spool)
    loader = LoaderChild({**os.environ, **options.settings_of_children(), "DRIFTLINE_STORE": options.base.store_url})
    collector = ScorerCollector(book, registry, watch, loader)
    with (
        fetched,
        Signals() as signals,
        start_metrics_server(collector, options.metrics_host, options.scorer.metrics_port, tls, metrics_tokens),
        watch.running(options.scorer.state_poll_seconds),
        registry.running(),
    ):
        loader.tend()
        _log.info(
            "every request is kept in %s; metrics on http%s://%s:%d/metrics",
            options.base.home.absolute(), "s" if tls else "", options.metrics_host, options.scorer.metrics_port,
        )  # fmt: skip
        worker = WorkerOrder(board.path, reports.path, options.base.spool_folder, options.scorer.durable_wait_seconds)
        uvicorn = _start_uvicorn(options, uvicorn_start(sources[Arm.CHAMPION]), worker)
        code = _watch(uvicorn, loader, signals, book, options.workers)
        loader.drain(options.loader.drain_seconds)
        return code


def as_variables(section: str, settings: Any) -> dict[str, str]:
    """Return the variables that say what a section's settings are."""
    return {
        f"DRIFTLINE_{section.upper()}_{key.upper()}": str(value)
        for key, value in asdict(settings).items()
        if value is not None
    }


def _check(options: ServerOptions) -> None:
    check_home(options.base.home)
    check_home(options.base.spool_folder)
    check_ring(options.spool, options.workers)
    check_limits(options.scorer)
    open_tokens(options.scorer.token_file, "--token-file")
    check_ports_differ(options.port, options.scorer.metrics_port)
    ports = [(options.metrics_host, options.scorer.metrics_port, "--metrics-port")]
    if options.port and not any(os.environ.get(name) for name in _OTHER_SOCKETS):
        ports.insert(0, (options.host, options.port, "-p"))
    check_ports(ports)


def _uris(options: ServeOptions) -> dict[Arm, str]:
    """Return the models to serve by arm."""
    uris = {Arm.CHAMPION: options.model_uri}
    if options.scorer.shadow is not None:
        uris[Arm.SHADOW] = options.scorer.shadow
    if options.scorer.canary is not None:
        uris[Arm.CANARY] = CanaryOption.parse(options.scorer.canary).uri
    return uris


def _follow_registry(
    options: ServerOptions,
    uris: Mapping[Arm, str],
    sources: Mapping[Arm, ModelSource],
    fetch: Callable[[str], ModelSource],
    book: VersionBook,
    board: OrderBoard,
    reports: ReportPipe,
) -> RegistryWatch:
    poll_seconds = options.scorer.registry_poll_seconds
    events = EventLog(options.base.spool_folder)
    redaction = options.redaction

    def tell(event: Event) -> None:
        """Leave an event of the model as the spool knows it."""
        known = event.identity and (redaction.identity(event.identity) if redaction else event.identity)
        events.leave(replace(event, identity=known))

    rollouts = [Rollout(arm, uri, sources[arm], book, tell, 2 * poll_seconds, fetch) for arm, uri in uris.items()]
    return RegistryWatch(rollouts, board, reports, events, poll_seconds)


def _as_mlflow_starts_it(options: ServeOptions, source: ModelSource) -> UvicornStart:
    from mlflow.pyfunc import scoring_server

    command, environment = scoring_server.get_cmd(
        str(source.path), options.port, options.host, options.timeout, options.workers
    )
    # between the program and MLflow's application
    return UvicornStart(shlex.split(command)[1:-1], "driftline.scorer.worker:create_app", environment)


def _start_uvicorn(options: ServerOptions, start: UvicornStart, worker: WorkerOrder) -> subprocess.Popen[bytes]:
    arguments = [*_UVICORN, *start.arguments, *uvicorn_flags(options.scorer), "--factory", start.factory]
    environment = {**start.environment}
    environment.pop("DRIFTLINE_STORE", None)  # the model's code has no business with the store's password
    environment.setdefault("UVICORN_TIMEOUT_WORKER_HEALTHCHECK", _LOADING_SECONDS)
    environment.setdefault("UVICORN_HTTP", _PROTOCOL)
    limits = native_thread_limits(options.workers, environment)
    return start_tied(arguments, {**environment, **limits, **options.settings_of_children(), **worker.environment()})


def _watch(
    uvicorn: subprocess.Popen[bytes], loader: LoaderChild, signals: Signals, book: VersionBook, workers: int
) -> int:
    """Pass signals on and keep a loader running until uvicorn has ended; return the exit code."""
    passed_on: set[int] = set()
    while (code := uvicorn.poll()) is None:
        for number in signals.wait(loader.tend() if not passed_on else 1.0) - {signal.SIGCHLD}:
            uvicorn.send_signal(number)
            passed_on.add(number)
    if -code in passed_on:
        return 0
    if code == 0 and not passed_on and not any(each.sheet.totals().loaded_at_us for each in book):
        return STARTUP_FAILURE  # with several workers uvicorn ends with 0 although none of them could start
    if not passed_on and code != STARTUP_FAILURE:  # of which the worker said why
        _log.error("%s", _ended_by_itself(code, workers))
    return code if code >= 0 else 128 - code


def _ended_by_itself(code: int, workers: int) -> str:
    """Return the line for a uvicorn that nobody asked to end."""
    how = f"ended with code {code} (see the lines above)"
    if code < 0:
        how = f"was ended by signal {-code}" + (" (often for want of memory)" if -code == signal.SIGKILL else "")
    more = "; with `-w 2` uvicorn replaces a worker that dies" if workers == 1 else ""
    return (
        f"uvicorn {how}: this server ends too, and what was answered is kept. Start it again, or let systemd, "
        f"Kubernetes or the like do so{more}"
    )
