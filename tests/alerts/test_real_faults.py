"""Faults of a real scorer and monitor become notifications, by real Prometheus and Alertmanager, with working links."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import serve_rig
import servers
from alert_rig import Receiver, impatient_rules, receiving, shipped_alertmanager, watched
from monitor_rig import TinyModel, rows, save_reference, sqlite_context, template, tiny, tracking
from prometheus_client.parser import text_string_to_metric_families
from scoring_servers import DriftlineServer, driftline_server, running

from driftline.monitor.jobs.job import JobContext
from driftline.store.metric_catalogue import catalogue_mismatches

__all__ = ["sqlite_context", "template", "tiny", "tracking"]
pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(300), pytest.mark.thorough]
SHIFTED = json.dumps({"dataframe_split": rows(50, seed=3, income=3.0).to_dict(orient="split", index=False)}).encode()
MLFLOW_URL = "http://mlflow.example.org"


@dataclass
class Plant:
    """Everything that runs."""

    server: DriftlineServer
    monitor: subprocess.Popen[bytes]
    monitor_url: str
    prometheus: servers.Prometheus
    receiver: Receiver
    environment: dict[str, str]

    def notified(self, path: str, alert: str, seconds: float = 60) -> dict[str, dict[str, str]]:
        """Wait for the alert's notification and return it."""
        servers.wait_until(lambda: self.receiver.firing(path, alert), seconds, 0.2, what=f"{alert} at {path}")
        found = self.receiver.firing(path, alert)
        assert found is not None
        return found


@pytest.fixture
def plant(sqlite_context: JobContext, tiny: TinyModel, tmp_path: Path) -> Iterator[Plant]:
    """A scorer of ``tiny`` with little room in its spool, and a monitor whose drift job runs each second."""
    save_reference(sqlite_context, tiny)
    store = str(sqlite_context.engine.url)
    server = driftline_server(
        tmp_path, "models:/tiny/1", "scorer", "--store", store, MLFLOW_TRACKING_URI=os.environ["MLFLOW_TRACKING_URI"],
        DRIFTLINE_SPOOL_MIN_FREE_BYTES="0", DRIFTLINE_SPOOL_MAX_BYTES=str(4 << 20),
        DRIFTLINE_SPOOL_RING_BYTES=str(1 << 20), DRIFTLINE_SPOOL_OVERFLOW_BYTES=str(1 << 20),
        DRIFTLINE_SPOOL_SEGMENT_BYTES=str(1 << 20),
    )  # fmt: skip
    environment = os.environ | {
        "DRIFTLINE_HOME": str(sqlite_context.home), "DRIFTLINE_STORE": store,
        "DRIFTLINE_MONITOR_DRIFT_INTERVAL_SECONDS": "1", "DRIFTLINE_MONITOR_MLFLOW_URL": MLFLOW_URL,
    }  # fmt: skip
    with (
        running(server),
        monitoring(environment, sqlite_context.home / "monitor.log") as (monitor, port),
        receiving() as receiver,
        servers.alertmanager(tmp_path, shipped_alertmanager(tmp_path, receiver)) as alertmanager,
        watched(
            tmp_path, alertmanager.url, {"driftline-scorer": server.metrics_port, "driftline-monitor": port},
            impatient_rules(tmp_path, f"http://127.0.0.1:{port}"),
        ) as prometheus,
    ):  # fmt: skip
        yield Plant(server, monitor, f"http://127.0.0.1:{port}", prometheus, receiver, environment)


