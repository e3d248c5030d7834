"""Who is let in, by a server with everything shut, and who by one without a word about doors."""

import asyncio
import json
import os
import ssl
import urllib.error
from pathlib import Path

import pytest
import servers
from guarded_servers import METRICS_TOKEN, RATE_LIMIT_BURST, TOKENS, GuardedServer
from scoring_corpus import WEBSOCKET
from scoring_servers import JSON, Answer, DriftlineServer
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from driftline.scorer.asgi_types import Receive, Scope, Send
from driftline.scorer.door import Door
from driftline.scorer.rate_limit import RateLimit
from driftline.store.bearer_tokens import BearerTokens

pytestmark = pytest.mark.thorough

GOOD = b'{"dataframe_records": [{"a": 1.0, "b": 2.0}]}'
REJECTED = "driftline_scorer_rejected_requests_total"


def _as(token: str) -> dict[str, str]:
    return {**JSON, "authorization": f"Bearer {token}"}


def _nobody(server: GuardedServer, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    return server.ask(method, path, body, {"authorization": "", **headers})


def _wait_recorded(server: GuardedServer, answer: Answer) -> None:
    wanted = answer.headers["x-driftline-invocation-id"].replace("-", "")
    servers.wait_until(lambda: wanted in {i.id.hex() for i in server.invocations()}, 60, what="the invocation's record")


def test_a_known_token_scores(guarded: GuardedServer) -> None:
    answer = guarded.score(GOOD)
    assert (answer.status, answer.body) == (200, b'{"predictions": [false]}')


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer wrong", f"Basic {TOKENS['door']}", f"Bearer {METRICS_TOKEN}"]
)
def test_no_other_token_does_and_the_answer_tells_what_to_send(guarded: GuardedServer, authorization: str) -> None:
    answer = guarded.ask("POST", "/invocations", GOOD, {**JSON, "authorization": authorization})
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/json"
    error = json.loads(answer.body)
    assert error["error_code"] == "UNAUTHENTICATED"
    assert "Authorization: Bearer" in error["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/"), ("GET", "/nowhere"), ("GET", "/invocations"),
        ("POST", "/invocations/"), ("POST", "//invocations"), ("POST", "/INVOCATIONS"), ("GET", "/ping/"),
        ("GET", "/ping/../invocations"), ("GET", "/%70ing/x"), ("OPTIONS", "/invocations"),
    ],
)  # fmt: skip
def test_every_other_path_asks_for_a_token_too(guarded: GuardedServer, method: str, path: str) -> None:
    assert _nobody(guarded, method, path).status == 401


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/ping", "/health"])
def test_signs_of_life_ask_for_nothing(guarded: GuardedServer, method: str, path: str) -> None:
    assert _nobody(guarded, method, path).status == 200
    assert _nobody(guarded, "GET", "/version").status == 200


def test_signs_of_life_are_kept_behind_the_door_where_that_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("alice:token-of-alice\n")
    tokens = BearerTokens(file, "--token-file")
    nobody, alice = ({"headers": headers} for headers in ([], [(b"authorization", b"Bearer token-of-alice")]))
    for path in ("/ping", "/health", "/version"):
        shut = Door(tokens, protect_health=True)
        assert shut.refusal(nobody, path) is not None
        assert shut.refusal(alice, path) is None
        assert Door(tokens).refusal(nobody, path) is None


def test_who_has_no_token_is_counted_and_not_recorded(guarded: GuardedServer) -> None:
    durations = "driftline_scorer_request_duration_seconds_count"
    before = guarded.metric(REJECTED, reason="unauthorized")
    answered_before = guarded.metric(durations, route="/invocations", code="401")
    answers = [_nobody(guarded, "POST", "/invocations", GOOD, **{"x-request-id": "nobody"}) for _ in range(20)]
    _wait_recorded(guarded, guarded.score(GOOD))
    assert 401 not in {invocation.status for invocation in guarded.invocations()}
    assert all("x-driftline-invocation-id" not in answer.headers for answer in answers)
    assert guarded.metric(REJECTED, reason="unauthorized") == before + 20
    assert guarded.metric(durations, route="/invocations", code="401") == answered_before + 20


@pytest.mark.parametrize("path", ["/invocations", "/nowhere", "/"])
def test_a_websocket_asks_for_a_token_too(guarded: GuardedServer, path: str) -> None:
    before = guarded.metric(REJECTED, reason="unauthorized")
    refused = _nobody(guarded, "GET", path, **WEBSOCKET)
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert json.loads(refused.body)["error_code"] == "UNAUTHENTICATED"
    assert guarded.metric(REJECTED, reason="unauthorized") == before + 1
    assert guarded.ask("GET", path, headers=WEBSOCKET).status in (403, 404, 405), "MLflow's answer, see the corpus"


