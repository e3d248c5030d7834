"""``driftline proxy`` in front of MLflow's own server: killed, and left by the server behind, under requests."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import servers
from fault_oracle import Figures, balanced, stored
from proxy_rig import proxy_server
from scoring_clients import scoring
from scoring_servers import ScoringServer, mlflow_server, running
from serve_rig import SETTINGS, check, settled
from sqlalchemy import select

from driftline.store import schema
from driftline.store.engine import open_engine
from driftline.store.loader.loader import Loader, LoaderSettings

pytestmark = pytest.mark.thorough
Note = Callable[[Figures], None]


@pytest.fixture(scope="module")
def behind(models: Path) -> Iterator[ScoringServer]:
    with running(mlflow_server(models, "models:/linear/1", "behind")) as server:
        yield server


def test_a_proxy_that_is_killed_loses_nothing_that_was_answered(
    models: Path, tmp_path: Path, behind: ScoringServer, note: Note
) -> None:
    store = f"sqlite:///{tmp_path / 'store.sqlite'}"
    flags = ("--store", store, "--model", "models:/linear/1", "-w", "2")
    proxy = proxy_server(models, f"http://127.0.0.1:{behind.port}", f"killed-{tmp_path.name}", *flags, **SETTINGS)
    with running(proxy), scoring(proxy, threads=4) as clients:
        servers.wait_until(lambda: len(clients.answered) > 300 and len(proxy.workers()) == 2)
        for worker in proxy.workers():
            answered = len(clients.answered)
            os.kill(worker, signal.SIGKILL)
            servers.wait_until(lambda seen=answered: len(clients.answered) > seen + 50, what="answers stopped")
        family = [proxy.process.pid, *proxy.family()]
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        proxy.process.wait(60)
        servers.wait_until(lambda: clients.failed > 10)
    assert clients.refused == 0
    engine = open_engine(store)
    Loader(engine, proxy.spool_folder, LoaderSettings(raw_bodies="all")).load_once()
    found = balanced(engine, proxy.spool_folder)
    assert (found.spooled, found.dropped) == (0, {})
    note(check(engine, clients, set(), tries=3))
    engine.dispose()


def test_a_server_behind_that_dies_is_answered_for_and_the_accounts_balance(
    models: Path, tmp_path: Path, note: Note
) -> None:
    store = f"sqlite:///{tmp_path / 'store.sqlite'}"
    with running(mlflow_server(models, "models:/linear/1", f"dying-{tmp_path.name}")) as behind:
        proxy = proxy_server(
            models, f"http://127.0.0.1:{behind.port}", f"left-{tmp_path.name}", "--store", store, "--model-name",
            "churn", **SETTINGS,
        )  # fmt: skip
        with running(proxy):
            engine = open_engine(store)
            with scoring(proxy) as clients:
                servers.wait_until(lambda: len(clients.answered) > 100)
                behind.process.kill()
                servers.wait_until(lambda: clients.refused > 20)
            account = settled(engine, proxy)
            assert account.answered == len(clients.answered)
            assert stored(engine).keys() == clients.answered.keys()
            t = schema.invocation.c
            with engine.connect() as connection:
                statuses = set(connection.scalars(select(t.status).distinct()))
                bodies = connection.execute(
                    select(t.request_body.is_(None), t.response_body.is_(None)).distinct()
                ).all()
            assert statuses == {200, 502}
            assert bodies == [(False, False)], "without --model all bodies are kept"
            note(check(engine, clients, set()))
            engine.dispose()
