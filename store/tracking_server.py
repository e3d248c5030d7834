"""Whether anything listens where MLflow is asked: told in a moment, where MLflow's client would try for minutes."""

import socket
import time
import urllib.request
from urllib.parse import urlsplit, urlunsplit

from driftline.store.errors import MlflowUnreachable

_CONNECT_SECONDS = 5.0
_POLL_SECONDS = 0.5
_PORTS = {"http": 80, "https": 443}


def shown(uri: str) -> str:
    """Return a URI without user and password: it goes into messages and into the store."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri


def is_remote(uri: str) -> bool:
    """Return whether MLflow's client speaks HTTP to this tracking or registry URI."""
    return urlsplit(uri).scheme in _PORTS


def require_listening(uri: str, variable: str, patience_seconds: float = 0.0) -> None:
    """Connect to the server of ``uri`` once; a URI that names no HTTP server, or is asked by a proxy, passes.

    Args:
        variable: what names the URI, for the message.
        patience_seconds: how long a server that refuses may still be starting.

    Raises:
        MlflowUnreachable: nothing listens there.
    """
    if not is_remote(uri):
        return
    parts = urlsplit(uri)
    try:
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise MlflowUnreachable(f"{variable} is no URL ({error}): write http://host:port") from error
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return
    until = time.monotonic() + patience_seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            if time.monotonic() < until and not isinstance(error, socket.gaierror):
                time.sleep(_POLL_SECONDS)
                continue
            raise MlflowUnreachable(
                f"no MLflow answers at {shown(uri)} ({error.strerror or error}): start it or correct {variable}"
            ) from error
        return
