"""Workers, loader and parent: what happens when one of them ends."""

import http.client
import os
import resource
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import servers
from scoring_servers import Answer, DriftlineServer, driftline_server

from driftline.store.accounts import accounts
from driftline.store.engine import open_engine

pytestmark = pytest.mark.thorough

GOOD = b'{"dataframe_records": [{"a": 1.0, "b": 2.0}]}'
ACT = b'{"dataframe_records": [{"act": "%s"}]}'
Start = Callable[..., DriftlineServer]


def _id(answer: Answer) -> str:
    return answer.headers["x-driftline-invocation-id"]


def _ids(server: DriftlineServer) -> list[str]:
    return [f"{invocation.id.hex()}" for invocation in server.invocations()]


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _told_end(server: DriftlineServer) -> list[str]:
    return [line for line in server.log.read_text().splitlines() if "this server ends too" in line]


def _hex(answer: Answer) -> str:
    return _id(answer).replace("-", "")


@pytest.fixture(scope="module")
def two_workers(models: Path) -> Iterator[DriftlineServer]:
    """A server of the actor with two workers; its tests leave it whole."""
    server = driftline_server(models, "models:/actor/1", "two-workers", "-w", "2")
    server.start()
    try:
        server.wait_ready()
        servers.wait_until(lambda: len(server.workers()) == 2, 60, what="two workers")
        yield server
    finally:
        server.stop()


def _replace(server: DriftlineServer, end: Callable[[], object]) -> None:
    """End one worker by ``end`` and wait for the new one."""
    before = set(server.workers())
    end()
    servers.wait_until(lambda: len(set(server.workers()) - before) == 1, 60, what="no new worker")
    servers.wait_until(lambda: server.metric("driftline_scorer_model_ready") == 1)


