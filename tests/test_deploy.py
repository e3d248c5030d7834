"""The configurations of other agents in deploy/: their parts fit together and name the jobs and metrics that exist.

The Datadog file is tested with the Agent's own check (`make datadog`). The Collector is not among the servers that the
tests have: its receiver's part is checked as what it is, a Prometheus configuration; the rest by its structure.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import servers
import yaml

from driftline.store.metric_catalogue import load_catalogue

ROOT = Path(__file__).parents[1]
COLLECTOR: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "opentelemetry" / "collector.yaml").read_text())
RECEIVED: dict[str, Any] = COLLECTOR["receivers"]["prometheus"]["config"]


@pytest.mark.prometheus
def test_promtool_accepts_what_the_collectors_receiver_gets(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(RECEIVED))
    command = [servers.require("promtool"), "check", "config", tmp_path / "prometheus.yml"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_receiver_is_given_nothing_that_it_refuses() -> None:
    assert not RECEIVED.keys() & {"alerting", "rule_files", "remote_write", "remote_read"}


def test_the_jobs_have_the_names_that_rules_and_dashboards_ask_for() -> None:
    shipped = yaml.safe_load((ROOT / "alerts" / "prometheus.yml").read_text())["scrape_configs"]
    ports = {job["job_name"]: job["static_configs"][0]["targets"][0].split(":")[1] for job in shipped}
    found = {
        job["job_name"]: job["static_configs"][0]["targets"][0].split(":")[1] for job in RECEIVED["scrape_configs"]
    }
    assert found == ports


def test_relabelling_drops_the_bins_and_nothing_else_of_the_catalogue() -> None:
    steps = [step for job in RECEIVED["scrape_configs"] for step in job.get("metric_relabel_configs", [])]
    assert [(step["action"], step["source_labels"]) for step in steps] == [("drop", ["__name__"])]
    names = {name for metric in load_catalogue().values() for name in metric.series_names}
    dropped = {name for name in names if re.fullmatch(steps[0]["regex"], name)}
    assert dropped == {name for name in names if name.endswith("_bin_ratio")} != set()


def test_every_part_of_a_pipeline_is_defined_and_used() -> None:
    pipelines = COLLECTOR["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines for name in pipeline[kind]} == set(COLLECTOR[kind])


def test_no_secret_stands_in_the_files() -> None:
    exporter = COLLECTOR["exporters"]["otlphttp"]
    values = [exporter["endpoint"], *exporter["headers"].values()]
    assert all(re.fullmatch(r"\$\{env:\w+\}", value) for value in values)
