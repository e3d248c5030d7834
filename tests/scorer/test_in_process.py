"""The scoring application without a server of ours; as a cloud's function it is in test_lambda.py."""

import asyncio
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from scoring_servers import environment
from sqlalchemy import func, select

from driftline.scorer.asgi_types import Message
from driftline.scorer.in_process import InProcessScorer
from driftline.store import schema
from driftline.store.accounts import accounts
from driftline.store.engine import open_engine
from driftline.store.errors import ConfigurationError

BODY = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[0.5, 1.5]]}}'


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    one = asyncio.new_event_loop()
    yield one
    one.run_until_complete(one.shutdown_default_executor())
    one.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose store is SQLite in it."""
    settings = {"HOME": str(tmp_path / "home"), "SPOOL_RING_BYTES": "1048576", "SPOOL_MIN_FREE_BYTES": "0"}
    for name, value in settings.items():
        monkeypatch.setenv(f"DRIFTLINE_{name}", value)
    return tmp_path / "home"


def test_arms_that_only_a_server_has_are_refused_in_one_line(
    home: Path, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_SCORER_SHADOW", "models:/linear/2")
    with pytest.raises(ConfigurationError, match="driftline serve"):
        InProcessScorer.open("models:/linear/1", loop)
    assert not home.exists()


@pytest.mark.thorough
def test_what_was_answered_is_stored_when_told_and_closing_leaves_nothing(
    home: Path, models: Path, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", environment(models)["MLFLOW_TRACKING_URI"])
    with warnings.catch_warnings():  # MLflow's modules warn of each other's type hints when they are imported
        warnings.simplefilter("ignore")
        scorer = InProcessScorer.open("models:/linear/1", loop)
    engine = open_engine(f"sqlite:///{home / 'driftline.sqlite'}")

    def stored() -> int:
        with engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(schema.invocation)) or 0

    assert loop.run_until_complete(_post(scorer)) == {"predictions": [False]}
    assert stored() == 0
    assert scorer.store_answered(20)
    assert stored() == 1
    loop.run_until_complete(_post(scorer))
    assert scorer.close(20)
    assert stored() == 2
    assert accounts(engine, home / "spool").spooled == 0
    engine.dispose()


async def _post(scorer: InProcessScorer) -> object:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
    scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": headers, "query_string": b""}
    await scorer.app(scope, receive, send)
    return json.loads(b"".join(message.get("body", b"") for message in sent))
