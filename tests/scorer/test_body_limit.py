"""Bodies beyond the limit, over connections of our own, with each HTTP parser that uvicorn has."""

import json
import re
from http.client import HTTPResponse
from pathlib import Path

import pytest
import servers
from guarded_servers import MAX_BODY_BYTES, Client
from scoring_servers import JSON, DriftlineServer

from driftline.scorer.body_limit import LimitedBody
from driftline.store.records import Invocation

pytestmark = pytest.mark.thorough

GOOD = b'{"dataframe_records": [{"a": 1.0, "b": 2.0}]}'
REJECTED = "driftline_scorer_rejected_requests_total"


def _padded(length: int) -> bytes:
    return GOOD[:-1] + b" " * (length - len(GOOD)) + b"}"


@pytest.fixture(params=["limited", "guarded"])
def server(request: pytest.FixtureRequest) -> DriftlineServer:
    """Once with httptools and once with h11, the two parsers that uvicorn has; the second behind TLS and tokens."""
    return request.getfixturevalue(request.param)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _is_refusal(status: int, body: bytes) -> bool:
    error = json.loads(body)
    return status == 413 and error["error_code"] == "BAD_REQUEST" and f"{MAX_BODY_BYTES} bytes" in error["message"]


def _recorded(server: DriftlineServer, answer: HTTPResponse) -> Invocation:
    wanted = answer.getheader("x-driftline-invocation-id", "").replace("-", "")

    def found() -> list[Invocation]:
        return [invocation for invocation in server.invocations() if invocation.id.hex() == wanted]

    servers.wait_until(found, 60, what="the invocation in the spool")
    (invocation,) = found()
    return invocation


def test_a_body_of_exactly_the_limit_is_scored(server: DriftlineServer) -> None:
    assert server.score(_padded(MAX_BODY_BYTES)).status == 200


def test_a_declared_body_beyond_the_limit_is_refused_before_a_byte_of_it_is_read(server: DriftlineServer) -> None:
    with Client(server) as client:
        client.send(f"content-length: {MAX_BODY_BYTES + 1}")
        status, body, _ = client.answer()
    assert _is_refusal(status, body)


def test_a_refused_body_runs_by_and_the_connection_lives_on(server: DriftlineServer) -> None:
    length = 5_000_000
    with Client(server) as client:
        client.send(f"content-length: {length}", body=b"x" * length)
        status, body, _ = client.answer()
        assert _is_refusal(status, body)
        client.send(f"content-length: {len(GOOD)}", body=GOOD)
        assert client.answer()[0] == 200


def test_pipelined_requests_behind_a_refused_one_are_answered_in_turn(server: DriftlineServer) -> None:
    with Client(server) as client:
        refused = client.request("content-length: 3000") + b"x" * 3000
        ping = b"GET /ping HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n"
        client.socket.sendall(refused + refused + ping)
        assert re.findall(rb"HTTP/1.1 (\d+)", client.rest()) == [b"413", b"413", b"200"]


def test_who_waits_for_100_continue_is_told_without_and_the_connection_ends(server: DriftlineServer) -> None:
    with Client(server) as client:
        client.send(f"content-length: {MAX_BODY_BYTES + 1}", "expect: 100-continue")
        status, body, answer = client.answer()
        assert _is_refusal(status, body)
        assert answer.getheader("connection") == "close"
        assert client.rest() == b""


def test_a_chunked_body_of_exactly_the_limit_is_scored(server: DriftlineServer) -> None:
    body = _padded(MAX_BODY_BYTES)
    with Client(server) as client:
        client.send("transfer-encoding: chunked", body=_chunk(body[:700]) + _chunk(body[700:]) + b"0\r\n\r\n")
        assert client.answer()[0] == 200


def test_a_chunked_body_is_refused_as_soon_as_it_exceeds_the_limit(server: DriftlineServer) -> None:
    with Client(server) as client:
        client.send("transfer-encoding: chunked", body=_chunk(b"x" * MAX_BODY_BYTES))
        client.socket.sendall(_chunk(b"x"))
        status, body, answer = client.answer()  # although its end has not come
        assert _is_refusal(status, body)
        client.socket.sendall(_chunk(b"x" * 100_000) + b"0\r\n\r\n")
        client.send(f"content-length: {len(GOOD)}", body=GOOD)
        assert client.answer()[0] == 200
    assert _recorded(server, answer).request == b""


def test_an_endless_body_takes_no_memory(server: DriftlineServer) -> None:
    (worker,) = server.workers()
    megabyte = _chunk(b"x" * 1_000_000)
    with Client(server) as client:
        client.send("transfer-encoding: chunked")
        before = _resident_bytes(worker)
        for _ in range(100):
            client.socket.sendall(megabyte)
        client.socket.sendall(b"0\r\n\r\n")
        assert _is_refusal(*client.answer()[:2])
        assert _resident_bytes(worker) - before < 50_000_000


def test_a_refused_body_is_recorded_with_its_status_and_without_its_bytes(server: DriftlineServer) -> None:
    before = server.metric(REJECTED, reason="too_large")
    with Client(server) as client:
        client.send("content-length: 3000", "x-request-id: mine", body=b"x" * 3000)
        status, body, answer = client.answer()
    invocation = _recorded(server, answer)
    assert (invocation.status, invocation.request, invocation.response) == (status, b"", body)
    assert (invocation.client_request_id, answer.getheader("x-request-id")) == (b"mine", "mine")
    assert server.metric(REJECTED, reason="too_large") == before + 1


def test_a_refusal_leaves_no_trace_of_an_error_in_the_log(server: DriftlineServer) -> None:
    with Client(server) as client:
        client.send("transfer-encoding: chunked", body=_chunk(b"x" * 2 * MAX_BODY_BYTES) + b"0\r\n\r\n")
        assert client.answer()[0] == 413
    assert "Traceback" not in server.log.read_text()


def test_other_paths_read_no_body_and_have_no_limit(server: DriftlineServer) -> None:
    assert server.ask("POST", "/ping", b"x" * 3000, JSON).status == 405


def _no_receive() -> None:
    raise AssertionError("nobody reads")


def test_the_default_takes_100_mb_and_0_takes_any() -> None:
    def refused(length: int, limit: int) -> bool:
        return LimitedBody([(b"content-length", str(length).encode())], _no_receive, limit).too_large  # type: ignore[arg-type]

    assert not refused(100_000_000, 100_000_000)
    assert refused(100_000_001, 100_000_000)
    assert not refused(10**15, 0)


def _resident_bytes(pid: int) -> int:
    (line,) = [x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024
