"""What the spool holds of the requests that were answered."""

import http.client
import time
import uuid

import servers
from scoring_corpus import corpus
from scoring_servers import JSON, Answer, DriftlineServer, ScoringServer

from driftline.store.records import Arm, Invocation
from driftline.store.spool.adoption import spools
from driftline.store.spool.reader import SpoolReader

Pairs = dict[str, tuple[ScoringServer, DriftlineServer]]
GOOD = b'{"dataframe_records": [{"a": 1.0, "b": 2.0}]}'


def _id(answer: Answer) -> str:
    return answer.headers["x-driftline-invocation-id"]


class Captured:
    """What a server captures from now on; its spool is read while it runs."""

    def __init__(self, server: DriftlineServer) -> None:
        self._server = server
        self._known: set[bytes] = set()
        self._until_now()

    def read(self, count: int) -> dict[str, Invocation]:
        """Return the new ones by id; there have to be ``count``, each recorded once."""
        new = self._until_now()
        by_id = {str(uuid.UUID(bytes=invocation.id)): invocation for invocation in new}
        assert len(by_id) == len(new) == count
        return by_id

    def _until_now(self) -> list[Invocation]:
        """Return what is new in the spool, once a request of our own is there: it comes after all others."""
        last = uuid.UUID(_id(self._server.ask("GET", "/invocations"))).bytes
        found: list[Invocation] = []

        def there() -> bool:
            found[:] = self._server.invocations()
            return any(invocation.id == last for invocation in found)

        servers.wait_until(there, what="the last invocation in the spool")
        new = [invocation for invocation in found if invocation.id not in self._known | {last}]
        self._known = {invocation.id for invocation in found}
        return new


def test_every_answered_request_is_captured_once_with_its_bytes(pairs: Pairs) -> None:
    server = pairs["linear"][1]
    captured = Captured(server)
    cases = [
        case
        for case in corpus()
        if case.model == "linear" and case.path.split("?")[0] == "/invocations" and "upgrade" not in case.headers
    ]
    answers = {}
    for case in cases:
        answer = server.ask(case.method, case.path, case.body, case.headers)
        answers[_id(answer)] = (case, answer)
    server.ask("GET", "/ping")
    server.ask("POST", "/invocations/", GOOD, JSON)

    found = captured.read(len(cases))
    assert found.keys() == answers.keys()
    assert {200, 400, 405, 415, 500} <= {invocation.status for invocation in found.values()}
    for key, (case, answer) in answers.items():
        invocation = found[key]
        assert (invocation.status, invocation.response) == (answer.status, answer.body), case.name
        if case.method == "POST":
            assert invocation.request == (case.body or b""), case.name
        assert invocation.content_type == (case.content_type or "").encode()
        assert invocation.arm is Arm.CHAMPION
        assert 0 < invocation.latency_us < 30_000_000


def test_a_timeout_is_captured_with_the_clients_request_id(pairs: Pairs) -> None:
    server = pairs["actor"][1]
    captured = Captured(server)
    answer = server.score(b'{"dataframe_records": [{"act": "sleep"}]}', **{"X-Request-Id": "mine"})
    assert (answer.status, answer.body) == (504, b"Request processing time exceeded limit")
    found = captured.read(1)[_id(answer)]
    assert (found.status, found.response, found.client_request_id) == (504, answer.body, b"mine")
    assert found.latency_us >= 990_000  # the event loop's timers count whole milliseconds and may fire early


def test_a_request_whose_body_never_arrives_is_not_captured(pairs: Pairs) -> None:
    server = pairs["linear"][1]
    captured = Captured(server)
    for part in (b"", b"{"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.putrequest("POST", "/invocations")
        connection.putheader("content-length", "1000")
        connection.putheader("content-type", "application/json")
        connection.endheaders(part)
        time.sleep(0.1)
        connection.close()
    answer = server.score(GOOD)
    assert captured.read(1).keys() == {_id(answer)}


def test_a_body_that_does_not_arrive_in_time_is_answered_and_captured(pairs: Pairs) -> None:
    server = pairs["actor"][1]
    captured = Captured(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("POST", "/invocations")
    connection.putheader("content-length", "1000")
    connection.endheaders(b'{"inputs"')
    response = connection.getresponse()
    assert (response.status, response.read()) == (504, b"Request processing time exceeded limit")
    (found,) = captured.read(1).values()
    assert (found.status, found.request) == (504, b'{"inputs"')
    connection.close()


def test_the_spool_names_the_model_version(pairs: Pairs, model_ids: dict[str, dict[str, str]]) -> None:
    (spool,) = spools(pairs["linear"][1].spool_folder)
    identity = SpoolReader(spool).model(0)
    assert (identity.name, identity.version, identity.uri) == ("linear", "1", "models:/linear/1")
    assert (identity.run_id, identity.model_id) == (model_ids["linear"]["run_id"], model_ids["linear"]["model_id"])
    assert identity.signature is not None
