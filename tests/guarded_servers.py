"""Our server with everything shut that can be, and connections that speak to it byte by byte."""

import http.client
import socket
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from certificates import Authority, Pair
from scoring_servers import Answer, DriftlineServer, driftline_server

MAX_BODY_BYTES = 2000
RATE_LIMIT_BURST = 100
# Who may score; each has a bucket of its own.
TOKENS = {name: f"{name}-0123456789abcdef" for name in ("body", "door", "greedy", "modest", "fleeting")}
METRICS_TOKEN = "metrics-0123456789abcdef"


@dataclass
class GuardedServer(DriftlineServer):
    """TLS with certificates on both sides, tokens and limits; ``ask`` shows certificate and token.

    ``files`` holds ca.pem, client.pem, client.key, tokens and metrics-tokens.
    """

    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    token_file: Path = Path()
    files: Path = Path()
    token: str | None = TOKENS["door"]

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self.tls)
        own = {"authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, body, {**own, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def metrics_text(self) -> str:
        return self.scrape(f"Bearer {METRICS_TOKEN}")

    def scrape(self, authorization: str) -> str:
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.metrics_port}/metrics", headers={"authorization": authorization}
        )
        with urllib.request.urlopen(request, timeout=60, context=self.tls) as answer:
            return str(answer.read().decode())


def guarded_server(models: Path, folder: Path, *flags: str, **variables: str) -> GuardedServer:
    """Make the server; its files lie in ``folder``."""
    authority = Authority(folder)
    pair = authority.issue("server")
    token_file, metrics_token_file = folder / "tokens", folder / "metrics-tokens"
    token_file.write_text("".join(f"{name}:{token}\n" for name, token in TOKENS.items()))
    metrics_token_file.write_text(f"{METRICS_TOKEN}\n")
    token_file.chmod(0o600)
    plain = driftline_server(
        models, "models:/linear/1", "guarded",
        "--max-body-bytes", str(MAX_BODY_BYTES),
        "--rate-limit-per-second", "0.001", "--rate-limit-burst", str(RATE_LIMIT_BURST),
        "--token-file", str(token_file), "--metrics-token-file", str(metrics_token_file),
        "--tls-certfile", str(pair.certificate), "--tls-keyfile", str(pair.key),
        "--tls-client-ca", str(authority.certificate),
        *flags, **variables,
    )  # fmt: skip
    server = GuardedServer(**vars(plain))
    server.token_file, server.files = token_file, folder
    server.tls = client_context(authority, authority.issue("client"))
    return server


def client_context(authority: Authority, own: Pair | None = None) -> ssl.SSLContext:
    """Return the context of a client that trusts ``authority`` and shows ``own``."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if own:
        context.load_cert_chain(own.certificate, own.key)
    return context


class Client:
    """One connection; what it sends is up to the test."""

    def __init__(self, server: DriftlineServer) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        self._authorization: tuple[str, ...] = ()
        if isinstance(server, GuardedServer):
            self.socket = server.tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
            self._authorization = (f"authorization: Bearer {TOKENS['body']}",)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *headers: str, body: bytes = b"") -> None:
        """Send the head of a request to /invocations and as much of its body."""
        self.socket.sendall(self.request(*headers) + body)

    def request(self, *headers: str) -> bytes:
        own = ("host: here", "content-type: application/json", *self._authorization)
        return "\r\n".join(["POST /invocations HTTP/1.1", *own, *headers, "", ""]).encode()

    def answer(self) -> tuple[int, bytes, http.client.HTTPResponse]:
        response = http.client.HTTPResponse(self.socket, method="POST")
        response.begin()
        return response.status, response.read(), response

    def rest(self) -> bytes:
        """Return what comes until the server closes."""
        received = b""
        while part := self.socket.recv(65536):
            received += part
        return received