def test_who_asks_too_often_is_told_when_to_come_again_and_others_go_on(guarded: GuardedServer) -> None:
    before = guarded.metric(REJECTED, reason="overload")
    statuses = [
        guarded.ask("POST", "/invocations", b"{}", _as(TOKENS["greedy"])).status for _ in range(RATE_LIMIT_BURST)
    ]
    assert set(statuses) == {400}
    answer = guarded.ask("POST", "/invocations", GOOD, _as(TOKENS["greedy"]))
    assert answer.status == 429
    assert 0 < int(answer.headers["retry-after"]) <= 1000
    assert json.loads(answer.body)["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert guarded.metric(REJECTED, reason="overload") == before + 1
    assert guarded.ask("GET", "/ping", headers=_as(TOKENS["greedy"])).status == 200
    other = guarded.ask("POST", "/invocations", GOOD, _as(TOKENS["modest"]))
    assert other.status == 200
    _wait_recorded(guarded, other)
    assert 429 not in {invocation.status for invocation in guarded.invocations()}


def test_without_tokens_the_address_has_the_bucket() -> None:
    door = Door(rate=RateLimit(0.001, 1))

    def refused(address: str) -> bool:
        return door.refusal({"headers": [], "client": (address, 4711)}, "/invocations") is not None

    assert [refused("10.0.0.1"), refused("10.0.0.1"), refused("10.0.0.2")] == [False, True, False]
    assert [door.refusal({"headers": [], "client": None}, "/invocations") is None for _ in range(2)] == [True, False]


@pytest.mark.parametrize(("proxy", "callers"), [("10.0.0.9", 2), ("10.0.0.8", 1)])
def test_a_forwarded_address_is_believed_of_trusted_proxies_only(proxy: str, callers: int) -> None:
    door = Door(rate=RateLimit(0.001, 1))
    let_in = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        let_in.append(door.refusal(scope, "/invocations") is None)

    uvicorns = ProxyHeadersMiddleware(application, trusted_hosts="10.0.0.9")
    for address in (b"192.0.2.1", b"192.0.2.2", b"192.0.2.1"):
        scope = {"type": "http", "client": (proxy, 4711), "headers": [(b"x-forwarded-for", address)]}
        asyncio.run(uvicorns(scope, None, None))
    assert sum(let_in) == callers


def test_a_token_that_is_taken_out_of_the_file_opens_nothing_any_more(guarded: GuardedServer) -> None:
    def status() -> int:
        return guarded.ask("POST", "/invocations", GOOD, _as(TOKENS["fleeting"])).status

    assert status() == 200
    text = guarded.token_file.read_text()
    new = guarded.token_file.with_name("new")
    new.write_text(text.replace(f"fleeting:{TOKENS['fleeting']}\n", ""))
    os.replace(new, guarded.token_file)
    servers.wait_until(lambda: status() == 401, 60, 0.2, "the worker has read the file again")
    assert guarded.score(GOOD).status == 200


def test_no_token_is_in_a_log_or_in_the_process_list(guarded: GuardedServer) -> None:
    guarded.score(GOOD)
    told = [guarded.log.read_bytes()]
    for pid in (guarded.process.pid, *guarded.family()):
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as file:
                told.append(file.read())
    for token in (*TOKENS.values(), METRICS_TOKEN):
        assert token.encode() not in b"".join(told)


def test_the_metrics_have_tokens_of_their_own(guarded: GuardedServer) -> None:
    assert "driftline_scorer_build_info" in guarded.scrape(f"Bearer {METRICS_TOKEN}")
    for authorization in ("", "Bearer wrong", f"Bearer {TOKENS['door']}"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            guarded.scrape(authorization)
        assert (refused.value.code, refused.value.headers["www-authenticate"]) == (401, "Bearer")
        refused.value.close()


@pytest.mark.prometheus
def test_prometheus_scrapes_with_a_token_and_a_certificate(guarded: GuardedServer, tmp_path: Path) -> None:
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: scorer
    scheme: https
    authorization: {{credentials_file: {guarded.files / "metrics-tokens"}}}
    tls_config:
      ca_file: {guarded.files / "ca.pem"}
      cert_file: {guarded.files / "client.pem"}
      key_file: {guarded.files / "client.key"}
    static_configs: [{{targets: ["127.0.0.1:{guarded.metrics_port}"]}}]
""")
    with servers.prometheus(tmp_path, configuration) as prometheus:
        servers.wait_until(lambda: prometheus.query("driftline_scorer_model_ready == 1"), 60, what="a scrape")


def test_who_shows_no_certificate_is_not_let_in(guarded: GuardedServer) -> None:
    own = guarded.tls
    guarded.tls = ssl.create_default_context()
    guarded.tls.check_hostname, guarded.tls.verify_mode = False, ssl.CERT_NONE
    try:
        for ask in (lambda: guarded.ask("GET", "/ping"), lambda: guarded.scrape(f"Bearer {METRICS_TOKEN}")):
            with pytest.raises(OSError) as refused:  # noqa: PT011 - an alert or an end, as far as the handshake came
                ask()
            assert not isinstance(refused.value, urllib.error.HTTPError)
    finally:
        guarded.tls = own


def test_a_server_without_tokens_and_rate_lets_all_in(limited: DriftlineServer) -> None:
    assert {limited.score(GOOD).status for _ in range(2 * RATE_LIMIT_BURST)} == {200}
    assert limited.ask("POST", "/invocations", GOOD, {**JSON, "authorization": "Bearer whatever"}).status == 200