@contextmanager
def monitoring(environment: dict[str, str], log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = servers.free_port()
    command = [Path(sys.executable).with_name("driftline"), "monitor", "--port", str(port)]
    with log.open("wb") as output:
        child = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        servers.wait_until(lambda: servers.listens(port), 60, what="the monitor listens")
        yield child, port
    finally:
        child.kill()
        child.wait()


def test_shifted_traffic_becomes_a_notification_whose_links_work_and_all_that_is_documented_is_exported(
    plant: Plant,
) -> None:
    drifted = "driftline_monitor_drift_consecutive_windows >= 2"

    def judged() -> object:
        assert plant.server.score(SHIFTED).status == 200
        return plant.prometheus.query(drifted)

    servers.wait_until(judged, 60, 0.2, what="two windows drifted")
    alert = plant.notified("/model-team", "DriftlineDrift")
    assert (alert["labels"]["model_name"], alert["labels"]["severity"]) == ("tiny", "warning")
    assert "income is at" in alert["annotations"]["description"]

    report = alert["annotations"]["report"]
    assert report.startswith(plant.monitor_url)
    made = subprocess.run(
        [Path(sys.executable).with_name("driftline"), "report", "tiny", "--to-mlflow"],
        env=plant.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    answer = requests.get(report, timeout=60, allow_redirects=False)
    assert answer.status_code == 302
    assert re.fullmatch(rf"{MLFLOW_URL}/#/experiments/\d+/runs/\w+", answer.headers["location"])
    boards = Path(__file__).parents[2] / "dashboards"
    link = urlsplit(alert["annotations"]["dashboard"])
    assert (boards / f"{Path(link.path).name}.json").exists()
    assert parse_qs(link.query)["var-model_name"] == ["tiny"]
    # Rules that wait for a second only may page of a machine that was busy at the start, but never of drift.
    paged = {each["labels"]["alertname"] for body in plant.receiver.bodies("/page") for each in body["alerts"]}
    assert not [name for name in paged if "Drift" in name.removeprefix("Driftline")]

    for component, page in (
        ("scorer", plant.server.metrics_text()),
        ("monitor", requests.get(f"{plant.monitor_url}/metrics", timeout=60).text),
    ):
        wrong = catalogue_mismatches(component, text_string_to_metric_families(page))  # type: ignore[arg-type]
        assert [each for each in wrong if "driftline_scorer_registry_" not in each] == []  # a version cannot move


@pytest.mark.slow
def test_a_loader_that_is_killed_again_and_again_is_told_of(plant: Plant) -> None:
    def killed_anew() -> object:
        if (loader := serve_rig.loader_of(plant.server)) is not None:
            os.kill(loader, signal.SIGKILL)
        return plant.receiver.firing("/platform", "DriftlineLoaderFailing")

    servers.wait_until(killed_anew, 120, 0.5, what="the loader's alert")
    alert = plant.notified("/platform", "DriftlineLoaderFailing")
    assert alert["labels"]["instance"] == f"127.0.0.1:{plant.server.metrics_port}"
    assert plant.server.score(SHIFTED).status == 200


@pytest.mark.slow
def test_a_stopped_monitor_pages(plant: Plant) -> None:
    servers.wait_until(lambda: plant.prometheus.query('up{job="driftline-monitor"} == 1'), what="it is scraped")
    os.kill(plant.monitor.pid, signal.SIGSTOP)
    try:
        alert = plant.notified("/page", "DriftlineMonitorDown")
    finally:
        os.kill(plant.monitor.pid, signal.SIGCONT)
    assert alert["labels"]["severity"] == "critical"
    assert plant.server.score(SHIFTED).status == 200


@pytest.mark.slow
def test_a_full_spool_pages_and_what_it_loses_is_told_of(plant: Plant) -> None:
    loader = serve_rig.loader_of(plant.server)
    assert loader is not None
    with serve_rig.stopped(loader):

        def overfilled() -> object:
            assert plant.server.score(SHIFTED).status == 200
            return plant.server.metric("driftline_scorer_tee_dropped_records_total") > 0

        servers.wait_until(overfilled, 120, 0.001, what="the spool is full")
        full = plant.notified("/page", "DriftlineSpoolAlmostFull")
        lost = plant.notified("/model-team", "DriftlineTeeDroppingRecords")
    assert full["labels"]["instance"] == lost["labels"]["instance"] == f"127.0.0.1:{plant.server.metrics_port}"
    assert plant.server.score(SHIFTED).status == 200
