"""A TCP proxy on loopback, between a client and its database, that delays, falls silent and cuts."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Filter = Callable[[bytes], bool]


class Proxy:
    """Forwards every connection to ``port``.

    ``delay_seconds`` holds back each piece; while ``silent`` is set nothing is forwarded. ``cut_at`` is asked for each
    piece that the client sends: where it says True, the connection ends once the server has (``after_forwarding``) or
    has not seen that piece, and the client never hears of it.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.delay_seconds = 0.0
        self.silent = threading.Event()
        self.cut_at: Filter = lambda piece: False
        self.after_forwarding = True
        self.cuts = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._ended = False
        self._start(self._accept)

    def cut_all(self) -> None:
        """End all connections."""
        for one in self._open:
            _shut(one)
        self._open.clear()

    def close(self) -> None:
        self._ended = True
        self.silent.clear()
        _shut(self._listener)
        self.cut_all()
        for thread in self._threads:
            thread.join(60)
        self._listener.close()

    def _start(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            self._start(self._pump_to_server, client, server)
            self._start(self._pump_to_client, server, client)

    def _pump_to_server(self, client: socket.socket, server: socket.socket) -> None:
        for piece in self._pieces(client):
            cut = self.cut_at(piece)
            if cut:
                self.cuts += 1
                if self.after_forwarding:
                    _shut(client)
                    server.sendall(piece)
                    time.sleep(0.05)
                break
            if not _send(server, piece):
                break
        _close(client, server)

    def _pump_to_client(self, server: socket.socket, client: socket.socket) -> None:
        for piece in self._pieces(server):
            if not _send(client, piece):
                break
        _shut(client)

    def _pieces(self, source: socket.socket) -> Iterator[bytes]:
        while True:
            try:
                piece = source.recv(1 << 16)
            except OSError:
                return
            while self.silent.is_set():
                time.sleep(0.01)
            if self.delay_seconds:
                time.sleep(self.delay_seconds)
            if not piece:
                return
            yield piece


def _send(to: socket.socket, piece: bytes) -> bool:
    try:
        to.sendall(piece)
    except OSError:
        return False
    return True


def _shut(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:  # closed already, or never connected
        return


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        _shut(one)
        one.close()


@contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """Run one."""
    one = Proxy(port)
    try:
        yield one
    finally:
        one.close()
