"""The Datadog Agent's own check collects what the shipped file means it to, from pages of every exported metric."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import series
import yaml
from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server

from driftline.store.metric_catalogue import load_catalogue

pytest.importorskip("datadog_checks.base", reason="the Agent's checks are not installed: run `make datadog`")

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.base.stubs import aggregator

pytestmark = pytest.mark.datadog
SHIPPED = Path(__file__).parents[2] / "deploy" / "datadog" / "openmetrics.yaml"
INSTANCES: dict[str, dict[str, Any]] = dict(
    zip(("scorer", "monitor"), yaml.safe_load(SHIPPED.read_text())["instances"], strict=True)
)
RAW = {"scorer_tee_oldest_pending_timestamp_seconds", "monitor_drift_since_timestamp_seconds"}
LEFT_OUT = ("_build_info", "_bin_ratio")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A page with every exported metric, as the client library serves it."""
    disable_created_metrics()
    registry = CollectorRegistry()
    registry.register(series.Page())
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module", params=[True, False], ids=["openmetrics", "text"])
def collected(request: pytest.FixtureRequest, endpoint: str) -> dict[str, list[Any]]:
    """What both instances submit, by name without the namespace; counts need two runs."""
    aggregator.reset()
    for instance in INSTANCES.values():
        mine = {**instance, "openmetrics_endpoint": endpoint, "use_latest_spec": request.param}
        check = OpenMetricsBaseCheckV2("openmetrics", {}, [mine])
        check.run()
        time.sleep(1.1)  # the page's counters are the clock's seconds
        assert check.run() == ""
    known = {name.replace("driftline_", "driftline.", 1) for name in load_catalogue()}
    stubs = {n: [*aggregator.metrics(n), *aggregator.histogram_bucket(n)] for n in {*aggregator.metric_names, *known}}
    return {name.removeprefix("driftline."): found for name, found in stubs.items() if found}


def test_every_exported_metric_arrives_and_what_is_left_out_does_not(collected: dict[str, list[Any]]) -> None:
    for metric in load_catalogue().values():
        if not metric.exported:
            continue
        name = metric.name.removeprefix("driftline_")
        suffix = {"counter": ".count", "gauge": "", "histogram": ".count"}[metric.type]
        arrives = f"{name.removesuffix('_total')}{suffix}" in collected
        assert arrives is not name.endswith(LEFT_OUT), name


def test_timestamps_are_ages_but_where_zero_means_nothing(collected: dict[str, list[Any]]) -> None:
    stamps = {name: stubs for name, stubs in collected.items() if name.endswith("_timestamp_seconds")}
    assert stamps.keys() > RAW
    for name, stubs in stamps.items():
        for stub in stubs:
            assert (stub.value > 1e9 or stub.value == 0) if name in RAW else 55 < stub.value < 120, name


def test_no_counter_holds_the_time_of_its_creation(collected: dict[str, list[Any]]) -> None:
    counts = [stub for name, stubs in collected.items() if name.endswith(".count") for stub in stubs]
    assert counts
    assert all(stub.value < 1e9 for stub in counts)


def test_buckets_become_distributions(collected: dict[str, list[Any]]) -> None:
    assert collected["scorer_request_duration_seconds"]


def test_no_tag_is_one_that_the_agent_keeps_for_itself(collected: dict[str, list[Any]]) -> None:
    tags = {tag.split(":", 1)[0] for stubs in collected.values() for stub in stubs for tag in stub.tags}
    assert not tags & {"version", "env", "host", "service", "cluster", "cluster_name"}
    assert {"model_name", "model_version", "feature"} <= tags


def test_a_pattern_with_the_prefix_would_collect_nothing(endpoint: str) -> None:
    aggregator.reset()
    mine = {**INSTANCES["monitor"], "openmetrics_endpoint": endpoint, "metrics": ["^driftline_monitor_.+"]}
    OpenMetricsBaseCheckV2("openmetrics", {}, [mine]).run()
    assert not [name for name in aggregator.metric_names if name.startswith("driftline.monitor")]
