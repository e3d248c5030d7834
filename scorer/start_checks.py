"""What must hold before a server starts: found early and said in one line, not by a worker's traceback later."""

import errno
import logging
import os
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path

from driftline.scorer.route_aliases import RouteAliases
from driftline.scorer.settings import ScorerSettings
from driftline.store.bearer_tokens import BearerTokens
from driftline.store.engine import open_engine
from driftline.store.errors import ConfigurationError, DriftlineError, SpoolError, StoreUnreachable
from driftline.store.home import make_home
from driftline.store.migrate import prepare
from driftline.store.spool.file_system import refuse_network
from driftline.store.spool.settings import SpoolSettings

_LAST_PORT = 65535
_HOST_FLAGS = {"-p": "`-h`", "--metrics-port": "`--metrics-host`, or `-h` where that is not set"}

_log = logging.getLogger("driftline.scorer")


def check_home(home: Path) -> None:
    """Make the home folder and write into it; a network is no place for it."""
    make_home(home)
    refuse_network(home)


def check_ring(settings: SpoolSettings, workers: int) -> None:
    """Compare the memory file system's free space with what the workers are going to reserve."""
    folder = settings.memory_folder
    needed = workers * settings.ring_bytes
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise SpoolError(
            f"the ring's folder {folder} cannot be used ({error.strerror}): name a memory file system with "
            "DRIFTLINE_SPOOL_RING_FOLDER"
        ) from error
    if free < needed:
        raise SpoolError(
            f"{workers} x {settings.ring_bytes} bytes of ring do not fit into {folder} ({free} bytes free): lower "
            "DRIFTLINE_SPOOL_RING_BYTES or enlarge it (containers: `shm_size`)"
        )


def check_ports(ports: Iterable[tuple[str, int, str]]) -> None:
    """Check each host, port and flag as ``check_port`` does, and tell all that cannot be opened in one line."""
    refused: list[DriftlineError] = []
    for host, port, flag in ports:
        try:
            check_port(host, port, flag)
        except DriftlineError as error:
            refused.append(error)
    if len(refused) > 1:
        kind = ConfigurationError if any(isinstance(each, ConfigurationError) for each in refused) else DriftlineError
        raise kind("; ".join(map(str, refused)))
    if refused:
        raise refused[0]


def check_port(host: str, port: int, flag: str) -> None:
    """Bind the port once and let it go, as the server is about to."""
    if not 0 <= port <= _LAST_PORT:
        raise ConfigurationError(f"port {port} is none: choose one from 1 to {_LAST_PORT} with `{flag}`")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise port_error(host, port, flag, error) from error


def port_error(host: str, port: int, flag: str, error: OSError) -> DriftlineError:
    """Return the line for a port that cannot be bound."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return ConfigurationError(
            f"the host {host} is no address of this machine ({error.strerror}): correct {_HOST_FLAGS[flag]}"
        )
    if error.errno == errno.EACCES:
        return DriftlineError(
            f"port {port} of {host} is not for everyone ({error.strerror}): choose one from 1024 up with `{flag}`"
        )
    return DriftlineError(
        f"port {port} of {host} cannot be opened ({os.strerror(error.errno) if error.errno else error}): "
        f"stop what listens there or choose another with `{flag}`"
    )


def check_ports_differ(port: int, metrics_port: int) -> None:
    if port == metrics_port:
        raise ConfigurationError(f"scoring and metrics share port {port}: choose another with `--metrics-port`")


def check_limits(settings: ScorerSettings) -> None:
    for name in ("max_body_bytes", "rate_limit_per_second", "rate_limit_burst"):
        number = getattr(settings, name)
        if not 0 <= number < float("inf"):
            raise ConfigurationError(f"{name} should be 0 (no limit) or more, found {number}: correct it")
    RouteAliases.parse(settings.aliases)
    if settings.rate_limit_burst and not settings.rate_limit_per_second:
        raise ConfigurationError("a burst needs a rate: set `--rate-limit-per-second` beside `--rate-limit-burst`")
    if settings.protect_health and not settings.token_file:
        raise ConfigurationError(
            "`--protect-health` asks for tokens, and there are none: name them with `--token-file`"
        )


def prepare_store(url: str, start_without_store: bool) -> None:
    """Make the store ready, or warn where it does not answer and the start may go on without it.

    Raises:
        StoreUnreachable: it does not answer.
        SchemaMismatch: it is not at this driftline's schema.
    """
    try:
        engine = open_engine(url)
        prepare(engine)
        engine.dispose()
    except StoreUnreachable as error:
        if not start_without_store:
            raise StoreUnreachable(
                f"{error}, or start with `--start-without-store` and let the spool keep it"
            ) from error
        _log.warning("%s; starting without it, the spool keeps what is answered", error)


def open_tokens(path: Path | None, flag: str) -> BearerTokens | None:
    """Return the tokens of the file, if one is named, and warn where everybody on this machine can read them."""
    if path is None:
        return None
    tokens = BearerTokens(path, flag)
    if tokens.readable_by_everyone:
        _log.warning("everybody on this machine can read the tokens in %s: `chmod o-r %s`", path, path)
    return tokens
