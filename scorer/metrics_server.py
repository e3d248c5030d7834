"""The port of ``/metrics`` and ``/openapi.json``, answered from threads of the parent process.

Invariants
----------
- One client cannot keep another from its answer: each has a thread, in which its TLS handshake is made too, and
  a bounded time for sending its request.
- Where tokens are set, nothing is answered without one.
"""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.registry import Collector

from driftline.scorer.door import UNAUTHORIZED
from driftline.scorer.openapi import openapi
from driftline.scorer.start_checks import port_error
from driftline.store.bearer_tokens import BearerTokens

_CLIENT_SECONDS = 10.0

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextmanager
def start_metrics_server(
    collector: Collector,
    host: str,
    port: int,
    tls: ssl.SSLContext | None = None,
    tokens: BearerTokens | None = None,
) -> Iterator[None]:
    """Answer ``/metrics`` while the context is open.

    Raises:
        DriftlineError: the port cannot be opened.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    application = _documented(make_wsgi_app(registry))
    try:
        server = _Server(host, port, tls)
    except OSError as error:
        raise port_error(host, port, "--metrics-port", error) from error
    server.set_app(_guarded(application, tokens) if tokens else application)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class _Handler(WSGIRequestHandler):
    timeout = _CLIENT_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a scrape every few seconds is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        self.address_family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        super().__init__((str(address[0]), port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._tls:
            # Without the handshake, which the first read makes: here it would keep all others waiting.
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the client went, or speaks no TLS."""


def _documented(metrics: Application) -> Application:
    """Return the metrics, and beside them what this server's ports answer."""
    document = json.dumps(openapi(version("driftline"))).encode()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/openapi.json":
            return metrics(environ, start_response)
        start_response("200 OK", [("content-type", "application/json"), ("content-length", str(len(document)))])
        return [document] if environ["REQUEST_METHOD"] == "GET" else []

    return answer


def _guarded(application: Application, tokens: BearerTokens) -> Application:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if tokens.holder(environ.get("HTTP_AUTHORIZATION", "").encode("latin-1")) is not None:
            return application(environ, start_response)
        headers = [(name.decode(), value.decode()) for name, value in UNAUTHORIZED.headers]
        start_response("401 Unauthorized", [*headers, ("content-type", "application/json")])
        return [UNAUTHORIZED.body]

    return answer
