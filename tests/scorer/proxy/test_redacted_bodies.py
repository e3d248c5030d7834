"""What passes the proxy is recorded without the values of redacted columns, and passes with them."""

import json
import socket
from pathlib import Path

from proxy_rig import proxy_server, scripted_server
from scoring_servers import running

from driftline.store.payload.body_parser import WITHHELD

SECRET = "planted@secret.example"
ANSWER = json.dumps({"predictions": [f"for {SECRET}"]}).encode()


def answer(connection: socket.socket) -> None:
    """Answer each request with its own data: 200, or 400 where it names an error."""
    while head := connection.recv(65_536):
        while head.startswith(b"POST") and b'"age"' not in head:  # the end of each body that the test sends
            head += connection.recv(65_536)
        status, body = (b"400 Bad Request", head) if b"refuse" in head else (b"200 OK", ANSWER)
        connection.sendall(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))


def test_a_proxys_records_hold_no_redacted_value(tmp_path: Path) -> None:
    records = {"dataframe_records": [{"email": SECRET, "plan": "gold", "age": 1}]}
    unknown = {"something": [SECRET], "age": 1}
    with scripted_server(answer) as upstream, running(
        proxy_server(tmp_path, upstream, "home", DRIFTLINE_REDACTION_COLUMNS="email=mask")
    ) as server:  # fmt: skip
        answers = [server.score(json.dumps(body).encode()) for body in (records, unknown, {"refuse": SECRET, "age": 1})]
        assert [a.status for a in answers] == [200, 200, 400]
        assert answers[0].body == ANSWER
        assert server.metric("driftline_scorer_tee_withheld_invocations_total") == 1
        first, second, third = server.invocations()
    assert json.loads(first.request) == {"dataframe_records": [{"email": "***mple", "plan": "gold", "age": 1}]}
    assert json.loads(first.response) == {"predictions": ["for ***"]}
    assert (second.request, second.response) == (b"", WITHHELD)
    assert (third.request, third.response) == (b"", b"")
