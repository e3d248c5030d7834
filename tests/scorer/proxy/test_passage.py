"""What passes a proxy, byte by byte, in front of a server that does what it is told, over a Unix socket."""

import gzip
import http.client
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from proxy_rig import proxy_server, read_head, scripted_server
from scoring_servers import JSON, DriftlineServer, running

from driftline.store.records import Invocation

pytestmark = pytest.mark.thorough

KEPT_BYTES = 1000
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\nContent-Type: application/json\r\n\r\n" + b'{"predictions": [1]'


class Script:
    """The server behind: what it answers is said by the query string; what it was sent, by ``asked``."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.ended = 0
        self.first_was_read = threading.Event()

    def talk(self, connection: socket.socket) -> None:
        while True:
            head, rest = read_head(connection)
            if not head:
                self.ended += 1
                return
            self.asked.append(head)
            act = head.split(b" ")[1].partition(b"?")[2].decode() or "echo"
            if getattr(self, act)(connection, head, rest):
                return

    def echo(self, connection: socket.socket, head: bytes, rest: bytes) -> bool:
        """Answer with the head and the body as they came."""
        if b"expect: 100-continue" in head:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if b"transfer-encoding: chunked" in head:
            while not rest.endswith(b"0\r\n\r\n"):
                rest += connection.recv(65536)
        elif b"content-length: " in head:
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            while len(rest) < length:
                rest += connection.recv(65536)
        body = head + rest
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-One: 1\r\nX-One: 2\r\n\r\n" % len(body) + body)
        return False

    def head_only(self, connection: socket.socket, head: bytes, rest: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + (b"" if head[:4] == b"HEAD" else b"12345"))
        return False

    def zipped(self, connection: socket.socket, head: bytes, rest: bytes) -> bool:
        body = gzip.compress(b'{"predictions": [0.5]}', mtime=0)
        fields = b"Content-Encoding: gzip\r\nContent-Length: %d\r\nContent-Type: application/json" % len(body)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + body)
        return False

    def dripping(self, connection: socket.socket, head: bytes, rest: bytes) -> bool:
        """Send a chunk, wait until the client has it, send another."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert self.first_was_read.wait(60)
        connection.sendall(b"6\r\nsecond\r\n0\r\n\r\n")
        return False

    def until_end(self, connection: socket.socket, head: bytes, rest: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        return True

    def large(self, connection: socket.socket, head: bytes, rest: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000)
        return False

    def silent(self, connection: socket.socket, head: bytes, rest: bytes) -> bool:
        connection.recv(65536)
        self.ended += 1
        return True

    def hangs_up(self, connection: socket.socket, head: bytes, rest: bytes) -> bool:
        return True

    def breaks_off(self, connection: socket.socket, head: bytes, rest: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        return True

    def babbles(self, connection: socket.socket, head: bytes, rest: bytes) -> bool:
        connection.sendall(b"good morning\r\n\r\n")
        return True

    def refuses_early(self, connection: socket.socket, head: bytes, rest: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!")
        return False

    def closes(self, connection: socket.socket, head: bytes, rest: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        return True


@pytest.fixture(scope="module")
def script() -> Script:
    return Script()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, script: Script) -> Iterator[DriftlineServer]:
    folder = tmp_path_factory.mktemp("passage")
    flags = ("--kept-body-bytes", str(KEPT_BYTES), "-t", "4")
    with (
        scripted_server(script.talk, Path(folder) / "behind.sock") as upstream,
        running(proxy_server(folder, upstream, "proxy", *flags)) as server,
    ):
        yield server


def _recorded(proxy: DriftlineServer, id_: str) -> Invocation:
    (found,) = [one for one in proxy.invocations() if one.id == uuid.UUID(id_).bytes]
    return found


def _latest(proxy: DriftlineServer) -> Invocation:
    return max(proxy.invocations(), key=lambda one: one.received_at_us)


def test_head_and_body_of_a_request_arrive_as_they_were_sent(proxy: DriftlineServer) -> None:
    headers = {**JSON, "x-request-id": "mine", "x-two": "a", "authorization": "Bearer secret", "connection": "x-hop",
               "x-hop": "1", "te": "trailers"}  # fmt: skip
    answer = proxy.ask("POST", "/invocations?echo", b'{"a": \xff}', headers)
    head, _, body = answer.body.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /invocations?echo HTTP/1.1"
    assert {b"x-request-id: mine", b"x-two: a", b"authorization: Bearer secret", b"content-length: 8"} <= set(lines)
    assert not [line for line in lines if line.startswith((b"connection", b"x-hop", b"te:", b"x-forwarded"))]
    assert body == b'{"a": \xff}'
    assert answer.headers["x-request-id"] == "mine"
    recorded = _recorded(proxy, answer.headers["x-driftline-invocation-id"])
    assert (recorded.request, recorded.response, recorded.status) == (body, answer.body, 200)
    assert (recorded.content_type, recorded.client_request_id) == (b"application/json", b"mine")


def test_a_path_passes_unread_with_its_escapes_and_its_query(proxy: DriftlineServer) -> None:
    answer = proxy.ask("DELETE", "/a%2Fb/%C3%BC?echo")
    assert answer.body.startswith(b"DELETE /a%2Fb/%C3%BC?echo HTTP/1.1\r\n")
    assert "x-driftline-invocation-id" not in answer.headers


def test_a_request_in_chunks_passes_in_chunks(proxy: DriftlineServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    connection.request("POST", "/invocations?echo", iter([b"one", b"two"]), JSON, encode_chunked=True)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert b"transfer-encoding: chunked" in body
    assert b"content-length" not in body
    assert body.endswith(b"0\r\n\r\n")
    assert _recorded(proxy, answer.headers["x-driftline-invocation-id"]).request == b"onetwo"


def test_a_repeated_header_stays_repeated_and_a_connection_is_kept(proxy: DriftlineServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    for _ in range(3):
        connection.request("POST", "/invocations?echo", b"{}", JSON)
        answer = connection.getresponse()
        answer.read()
        assert answer.headers.get_all("x-one") == ["1", "2"]
    connection.close()


def test_who_asks_before_sending_is_told_by_the_server_behind(proxy: DriftlineServer) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
        client.sendall(
            b"POST /invocations?echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        )
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        answer = http.client.HTTPResponse(client, method="POST")
        answer.begin()
        assert (answer.status, answer.read()[-2:]) == (200, b"{}")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
        early = (
            b"POST /invocations?refuses_early HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        )
        client.sendall(early)
        answer = http.client.HTTPResponse(client, method="POST")
        answer.begin()
        assert (answer.status, answer.read(), answer.headers["connection"]) == (413, b"no!", "close")


def test_head_is_answered_with_a_length_and_no_body(proxy: DriftlineServer) -> None:
    for method, body in (("HEAD", b""), ("GET", b"12345"), ("HEAD", b"")):
        answer = proxy.ask(method, "/invocations?head_only")
        assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", body)


def test_a_compressed_answer_passes_and_is_recorded_as_it_is(proxy: DriftlineServer) -> None:
    answer = proxy.ask("POST", "/invocations?zipped", b"{}", JSON)
    assert gzip.decompress(answer.body) == b'{"predictions": [0.5]}'
    assert answer.headers["content-encoding"] == "gzip"
    assert _recorded(proxy, answer.headers["x-driftline-invocation-id"]).response == answer.body


def test_a_stream_is_not_held_up_and_is_recorded_before_its_end(proxy: DriftlineServer, script: Script) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    connection.request("POST", "/invocations?dripping", b"{}", JSON)
    answer = connection.getresponse()
    assert answer.read1(100) == b"first"
    script.first_was_read.set()
    assert answer.read() == b"second"
    connection.close()
    assert _recorded(proxy, answer.headers["x-driftline-invocation-id"]).response == b"firstsecond"


def test_an_answer_that_ends_with_its_connection_passes_whole(proxy: DriftlineServer) -> None:
    assert proxy.ask("POST", "/invocations?until_end", b"{}", JSON).body == b"until the end"
    assert proxy.ask("POST", "/invocations?closes", b"{}", JSON).body == b"ok"


def test_what_is_larger_than_the_limit_passes_is_counted_and_recorded_without_its_body(proxy: DriftlineServer) -> None:
    counted = "driftline_scorer_tee_uncopied_bodies_total"
    before = proxy.metric(counted)
    large = proxy.ask("POST", "/invocations?large", b"{}", JSON)
    assert large.body == b"x" * 3_000_000
    recorded = _recorded(proxy, large.headers["x-driftline-invocation-id"])
    assert (recorded.request, recorded.response, recorded.status) == (b"{}", b"", 200)
    sent = proxy.ask("POST", "/invocations?echo", b"y" * 2_000_000, JSON)
    assert sent.body.endswith(b"y" * 2_000_000)
    recorded = _recorded(proxy, sent.headers["x-driftline-invocation-id"])
    assert (recorded.request, recorded.response) == (b"", b"")
    assert proxy.metric(counted) == before + 3


@pytest.mark.parametrize(
    ("act", "status", "reason"), [("silent", 504, "timeout"), ("hangs_up", 502, "broken"), ("babbles", 502, "invalid")]
)
def test_a_server_that_does_not_answer_is_answered_for_recorded_and_counted(
    proxy: DriftlineServer, act: str, status: int, reason: str
) -> None:
    answer = proxy.ask("POST", f"/invocations?{act}", b'{"a": 1}', JSON)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    recorded = _recorded(proxy, answer.headers["x-driftline-invocation-id"])
    assert (recorded.status, recorded.request, recorded.response) == (status, b'{"a": 1}', answer.body)
    assert proxy.metric("driftline_scorer_upstream_errors_total", reason=reason) >= 1
    assert proxy.ask("GET", f"/ping?{act}").status == status


def test_an_answer_that_breaks_off_breaks_off_for_the_client(proxy: DriftlineServer) -> None:
    with pytest.raises(http.client.IncompleteRead):
        proxy.ask("POST", "/invocations?breaks_off", b"{}", JSON)
    recorded = _latest(proxy)
    assert (recorded.status, recorded.response) == (502, b"half")


def test_a_client_that_goes_ends_the_exchange_behind_and_is_recorded(proxy: DriftlineServer, script: Script) -> None:
    ended = script.ended
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
        client.sendall(b"POST /invocations?silent HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        time.sleep(0.5)
    servers.wait_until(lambda: script.ended > ended, 3, what="the server behind goes on")
    servers.wait_until(lambda: _latest(proxy).status == 499)
    assert _latest(proxy).response == b""


def test_a_request_that_never_came_whole_is_not_recorded(proxy: DriftlineServer, script: Script) -> None:
    before, ended = len(proxy.invocations()), script.ended
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
        client.sendall(b"POST /invocations?silent HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n{}")
        time.sleep(0.5)
    servers.wait_until(lambda: script.ended > ended, 3, what="the server behind goes on")
    assert len(proxy.invocations()) == before


def test_no_server_behind_is_a_502_that_says_so(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{servers.free_port()}"
    server = proxy_server(tmp_path, nowhere, "alone", "--max-body-bytes", "10", "--model-name", "churn")
    server.start()
    try:
        servers.wait_until(lambda: servers.listens(server.port), 60)
        answer = server.score(b"{}")
        assert answer.status == 502
        assert b"takes no connection" in answer.body
        assert server.metric("driftline_scorer_upstream_errors_total", reason="refused", model_name="churn") >= 1
        assert server.score(b"x" * 11).status == 413
        assert [one.status for one in server.invocations()] == [502, 413]
    finally:
        server.stop()
