"""What the spool holds of the requests that were answered, also when processes die."""

import http.client
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import servers
from scoring_corpus import corpus
from scoring_servers import JSON, Answer, DriftlineServer, spooled_invocations

from driftline.store.records import Arm, Invocation

GOOD = b'{"dataframe_records": [{"a": 1.0, "b": 2.0}]}'
ACT = b'{"dataframe_records": [{"act": "%s"}]}'
Start = Callable[..., DriftlineServer]


def _by_id(invocations: list[Invocation]) -> dict[str, Invocation]:
    found = {str(uuid.UUID(bytes=invocation.id)): invocation for invocation in invocations}
    assert len(found) == len(invocations), "an invocation was recorded twice"
    return found


def _id(answer: Answer) -> str:
    return answer.headers["x-driftline-invocation-id"]


def test_every_answered_request_is_captured_once_with_its_bytes(start: Start) -> None:
    server = start("models:/linear/1", "mixed")
    cases = [case for case in corpus() if case.model == "linear" and case.path.split("?")[0] == "/invocations"]
    answers = {}
    for case in cases:
        answer = server.ask(case.method, case.path, case.body, case.headers)
        answers[_id(answer)] = (case, answer)
    server.ask("GET", "/ping")
    server.ask("POST", "/invocations/", GOOD, JSON)
    assert server.stop() == 0

    captured = _by_id(server.invocations())
    assert captured.keys() == answers.keys()
    assert {200, 400, 405, 415, 500} <= {invocation.status for invocation in captured.values()}
    for key, (case, answer) in answers.items():
        invocation = captured[key]
        assert (invocation.status, invocation.response) == (answer.status, answer.body), case.name
        if case.method == "POST":
            assert invocation.request == (case.body or b""), case.name
        assert invocation.content_type == (case.content_type or "").encode()
        assert invocation.arm is Arm.CHAMPION
        assert 0 < invocation.latency_us < 30_000_000


def test_a_timeout_is_captured_with_the_clients_request_id(start: Start) -> None:
    server = start("models:/actor/1", "timeout", "-t", "1")
    answer = server.score(ACT % b"sleep", **{"X-Request-Id": "mine"})
    assert (answer.status, answer.body) == (504, b"Request processing time exceeded limit")
    server.stop()
    (captured,) = server.invocations()
    assert (captured.status, captured.response, captured.client_request_id) == (504, answer.body, b"mine")
    assert captured.latency_us >= 1_000_000


def test_the_answer_of_a_worker_that_the_model_ends_is_captured(start: Start) -> None:
    server = start("models:/actor/1", "exit", "-w", "2")
    answer = server.score(ACT % b"exit")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    server.stop()
    assert [(i.status, i.response) for i in server.invocations()] == [(500, b"Internal Server Error")]


def test_a_request_whose_body_never_arrives_is_not_captured(start: Start) -> None:
    server = start("models:/linear/1", "abandoned")
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("POST", "/invocations")
    connection.putheader("content-length", "1000")
    connection.putheader("content-type", "application/json")
    connection.endheaders(b"{")
    connection.close()
    assert server.score(GOOD).status == 200
    server.stop()
    assert [invocation.status for invocation in server.invocations()] == [200]


def test_the_spool_names_the_model_version(start: Start, model_ids: dict[str, dict[str, str]]) -> None:
    from driftline.store.spool.adoption import spools
    from driftline.store.spool.reader import SpoolReader

    server = start("models:/linear@champion", "identity")
    (spool,) = spools(server.spool_folder)
    identity = SpoolReader(spool).model(0)
    assert (identity.name, identity.version, identity.alias, identity.flavor) == ("linear", "1", "champion", "sklearn")
    assert (identity.run_id, identity.model_id) == (model_ids["linear"]["run_id"], model_ids["linear"]["model_id"])
    assert identity.signature is not None


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_server_loses_nothing_that_was_answered(start: Start, workers: str) -> None:
    server = start("models:/linear/1", f"killed-{workers}", "-w", workers)
    read_by_clients: list[str] = []
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            try:
                answer = server.score(GOOD)
            except (OSError, http.client.HTTPException):
                continue
            read_by_clients.append(_id(answer))

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    servers.wait_until(lambda: len(read_by_clients) > 300, what="no traffic")
    victims = server.workers()
    assert len(victims) == int(workers)
    for pid in [server.process.pid, *victims]:
        os.kill(pid, signal.SIGKILL)
    stop.set()
    for thread in threads:
        thread.join()
    server.process.wait(10)

    captured = _by_id(server.invocations())
    assert set(read_by_clients) <= captured.keys()
    assert len(captured) - len(read_by_clients) <= len(threads), "only what was in flight may be more"


def test_a_killed_worker_is_replaced_and_its_spool_is_kept(start: Start) -> None:
    server = start("models:/linear/1", "replaced", "-w", "2")
    answered = [_id(server.score(GOOD)) for _ in range(20)]
    victim = server.workers()[0]
    os.kill(victim, signal.SIGKILL)
    servers.wait_until(lambda: len(set(server.workers()) - {victim}) == 2, what="no new worker")
    answered += [_id(server.score(GOOD)) for _ in range(20)]
    server.stop()
    assert _by_id(server.invocations()).keys() == set(answered)


def test_sigterm_lets_a_request_finish_and_drains_into_the_store(start: Start, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    server = start("models:/actor/1", "drained", "--store", f"sqlite:///{store}")
    answers: list[Answer] = []
    client = threading.Thread(target=lambda: answers.append(server.score(ACT % b"doze")))
    client.start()
    time.sleep(0.3)
    assert server.stop() == 0
    client.join()
    assert [answer.status for answer in answers] == [200]
    assert stored_statuses(store) == [200]
    assert spooled_invocations(server.spool_folder) == []


def test_the_end_of_the_parent_is_the_end_of_all(start: Start) -> None:
    server = start("models:/linear/1", "orphans", "-w", "2")
    family = server.family()
    assert len(family) >= 3
    server.process.kill()
    server.process.wait(10)
    servers.wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in family), what=str(family))


def test_a_power_proof_answer_waits_for_the_medium_and_is_captured(start: Start) -> None:
    server = start("models:/linear/1", "power", "--durability", "power")
    answers = [server.score(GOOD) for _ in range(20)]
    os.kill(server.workers()[0], signal.SIGKILL)
    server.process.wait(20)
    assert _by_id(server.invocations()).keys() == {_id(answer) for answer in answers}


def stored_statuses(store: Path) -> list[int]:
    import sqlite3

    connection = sqlite3.connect(store)
    try:
        return [status for (status,) in connection.execute("SELECT status FROM invocation")]
    finally:
        connection.close()
