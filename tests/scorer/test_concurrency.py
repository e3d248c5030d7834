"""Whole servers under concurrent clients: whose answer is whose, timeouts, overload."""

import http.client
import json
import queue
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rowwise
import servers
from scoring_servers import JSON, OUR_HEADERS, Answer, DriftlineServer, driftline_server

pytestmark = pytest.mark.thorough

_BY_MLFLOW = {"content-type": "text/csv"}
_SLEEPING_ROW = b"x,act\n1.0,sleep\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("concurrency")
    rowwise.save_rowwise(folder)
    return folder


@pytest.fixture(scope="module")
def batching(folder: Path) -> Iterator[DriftlineServer]:
    flags = ("--max-batch-rows", "16", "--max-batch-wait-ms", "20")
    yield from _served(driftline_server(folder, "rowwise", "batching", *flags, ROWWISE_SLEEP_SECONDS="0.2"))


@pytest.fixture(scope="module")
def small(folder: Path) -> Iterator[DriftlineServer]:
    """A server with two threads and one place to wait, whose timeout is shorter than its model's sleep."""
    variables = {"DRIFTLINE_SCORER_PREDICTION_THREADS": "2", "DRIFTLINE_SCORER_MAX_QUEUED_REQUESTS": "1"}
    yield from _served(driftline_server(folder, "rowwise", "small", "-t", "3", ROWWISE_SLEEP_SECONDS="8", **variables))


def _served(server: DriftlineServer) -> Iterator[DriftlineServer]:
    server.start()
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


def _together(*calls: Callable[[], Answer]) -> list[Answer]:
    answers: list[Answer | None] = [None] * len(calls)

    def one(number: int) -> None:
        answers[number] = calls[number]()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [answer for answer in answers if answer is not None]


def _idle(server: DriftlineServer) -> None:
    """Return when nothing of earlier tests is left in the threads."""
    servers.wait_until(lambda: server.score(rowwise.request(1.0)).status == 200, 60, 0.2, "a free place")
    servers.wait_until(
        lambda: all(a.status == 200 for a in _together(*[lambda: server.score(rowwise.request(1.0))] * 3)),
        60, 0.2, "three free places",
    )  # fmt: skip


