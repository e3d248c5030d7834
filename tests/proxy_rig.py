"""``driftline proxy`` in front of servers: MLflow's, and ones that do what a test tells them byte by byte."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import servers
from scoring_servers import BIN, DriftlineServer, environment


def proxy_server(folder: Path, upstream: str, name: str, *flags: str, **variables: str) -> DriftlineServer:
    """Make a proxy whose store does not answer, so that everything stays in the spool; flags may name another."""
    port, metrics_port = servers.free_port(), servers.free_port()
    home = folder / name
    nowhere = f"postgresql+psycopg://nobody@127.0.0.1:{servers.free_port()}/nothing"
    stores = () if "--store" in flags else ("--store", nowhere, "--start-without-store")
    command = [
        str(BIN / "driftline"), "proxy", "--upstream", upstream, "-p", str(port), "--metrics-port", str(metrics_port),
        "--home", str(home), *stores, *flags,
    ]  # fmt: skip
    settings = {
        "DRIFTLINE_LOADER_DRAIN_SECONDS": "0.5", "DRIFTLINE_SCORER_STATE_POLL_SECONDS": "0.2", **variables,
    }  # fmt: skip
    return DriftlineServer(command, port, folder / f"{name}.log", environment(folder, **settings), home, metrics_port)


Talk = Callable[[socket.socket], None]


@contextmanager
def scripted_server(talk: Talk, path: Path | None = None) -> Iterator[str]:
    """Listen and let ``talk`` have each connection, in a thread of its own; yield the address for ``--upstream``.

    Args:
        path: of a Unix socket; None listens on loopback.
    """
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(str(path) if path else ("127.0.0.1", 0))
    listener.listen(64)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=run, args=(connection,), daemon=True).start()

    def run(connection: socket.socket) -> None:
        with connection:
            talk(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"unix:{path}" if path else f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of a request, its empty line included, and what came after it; empty at the end."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            return b"", b""
        received += part
    head, _, rest = received.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest
