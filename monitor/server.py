"""Run the monitor: the scheduler's threads and the HTTP server in one process.

Invariants
----------
- The port is bound before the first job starts: a monitor that cannot be scraped does not run.
- SIGINT and SIGTERM stop the server first, then the scheduler; a job that runs ends with the process, and who leads
  next records it as interrupted.
"""

import errno
import logging
import signal
import socket

import uvicorn

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.metrics.collector import MonitorCollector, exposition
from driftline.monitor.status import StatusReader
from driftline.monitor.web.app import Pages, build_app
from driftline.store.errors import ConfigurationError, DriftlineError

_LAST_PORT = 65535

log = logging.getLogger(__name__)


def run(context: JobContext) -> None:
    """Serve until a signal comes.

    Raises:
        ConfigurationError: the host is no address of this machine.
        DriftlineError: the port is taken.
    """
    listener = _bind(context.monitor.host, context.monitor.port)
    status = StatusReader(context)
    schedule = Schedule(context, on_end=status.expire)
    collector = MonitorCollector(status, schedule, context.monitor, context.drift.min_rows)
    app = build_app(Pages(context, status, schedule, exposition(collector)))
    # asyncio's own loop: uvloop's raises where it answers what a client sent ahead before it went.
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=5, loop="asyncio")
    )
    schedule.start()
    log.info("driftline monitor listens on http://%s:%s", *listener.getsockname()[:2])
    # uvicorn raises a signal once more when it has stopped, for the handler that was there before its own.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        log.info("driftline monitor stops")
    finally:
        schedule.stop()
        listener.close()


def _bind(host: str, port: int) -> socket.socket:
    if not 0 <= port <= _LAST_PORT:
        raise ConfigurationError(f"port {port} is none: choose one from 0 to {_LAST_PORT} with --port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise ConfigurationError(
                f"the host {host} is no address of this machine ({reason}): correct --host"
            ) from error
        raise DriftlineError(
            f"the monitor cannot listen on {host}:{port} ({reason}): stop what listens there or choose another --port"
        ) from error
    return listener
