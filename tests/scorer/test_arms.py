"""A canary that answers its share, a challenger that answers nobody: real servers over a registry that moves."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import servers
from scaled_models import BODY, Clients, ScaledModels, product
from scoring_servers import DriftlineServer, driftline_server, running
from sqlalchemy import Engine, Row, select, text

from driftline.scorer.arms import Canary, CanaryOption
from driftline.store import schema
from driftline.store.accounts import accounts
from driftline.store.engine import open_engine
from driftline.store.errors import ConfigurationError
from driftline.store.records import Arm, new_invocation_id, now_us

pytestmark = pytest.mark.thorough

POLL = ("--registry-poll-seconds", "0.2")
Serve = Callable[..., DriftlineServer]
on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture
def serve(scaled: ScaledModels, tmp_path: Path, store_url: str, engine: Engine) -> Iterator[Serve]:
    """Start a server of ``models:/scaled@champion``, which means ``first``, with other arms by flags."""
    with ExitStack() as started:

        def start(*flags: str, **variables: str) -> DriftlineServer:
            scaled.point("first")
            flags = (*POLL, "--store", store_url, *flags)
            server = driftline_server(scaled.folder, "models:/scaled@champion", tmp_path.name, *flags, **variables)
            return started.enter_context(running(server))

        yield start


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_engine(store_url)
    yield engine
    engine.dispose()


_DISAGREEMENT = """
    SELECT one.prediction, other.prediction
    FROM inference_scaled one JOIN inference_scaled other USING (invocation_id, row_index)
    WHERE one.arm = 'champion' AND other.arm = 'shadow'
