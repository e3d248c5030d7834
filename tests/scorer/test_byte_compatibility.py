"""The same requests to `mlflow models serve` and to `driftline serve`, started side by side over the same models."""

import re
import socket
import uuid

import pytest
from scoring_corpus import Case, corpus
from scoring_servers import OUR_HEADERS, Answer, DriftlineServer, ScoringServer

Pairs = dict[str, tuple[ScoringServer, DriftlineServer]]
_CASES = corpus()


def _mlflows_part(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    headers = {k: v for k, v in answer.headers.items() if k not in OUR_HEADERS and k != "date"}
    return answer.status, headers, answer.body


def test_the_corpus_is_not_small() -> None:
    assert len(_CASES) >= 80
    assert len({case.name for case in _CASES}) == len(_CASES)


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_the_answer_is_mlflows(pairs: Pairs, case: Case) -> None:
    theirs, ours = pairs[case.model]
    expected = theirs.ask(case.method, case.path, case.body, case.headers)
    found = ours.ask(case.method, case.path, case.body, case.headers)
    found_part = _mlflows_part(found)
    if "location" in found.headers:  # it names the server's own port
        found_part[1]["location"] = found.headers["location"].replace(str(ours.port), str(theirs.port))
    assert found_part == _mlflows_part(expected)


def _raw(port: int, method: str, path: str) -> bytes:
    """Return every byte of an answer but those of the port and of the date; the connection ends behind it."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: scorer\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return re.sub(rb"(?im)^date: .*\r\n", b"", answer)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", ["/ping", "/health", "/version", "/invocations", "/", "/nowhere"])
def test_methods_that_no_client_of_a_model_uses_are_answered_with_mlflows_bytes(
    pairs: Pairs, path: str, slash: str
) -> None:
    theirs, ours = pairs["linear"]
    methods = ("OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "GET", *([] if path in ("/ping", "/health") else ["HEAD"]))
    for method in methods:
        found = _raw(ours.port, method, path + slash)
        for name in OUR_HEADERS:
            found = re.sub(rb"(?im)^%s: .*\r\n" % name.encode(), b"", found)
        assert found == _raw(theirs.port, method, path + slash), method


@pytest.mark.parametrize("path", ["/ping", "/health"])
def test_head_answers_200_also_where_mlflow_answers_405(pairs: Pairs, path: str) -> None:
    theirs, ours = pairs["linear"]
    assert theirs.ask("HEAD", path).status in (405, 200)  # 200 where FastAPI is as old as MLflow 3.0
    head, get = ours.ask("HEAD", path), ours.ask("GET", path)
    assert (head.status, head.body) == (200, b"")
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}


@pytest.mark.parametrize("status", [200, 400, 415, 405])
def test_every_answer_of_invocations_carries_our_id(pairs: Pairs, status: int) -> None:
    ours = pairs["linear"][1]
    method, content_type, body = {
        200: ("POST", "text/csv", b"a,b\n1,2\n"),
        400: ("POST", "application/json", b"{}"),
        415: ("POST", "text/plain", b"{}"),
        405: ("GET", "text/plain", None),
    }[status]
    answer = ours.ask(method, "/invocations", body, {"content-type": content_type})
    assert answer.status == status
    assert uuid.UUID(answer.headers["x-driftline-invocation-id"]).version == 7
    assert answer.headers["x-request-id"] == answer.headers["x-driftline-invocation-id"]


def test_a_clients_request_id_comes_back_unchanged(pairs: Pairs) -> None:
    ours = pairs["linear"][1]
    answer = ours.score(b"{}", **{"X-Request-Id": "Order 66 / \u00fc"})
    assert answer.headers["x-request-id"] == "Order 66 / \u00fc"
    assert uuid.UUID(answer.headers["x-driftline-invocation-id"]).version == 7


def test_other_routes_carry_no_header_of_ours(pairs: Pairs) -> None:
    ours = pairs["linear"][1]
    for path in ("/ping", "/version", "/nowhere", "/docs"):
        assert not set(ours.ask("GET", path).headers) & set(OUR_HEADERS)
