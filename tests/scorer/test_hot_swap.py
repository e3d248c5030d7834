"""Versions that change under a running server: a real registry, real workers, clients that never stop asking."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import servers
from scaled_models import Clients, ScaledModels, in_sync, product, serves, wait_serves
from scoring_servers import DriftlineServer, driftline_server, running
from sqlalchemy import Engine, select

from driftline.store import schema
from driftline.store.accounts import accounts
from driftline.store.engine import open_engine

pytestmark = pytest.mark.thorough

POLL = ("--registry-poll-seconds", "0.2")
SWAPS = "driftline_scorer_model_swaps_total"
Serve = Callable[..., DriftlineServer]


@pytest.fixture
def serve(scaled: ScaledModels, tmp_path: Path) -> Iterator[Serve]:
    """Start a server of ``models:/scaled@champion``, which points to ``first`` then; stopped after the test."""
    with ExitStack() as started:

        def start(*flags: str, uri: str = "models:/scaled@champion", **variables: str) -> DriftlineServer:
            scaled.point("first")
            store = ("--store", f"sqlite:///{tmp_path / 'store.sqlite'}")
            server = driftline_server(scaled.folder, uri, tmp_path.name, *POLL, *store, *flags, **variables)
            return started.enter_context(running(server))

        yield start


@pytest.fixture(scope="module")
def two(scaled: ScaledModels) -> Iterator[DriftlineServer]:
    """A server with two workers; its tests leave it whole."""
    scaled.point("first")
    store = ("--store", f"sqlite:///{scaled.folder / 'two.sqlite'}")
    server = driftline_server(scaled.folder, "models:/scaled@champion", "two", *POLL, *store, "-w", "2")
    server.start()
    try:
        server.wait_ready()
        servers.wait_until(lambda: len(server.workers()) == 2, 60)
        yield server
    finally:
        server.stop()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'store.sqlite'}", probe=False)
    yield engine
    engine.dispose()


def versions_by_id(engine: Engine) -> dict[str, str]:
    """Return the version of every stored invocation."""
    i, v = schema.invocation, schema.model_version
    with engine.connect() as connection:
        rows = connection.execute(select(i.c.id, v.c.version).join(v, v.c.id == i.c.model_version_id))
        return {row.id.hex(): row.version for row in rows}


def events(engine: Engine) -> list[tuple[str, dict[str, object]]]:
    with engine.connect() as connection:
        rows = connection.execute(select(schema.event).order_by(schema.event.c.at)).all()
    return [(row.kind, json.loads(row.detail)) for row in rows]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_no_request_fails_and_each_is_answered_and_recorded_by_one_version_while_an_alias_moves(
    scaled: ScaledModels, serve: Serve, engine: Engine, workers: int
) -> None:
    server = serve("-w", str(workers))
    servers.wait_until(lambda: len(server.workers()) == workers, 60)
    with Clients(server).sending() as clients:
        for name in ("second", "first", "second", "first"):
            wait_serves(server, scaled.point(name))
    assert clients.failures == []
    for number, answer in clients.answers:
        assert product(answer) == number * float(answer.headers["x-driftline-model-version"])
        assert answer.headers["x-driftline-arm"] == "champion"
    assert {answer.headers["x-driftline-model-version"] for _, answer in clients.answers} == {"1", "2"}
    assert server.metric(SWAPS, result="success") == 4
    assert server.metric(SWAPS, result="error") == 0
    requests = "driftline_scorer_request_duration_seconds_count"
    assert server.metric(requests, route="/invocations", code="200") == len(clients.answers)

    assert server.stop() == 0
    stored = versions_by_id(engine)
    expected = {
        answer.headers["x-driftline-invocation-id"].replace("-", ""): answer.headers["x-driftline-model-version"]
        for _, answer in clients.answers
    }
    assert stored == expected
    found = accounts(engine, server.spool_folder)
    assert (found.answered, found.spooled) == (len(clients.answers), 0)
    kinds = [kind for kind, _ in events(engine)]
    assert kinds == ["model loaded", *["alias moved", "model loaded"] * 4]
    assert [detail["to"] for kind, detail in events(engine) if kind == "alias moved"] == ["2", "1", "2", "1"]


_CANNOT_SERVE = {
    "torn": "RuntimeError: the weights are torn",
    "leaving": "SystemExit: 4",
    "unwilling": "rows of its signature's types are answered with 400 (BAD_REQUEST)",
    "gone": "scaled.py",
}


def test_a_version_that_cannot_serve_leaves_the_old_one_and_is_counted_and_told(
    scaled: ScaledModels, serve: Serve, engine: Engine
) -> None:
    scaled.remove_code("gone")
    server = serve()
    with Clients(server).sending(2) as clients:
        for count, name in enumerate(_CANNOT_SERVE, 1):
            scaled.point(name)
            servers.wait_until(lambda n=count: server.metric(SWAPS, result="error") >= n, 60, what=name)
            assert not in_sync(server)
        wait_serves(server, scaled.point("second"))
    assert clients.failures == []
    assert {answer.headers["x-driftline-model-version"] for _, answer in clients.answers} == {"1", "2"}
    assert all(product(a) == n * float(a.headers["x-driftline-model-version"]) for n, a in clients.answers)
    assert server.stop() == 0
    failed = {str(detail["version"]): detail["reason"] for kind, detail in events(engine) if kind == "model failed"}
    log = server.log.read_text().splitlines()
    for name, reason in _CANNOT_SERVE.items():
        version = scaled.versions[name]
        assert reason in str(failed[version])
        told = [line for line in log if f"version {version} of models:/scaled@champion cannot serve" in line]
        assert told
        assert all(reason in line for line in told)


def test_a_worker_that_is_replaced_after_a_swap_starts_with_the_new_version(
    scaled: ScaledModels, two: DriftlineServer
) -> None:
    wait_serves(two, scaled.point("second"))
    swaps = two.metric(SWAPS)
    before = set(two.workers())
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    servers.wait_until(lambda: len(set(two.workers()) - before) == 2, 60)
    servers.wait_until(lambda: serves(two, scaled.versions["second"]), 60)
    assert {product(two.score(b'{"dataframe_records": [{"x": 3}]}')) for _ in range(8)} == {6.0}
    assert two.metric(SWAPS) == swaps


def test_a_worker_that_dies_of_a_version_is_replaced_by_one_with_the_old(
    scaled: ScaledModels, two: DriftlineServer
) -> None:
    wait_serves(two, scaled.point("first"))
    scaled.point("deadly")
    servers.wait_until(lambda: two.metric(SWAPS, result="error") >= 1, 90, what=two.log.read_text())
    assert "the worker that loaded it ended" in two.log.read_text()
    servers.wait_until(lambda: len(two.workers()) == 2, 60)
    assert product(two.score(b'{"dataframe_records": [{"x": 3}]}')) == 3.0
    wait_serves(two, scaled.point("first"))


def test_sigterm_while_a_version_is_loaded_ends_cleanly(scaled: ScaledModels, serve: Serve) -> None:
    server = serve()
    scaled.point("lingering")
    servers.wait_until(lambda: "points to version" in server.log.read_text(), 60)
    answer = server.score(b'{"dataframe_records": [{"x": 3}]}')
    assert product(answer) == 3.0
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def test_the_latest_version_is_followed(scaled: ScaledModels, serve: Serve) -> None:
    server = serve(uri="models:/scaled/latest")
    wait_serves(server, scaled.versions["other"])
    copy = scaled.copy("second")
    wait_serves(server, copy)
    assert server.metric("driftline_scorer_registry_last_success_timestamp_seconds") > 0
    scaled.client.delete_model_version("scaled", copy)
    wait_serves(server, scaled.versions["other"])