def _both_answer(server: DriftlineServer) -> list[Answer]:
    """Score until each worker has answered at least once: their spools tell."""
    answers: list[Answer] = []

    def score() -> None:
        answers.append(server.score(ACT % b"doze"))

    threads = [threading.Thread(target=score) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_the_metrics_of_two_workers_add_up(two_workers: DriftlineServer) -> None:
    name = "driftline_scorer_request_duration_seconds_count"
    before = two_workers.metric(name, route="/invocations", code="200")
    rows = two_workers.metric("driftline_scorer_predictions_total")
    answers = _both_answer(two_workers)
    assert two_workers.metric(name, route="/invocations", code="200") == before + len(answers)
    assert two_workers.metric("driftline_scorer_predictions_total") == rows + len(answers)


def test_a_killed_worker_loses_no_count_and_its_spool_is_kept(two_workers: DriftlineServer) -> None:
    name = "driftline_scorer_request_duration_seconds_count"
    before = two_workers.metric(name, route="/invocations")
    answers = _both_answer(two_workers)
    _replace(two_workers, lambda: os.kill(two_workers.workers()[0], signal.SIGKILL))
    assert two_workers.metric(name, route="/invocations") == before + len(answers)
    answers += _both_answer(two_workers)
    assert two_workers.metric(name, route="/invocations") == before + len(answers)
    assert two_workers.metric("driftline_scorer_requests_in_progress") == 0
    found = _ids(two_workers)
    assert sorted(found) == sorted(set(found))
    assert {_hex(answer) for answer in answers} <= set(found)


def test_the_answer_of_a_worker_that_the_model_ends_is_captured(two_workers: DriftlineServer) -> None:
    before = set(_ids(two_workers))
    answers: list[Answer] = []
    _replace(two_workers, lambda: answers.append(two_workers.score(ACT % b"exit")))
    assert (answers[0].status, answers[0].body) == (500, b"Internal Server Error")
    new = [i for i in two_workers.invocations() if i.id.hex() not in before]
    assert [(i.status, i.response) for i in new] == [(500, b"Internal Server Error")]


def test_a_worker_that_is_killed_before_it_gave_its_sign_of_life_is_replaced_at_once(start: Start) -> None:
    server = start("models:/linear/1", "silent", "-w", "2", UVICORN_TIMEOUT_WORKER_HEALTHCHECK="600")
    servers.wait_until(lambda: len(server.workers()) == 2, 60, what="two workers")
    silent = server.workers()[0]
    os.kill(silent, signal.SIGSTOP)
    time.sleep(2)  # uvicorn asks every half second
    _replace(server, lambda: os.kill(silent, signal.SIGKILL))
    assert server.stop() == 0
    assert _told_end(server) == [], "it was asked to end"


def test_where_no_worker_can_be_started_any_more_the_server_ends_and_leaves_no_process(start: Start) -> None:
    server = start("models:/linear/1", "exhausted", "-w", "2")
    servers.wait_until(lambda: len(server.workers()) == 2, what="two workers")
    answered = [_hex(server.score(GOOD)) for _ in range(20)]
    family, killed = server.family(), server.workers()[0]
    resource.prlimit(_parent(killed), resource.RLIMIT_NOFILE, (5, 5))
    os.kill(killed, signal.SIGKILL)
    assert server.process.wait(60) == 1
    (line,) = _told_end(server)
    assert "uvicorn ended with code 1 (see the lines above)" in line
    assert not any(Path(f"/proc/{pid}/cmdline").exists() for pid in family)
    assert set(answered) <= set(_ids(server))


def test_a_killed_uvicorn_ends_the_server_with_one_line_that_says_what_to_do(start: Start) -> None:
    server = start("models:/linear/1", "one-killed")
    answered = _hex(server.score(GOOD))
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    assert server.process.wait(60) == 137
    (line,) = _told_end(server)
    assert "uvicorn was ended by signal 9 (often for want of memory): this server ends too" in line
    for next_step in ("Start it again", "systemd", "Kubernetes", "`-w 2`"):
        assert next_step in line
    assert _ids(server) == [answered]


@pytest.mark.parametrize(("workers", "durability"), [("1", "power"), ("2", "process")])
def test_a_killed_server_loses_nothing_that_was_answered_and_leaves_no_process(
    start: Start, workers: str, durability: str
) -> None:
    server = start("models:/linear/1", f"killed-{workers}", "-w", workers, "--durability", durability)
    read_by_clients: list[str] = []
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            try:
                read_by_clients.append(_hex(server.score(GOOD)))
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    servers.wait_until(lambda: len(server.workers()) == int(workers) and len(read_by_clients) > 300, 60)
    family = server.family()
    for pid in [server.process.pid, *server.workers()]:
        os.kill(pid, signal.SIGKILL)
    stop.set()
    for thread in threads:
        thread.join()
    server.process.wait(60)
    servers.wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in family), 60, what=str(family))

    captured = _ids(server)
    assert sorted(captured) == sorted(set(captured))
    assert set(read_by_clients) <= set(captured)
    # A client that lost its request with one worker may have another under way when the next worker is killed.
    in_flight = len(threads) * int(workers)
    assert len(captured) - len(read_by_clients) <= in_flight, "only what was in flight may be more"


def test_sigterm_lets_a_request_finish_and_drains_into_the_store(start: Start, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    server = start("models:/actor/1", "drained", "--store", f"sqlite:///{store}")
    answers: list[Answer] = []
    client = threading.Thread(target=lambda: answers.append(server.score(ACT % b"doze")))
    client.start()
    servers.wait_until(lambda: server.metric("driftline_scorer_requests_in_progress") == 1)
    assert server.stop() == 0
    client.join()
    assert [answer.status for answer in answers] == [200]
    connection = sqlite3.connect(store)
    assert [status for (status,) in connection.execute("SELECT status FROM invocation")] == [200]
    connection.close()
    engine = open_engine(f"sqlite:///{store}")
    found = accounts(engine, server.spool_folder)
    engine.dispose()
    assert (found.answered, found.stored, found.spooled) == (1, 1, 0)