def _mlflows_part(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    headers = {k: v for k, v in answer.headers.items() if k not in OUR_HEADERS and k != "date"}
    return answer.status, headers, answer.body


def test_no_client_ever_gets_the_answer_of_another(batching: DriftlineServer) -> None:
    """Sixteen clients with rows of their own; some rows fail, last, or are no rows at all."""
    wrong: queue.SimpleQueue[str] = queue.SimpleQueue()

    def client(number: int) -> None:
        rng = random.Random(number)
        for turn in range(40):
            xs = [number * 1000.0 + turn + i / 8 for i in range(rng.randint(1, 3))]
            act = rng.choice(["", "", "", "", "", "fail", "sleep", "malformed", "csv"])
            if act == "malformed":
                answer = batching.score(rowwise.request(*xs)[:-2])
                expected = answer.status == 400 and str(xs[0]) in answer.body.decode()
            elif act == "csv":
                body = "x,act\n" + "".join(f"{x},a\n" for x in xs)
                answer = batching.ask("POST", "/invocations", body.encode(), _BY_MLFLOW)
                expected = (answer.status, answer.body) == (200, rowwise.answer(*xs))
            else:
                answer = batching.score(rowwise.request(*xs, act=act))
                failed = answer.status == 400 and b"a marked row" in answer.body
                expected = failed if act == "fail" else (answer.status, answer.body) == (200, rowwise.answer(*xs))
            if not expected:
                wrong.put(f"{act} {xs}: {answer}")

    before = batching.metric("driftline_scorer_stage_duration_seconds_count", stage="predict")
    clients = [threading.Thread(target=client, args=(number,)) for number in range(16)]
    for one in clients:
        one.start()
    for one in clients:
        one.join(120)
    assert wrong.empty(), wrong.get()
    assert batching.metric("driftline_scorer_batching_workers", state="on") == 1
    assert batching.metric("driftline_scorer_stage_duration_seconds_count", stage="predict") > before


def test_what_was_asked_together_is_kept_one_by_one(batching: DriftlineServer) -> None:
    bodies = [rowwise.request(70_000.0 + i) for i in range(12)]
    _together(*[lambda body=body: batching.score(body) for body in bodies])
    kept = {one.request: one.response for one in batching.invocations()}
    assert [kept[body] for body in bodies] == [rowwise.answer(70_000.0 + i) for i in range(12)]


def test_rows_and_stages_are_on_the_metrics_page(batching: DriftlineServer) -> None:
    names = ("driftline_scorer_request_rows_count", "driftline_scorer_request_rows_sum")
    before = [batching.metric(name) for name in names]
    batching.score(rowwise.request(1.0, 2.0, 3.0))
    assert [batching.metric(name) for name in names] == [before[0] + 1, before[1] + 3]
    for stage in ("parse", "predict", "encode", "tee"):
        assert batching.metric("driftline_scorer_stage_duration_seconds_count", stage=stage) > 0


def test_a_timeout_has_the_same_bytes_on_either_way_and_lasts_once(small: DriftlineServer) -> None:
    _idle(small)
    begin = time.monotonic()
    fast, handed_over = _together(
        lambda: small.score(rowwise.request(1.0, act="sleep")),
        lambda: small.ask("POST", "/invocations", _SLEEPING_ROW, _BY_MLFLOW),
    )
    took = time.monotonic() - begin
    assert _mlflows_part(fast) == _mlflows_part(handed_over)
    assert (fast.status, fast.body) == (504, b"Request processing time exceeded limit")
    assert 2.99 <= took < 6  # timers count whole milliseconds and may fire early


def test_a_place_is_given_back_when_the_work_is_done_and_until_then_requests_are_refused(
    small: DriftlineServer,
) -> None:
    """Two predictions outlive their timeout, one waits for a thread; the clients have their 504 long since."""
    _idle(small)
    rejected = small.metric("driftline_scorer_rejected_requests_total", reason="overload")
    timeouts = _together(
        lambda: small.score(rowwise.request(1.0, act="sleep")),
        lambda: small.ask("POST", "/invocations", _SLEEPING_ROW, _BY_MLFLOW),
        lambda: small.score(rowwise.request(2.0, act="sleep")),
    )
    assert [answer.status for answer in timeouts] == [504, 504, 504]
    refused = small.score(rowwise.request(77.0))
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.headers["content-type"] == "application/json"
    assert json.loads(refused.body)["error_code"] == "TEMPORARILY_UNAVAILABLE"
    assert small.ask("GET", "/ping").status == 200
    assert small.metric("driftline_scorer_rejected_requests_total", reason="overload") == rejected + 1
    assert [(i.status, i.response) for i in small.invocations() if i.request == rowwise.request(77.0)] == [
        (503, refused.body)
    ]
    _idle(small)


def test_the_server_answers_pings_while_all_its_threads_compute(small: DriftlineServer) -> None:
    """The figures are a benchmark's; here it answers many times before the predictions are done."""
    _idle(small)
    spinning = [
        threading.Thread(target=small.ask, args=("POST", "/invocations", rowwise.request(1.0, act="spin"), JSON))
        for _ in range(2)
    ]
    for one in spinning:
        one.start()
    pings = 0
    while any(one.is_alive() for one in spinning):
        assert small.ask("GET", "/ping").status == 200
        pings += 1
    assert pings > 5


def test_half_of_all_pings_take_milliseconds_while_predictions_take_seconds(small: DriftlineServer) -> None:
    """10 ms are promised; ten times that leaves room for a busy machine and none for a loop that waits."""
    _idle(small)
    before = small.metric("driftline_scorer_requests_in_progress")
    calls = (
        lambda: small.score(rowwise.request(1.0, act="sleep")),
        lambda: small.ask("POST", "/invocations", _SLEEPING_ROW, _BY_MLFLOW),
    )
    sleeping = threading.Thread(target=_together, args=calls)
    sleeping.start()
    servers.wait_until(lambda: small.metric("driftline_scorer_requests_in_progress") == before + 2)
    connection = http.client.HTTPConnection("127.0.0.1", small.port, timeout=60)
    seconds: list[float] = []
    while sleeping.is_alive() and len(seconds) < 200:
        begin = time.monotonic()
        connection.request("GET", "/ping")
        assert connection.getresponse().read() == b"\n"
        seconds.append(time.monotonic() - begin)
    connection.close()
    sleeping.join()
    assert len(seconds) >= 10
    assert statistics.median(seconds) < 0.1