"""


def stored(engine: Engine) -> list[Row[tuple[object, ...]]]:
    """Return id, arm and version of the stored invocations."""
    i, v = schema.invocation, schema.model_version
    query = select(i.c.id, i.c.arm, i.c.status, i.c.row_count, i.c.received_at, v.c.version)
    with engine.connect() as connection:
        return list(connection.execute(query.join(v, v.c.id == i.c.model_version_id)).all())


def rows_of(engine: Engine, arm: Arm) -> list[Row[tuple[object, ...]]]:
    return [row for row in stored(engine) if row.arm == arm]


@pytest.mark.parametrize("text", ["models:/m@canary", "=10%", "m=110%", "m=-1%", "m=x", "m=", "m=nan"])
def test_a_canary_needs_a_model_and_a_share(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--canary URI=10%"):
        CanaryOption.parse(text)


def test_a_share_is_written_in_percent_or_as_a_fraction() -> None:
    assert CanaryOption.parse("models:/m@canary=2.5%") == CanaryOption("models:/m@canary", 0.025)
    assert CanaryOption.parse("s3://b/k=v/m=0.5") == CanaryOption("s3://b/k=v/m", 0.5)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_canary_gets_its_share_by_id_and_by_header(share: float) -> None:
    canary = Canary(None, share, "X-User")  # type: ignore[arg-type]
    count = 10_000
    by_id = sum(canary.takes([], new_invocation_id(now_us())) for _ in range(count))
    by_header = sum(canary.takes([(b"x-user", b"%d" % i)], bytes(16)) for i in range(count))
    margin = 5 * (share * (1 - share) / count) ** 0.5 * count
    assert abs(by_id - share * count) <= margin
    assert abs(by_header - share * count) <= margin


def test_the_same_header_value_always_goes_the_same_way() -> None:
    values = [b"user-%d" % i for i in range(10)]
    way = {value: Canary(None, 0.5, "x-user").takes([(b"x-user", value)], bytes(16)) for value in values}  # type: ignore[arg-type]
    assert len(set(way.values())) == 2
    for value, expected in way.items():
        canary = Canary(None, 0.5, "X-USER")  # type: ignore[arg-type]
        ids = [new_invocation_id(now_us()) for _ in range(50)]
        assert {canary.takes([(b"accept", b"*"), (b"x-user", value)], id_) for id_ in ids} == {expected}


def test_arms_answer_are_recorded_and_swapped_each_for_itself(
    scaled: ScaledModels, serve: Serve, engine: Engine
) -> None:
    scaled.point("second", "next")
    scaled.point("other", "challenger")
    flags = (
        "--canary",
        "models:/scaled@next=50%",
        "--canary-header",
        "X-User",
        "--shadow",
        "models:/scaled@challenger",
    )
    server = serve(*flags)
    body = b'{"dataframe_records": [{"x": 3.0, "y": "a"}]}'
    answers = [server.score(body, **{"X-User": str(i % 20)}) for i in range(60)]
    assert all(product(a) == 3 * float(a.headers["x-driftline-model-version"]) for a in answers)
    said = {(a.headers["x-driftline-arm"], a.headers["x-driftline-model-version"]) for a in answers}
    assert said == {("champion", "1"), ("canary", "2")}
    ways = Counter((i % 20, a.headers["x-driftline-arm"]) for i, a in enumerate(answers))
    assert set(ways.values()) == {3}, "a header's value always goes the same way"

    predictions = "driftline_scorer_predictions_total"
    shadow_version = scaled.versions["other"]
    servers.wait_until(lambda: server.metric(predictions, model_version=shadow_version) == 60, what="the shadow")
    requests = "driftline_scorer_request_duration_seconds_count"
    assert server.metric(requests, route="/invocations") == 60
    assert server.metric("driftline_scorer_shadow_skipped_requests_total") == 0

    scaled.point("second", "challenger")  # now canary and shadow are the same version, in arms of their own
    servers.wait_until(lambda: server.metric("driftline_scorer_model_swaps_total") == 1, 60)
    answer = server.score(body, **{"X-User": "0"})
    assert product(answer) == 3 * float(answer.headers["x-driftline-model-version"])
    servers.wait_until(lambda: server.metric("driftline_scorer_tee_records_total", result="enqueued") == 122)
    assert server.stop() == 0

    found = stored(engine)
    by_id = {a.headers["x-driftline-invocation-id"].replace("-", ""): a.headers for a in [*answers, answer]}
    answered = {row.id.hex(): row for row in found if row.arm != Arm.SHADOW}
    assert {id_: (Arm(row.arm).name.lower(), row.version) for id_, row in answered.items()} == {
        id_: (headers["x-driftline-arm"], headers["x-driftline-model-version"]) for id_, headers in by_id.items()
    }
    shadows = rows_of(engine, Arm.SHADOW)
    assert {row.id.hex() for row in shadows} == set(by_id)
    assert Counter(row.version for row in shadows) == {shadow_version: 60, "2": 1}
    assert all((row.status, row.row_count) == (200, 1) for row in shadows)
    assert all(row.received_at > answered[row.id.hex()].received_at for row in shadows)
    with engine.connect() as connection:
        pairs = Counter(tuple(row) for row in connection.execute(text(_DISAGREEMENT)))
    by_champion = sum(headers["x-driftline-arm"] == "champion" for headers in by_id.values())
    assert pairs[(3.0, 3.0 * float(shadow_version))] >= by_champion - 1
    assert pairs.total() == by_champion, "disagreement is a join on the invocation"
    balance = accounts(engine, server.spool_folder)
    assert (balance.answered, balance.spooled) == (122, 0)


@on_sqlite
def test_a_slow_challenger_skips_and_delays_nobody(scaled: ScaledModels, serve: Serve) -> None:
    scaled.point("slow", "challenger")
    server = serve("--shadow", "models:/scaled@challenger", DRIFTLINE_SCORER_SHADOW_QUEUED_REQUESTS="2")
    with Clients(server).sending(2) as clients:
        servers.wait_until(lambda: server.metric("driftline_scorer_shadow_skipped_requests_total") > 20, 60)
    assert clients.failures == []
    assert all(product(answer) == number for number, answer in clients.answers)
    scored = server.metric("driftline_scorer_predictions_total", model_version=scaled.versions["slow"])
    skipped = server.metric("driftline_scorer_shadow_skipped_requests_total")
    assert 0 <= len(clients.answers) - scored - skipped <= 3


@on_sqlite
def test_a_challenger_that_fails_or_ends_harms_nobody(scaled: ScaledModels, serve: Serve, engine: Engine) -> None:
    scaled.point("exiting", "challenger")
    server = serve("--shadow", "models:/scaled@challenger", DRIFTLINE_SCORER_SHADOW_QUEUED_REQUESTS="1")
    for number in range(1, 7):
        if number % 2:
            answer = server.score((BODY % number).encode())
        else:  # which MLflow's own application answers
            answer = server.ask("POST", "/invocations", b"x\n%d\n" % number, {"content-type": "text/csv"})
        assert product(answer) == number
        recorded = 2 * number
        servers.wait_until(
            lambda n=recorded: server.metric("driftline_scorer_tee_records_total", result="enqueued") == n, 60
        )
    assert server.metric("driftline_scorer_shadow_skipped_requests_total") == 0
    assert server.stop() == 0
    assert {row.status for row in rows_of(engine, Arm.CHAMPION)} == {200}
    assert {row.status for row in rows_of(engine, Arm.SHADOW)} == {500}


@on_sqlite
def test_a_canary_that_fails_answers_as_mlflow_would(scaled: ScaledModels, serve: Serve) -> None:
    server = serve("--canary", f"models:/scaled/{scaled.versions['unwilling']}=100%")
    answer = server.score((BODY % 1).encode())
    assert answer.status == 400
    assert json.loads(answer.body)["error_code"] == "BAD_REQUEST"
    assert "no row is good enough" in json.loads(answer.body)["stack_trace"]
    assert answer.headers["x-driftline-arm"] == "canary"
    assert server.ask("GET", "/ping").status == 200


@on_sqlite
def test_headers_of_the_version_can_be_switched_off(scaled: ScaledModels, serve: Serve) -> None:
    answer = serve("--no-version-headers").score((BODY % 1).encode())
    assert product(answer) == 1
    assert not [name for name in answer.headers if name in ("x-driftline-arm", "x-driftline-model-version")]
    assert "x-driftline-invocation-id" in answer.headers
