"""The metrics endpoint: Prometheus takes it, and it says what the catalogue says."""

import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import servers
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from scoring_servers import DriftlineServer, ScoringServer
from serve_rig import loader_of, serving

from driftline.store.metric_catalogue import catalogue_mismatches

pytestmark = pytest.mark.thorough

Pairs = dict[str, tuple[ScoringServer, DriftlineServer]]
GOOD = b'{"dataframe_records": [{"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 1.0}]}'


@pytest.fixture(scope="module")
def server(pairs: Pairs) -> DriftlineServer:
    """A server that has answered, refused and failed."""
    server = pairs["linear"][1]
    for body in (GOOD, b"nonsense", b'{"dataframe_records": [{"a": 1.0}]}'):
        server.score(body)
    for path in ("/ping", "/nowhere"):
        server.ask("GET", path)
    return server


@pytest.mark.prometheus
def test_promtool_finds_nothing_to_complain_about(server: DriftlineServer) -> None:
    promtool = servers.require("promtool")
    done = subprocess.run([promtool, "check", "metrics"], input=server.metrics_text(), capture_output=True, text=True)  # noqa: PLW1510
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_endpoint_and_the_catalogue_agree(server: DriftlineServer) -> None:
    assert catalogue_mismatches("scorer", text_string_to_metric_families(server.metrics_text())) == []


def test_no_series_tells_when_it_was_created(server: DriftlineServer) -> None:
    assert "_created{" not in server.metrics_text()


def test_openmetrics_is_served_to_those_who_ask_for_it(server: DriftlineServer) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.metrics_port}/metrics", headers={"Accept": "application/openmetrics-text"}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert list(parse_openmetrics(answer.read().decode()))


def test_rows_lead_to_the_run_that_trained_the_model(
    server: DriftlineServer, model_ids: dict[str, dict[str, str]]
) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.metrics_port}/metrics", headers={"Accept": "application/openmetrics-text"}
    )
    with urllib.request.urlopen(request) as answer:
        families = list(parse_openmetrics(answer.read().decode()))
    (rows,) = [s for f in families for s in f.samples if s.name == "driftline_scorer_predictions_total"]
    assert rows.exemplar is not None
    assert rows.exemplar.labels == {"mlflow_run_id": model_ids["linear"]["run_id"]}


def test_a_killed_loaders_counts_go_on_and_its_start_is_counted(models: Path, tmp_path: Path) -> None:
    with serving(models, tmp_path / "home", f"sqlite:///{tmp_path / 'store.sqlite'}") as server:

        def stored() -> float:
            return server.metric("driftline_scorer_tee_flushes_total", result="success")

        assert server.metric("driftline_scorer_loader_up") == 1
        for starts in (1, 2):
            before = stored()
            server.score(GOOD)
            servers.wait_until(lambda seen=before: stored() > seen, what="no batch was counted")
            assert server.metric("driftline_scorer_tee_last_success_timestamp_seconds") > 0
            assert server.metric("driftline_scorer_loader_starts_total") == starts
            loader = loader_of(server)
            assert loader is not None
            os.kill(loader, signal.SIGKILL)
            servers.wait_until(
                lambda seen=starts: server.metric("driftline_scorer_loader_starts_total") > seen, what="no new loader"
            )


def test_two_replicas_on_one_store_count_each_its_own_and_add_up(models: Path, tmp_path: Path) -> None:
    store, name = f"sqlite:///{tmp_path / 'store.sqlite'}", "driftline_scorer_tee_records_total"
    with serving(models, tmp_path / "a", store) as first, serving(models, tmp_path / "b", store) as second:
        for replica, requests in ((first, 3), (second, 5)):
            for _ in range(requests):
                replica.score(GOOD)
        servers.wait_until(lambda: first.metric(name, result="stored") == 3, what="the first's are stored")
        servers.wait_until(lambda: second.metric(name, result="stored") == 5, what="the second's are stored")
        assert [each.metric(name, result="answered") for each in (first, second)] == [3, 5]
        rows = [each.metric("driftline_scorer_predictions_total") for each in (first, second)]
        assert rows == [6, 10]


def test_the_scoring_port_has_no_metrics(server: DriftlineServer) -> None:
    assert server.ask("GET", "/metrics").status == 404


def test_requests_are_counted_by_route_and_code(server: DriftlineServer) -> None:
    name = "driftline_scorer_request_duration_seconds_count"
    for method, path, body, route, code in (
        ("POST", "/invocations", GOOD, "/invocations", "200"),
        ("POST", "/invocations", b"{}", "/invocations", "400"),
        ("GET", "/invocations", None, "/invocations", "405"),
        ("GET", "/ping", None, "/ping", "200"),
        ("GET", "/no/such/path", None, "other", "404"),
    ):
        before = server.metric(name, route=route, code=code)
        server.ask(method, path, body, {"content-type": "application/json"})
        assert server.metric(name, route=route, code=code) == before + 1


def test_rows_and_refusals_are_counted(server: DriftlineServer) -> None:
    def counts() -> list[float]:
        rejected = "driftline_scorer_rejected_requests_total"
        return [
            server.metric("driftline_scorer_predictions_total", model_name="linear", model_version="1"),
            server.metric(rejected, reason="schema"),
            server.metric(rejected, reason="malformed"),
            server.metric(rejected, reason="timeout"),
        ]

    before = counts()
    server.score(GOOD)
    server.score(b'{"dataframe_records": [{"a": 1.0}]}')
    server.score(b"nonsense")
    server.ask("POST", "/invocations", b"", {"content-type": "text/plain"})
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [2, 1, 2, 0]


def test_what_the_store_does_not_take_is_pending(server: DriftlineServer) -> None:
    enqueued = server.metric("driftline_scorer_tee_records_total", result="enqueued")
    assert enqueued > 0
    servers.wait_until(lambda: server.metric("driftline_scorer_tee_pending_records") >= enqueued, what="pending")
    assert 'result="stored"' not in server.metrics_text(), "told although the database never answered"
    assert server.metric("driftline_scorer_tee_oldest_pending_timestamp_seconds") > 0
    assert server.metric("driftline_scorer_spool_bytes") > 0


def test_a_version_that_cannot_move_is_in_sync_and_no_registry_is_asked(server: DriftlineServer) -> None:
    assert server.metric("driftline_scorer_model_in_sync", model_name="linear") == 1
    samples = [line for line in server.metrics_text().splitlines() if not line.startswith("#")]
    assert not [line for line in samples if line.startswith("driftline_scorer_registry_last_success")]


def test_the_model_is_named(server: DriftlineServer) -> None:
    assert server.metric("driftline_scorer_model_info", model_name="linear", model_version="1", flavor="sklearn") == 1
    assert server.metric("driftline_scorer_model_ready", model_name="linear") == 1
    loaded = server.metric("driftline_scorer_model_loaded_timestamp_seconds")
    assert loaded > server.metric("driftline_scorer_model_created_timestamp_seconds") > 0
