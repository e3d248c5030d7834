"""Drift becomes a notification: real Prometheus, real Alertmanager, a receiver on loopback."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import series
import servers
import yaml
from prometheus_client import CollectorRegistry, start_http_server

pytestmark = pytest.mark.prometheus


class Receiver:
    """Keeps the JSON of every request by its path."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((self.path, json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for at, body in self.received if at == path]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


@pytest.fixture
def page() -> Iterator[tuple[series.Page, int]]:
    registry, page, port = CollectorRegistry(), series.Page(), servers.free_port()
    registry.register(page)
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    yield page, port
    server.shutdown()
    thread.join()
    server.server_close()


def shipped_alertmanager(alerts_folder: Path, folder: Path, receiver: Receiver) -> Path:
    """The shipped configuration with our receiver in the place of the placeholders, and shorter waits."""
    config = yaml.safe_load((alerts_folder / "alertmanager.yml").read_text())
    config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    for each in config["receivers"]:
        for webhook in each.get("webhook_configs", []):
            webhook["url"] = webhook["url"].replace("http://localhost:9099", receiver.url)
        if each["name"] == "model-team":  # the texts of driftline.tmpl go out through it
            each["slack_configs"] = [
                {
                    "api_url": f"{receiver.url}/slack",
                    "channel": "#models",
                    "title": '{{ template "driftline.title" . }}',
                    "text": '{{ template "driftline.text" . }}',
                }
            ]
    config["templates"] = [str(alerts_folder / "*.tmpl")]
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def watched(alerts_folder: Path, folder: Path, alertmanager_url: str, port: int) -> Iterator[servers.Prometheus]:
    """Prometheus with the shipped rules, which scrapes the page each second."""
    address = alertmanager_url.removeprefix("http://")
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(alerts_folder / "driftline.rules.yml")],
        "scrape_configs": [
            {"job_name": "driftline-monitor", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},
        ],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [address]}]}]},
    }
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    with servers.prometheus(folder, path) as prometheus:
        yield prometheus


@pytest.mark.timeout(120)
def test_drift_becomes_a_notification_with_runbook_and_links_within_40_seconds(
    alerts_folder: Path, tmp_path: Path, receiver: Receiver, page: tuple[series.Page, int]
) -> None:
    exporter, port = page
    config = shipped_alertmanager(alerts_folder, tmp_path, receiver)
    with (
        servers.alertmanager(tmp_path, config) as alertmanager,
        watched(alerts_folder, tmp_path, alertmanager.url, port) as prometheus,
    ):
        query = "driftline_monitor_drift_consecutive_windows"
        servers.wait_until(lambda: prometheus.query(query), what="the page is scraped")
        assert not prometheus.query("ALERTS")

        exporter.drifted, began = True, time.monotonic()
        servers.wait_until(lambda: receiver.bodies("/model-team") and receiver.bodies("/slack"), seconds=40)
        assert time.monotonic() - began < 40

    alert = receiver.bodies("/model-team")[0]["alerts"][0]
    assert alert["labels"]["alertname"] == "DriftlineDrift"
    assert alert["labels"]["model_name"] == series.MODEL
    assert alert["annotations"]["runbook_url"] == "http://localhost:3000/d/driftline-runbooks?viewPanel=2"
    assert alert["annotations"]["dashboard"].endswith("/d/driftline-model?var-model_name=fare+model%2F1")
    assert alert["annotations"]["report"].endswith("/r/fare%20model%2F1/report/latest")
    message = json.dumps(receiver.bodies("/slack")[0])
    for part in (
        f"{series.MODEL}: DriftlineDrift",
        "is at 3.1 times its threshold",
        "Runbook: http",
        "Dashboard: http",
    ):
        assert part in message
    assert not receiver.bodies("/page")


def alert_as_json(name: str, **labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, "severity": "warning", **labels}, "annotations": {}}


def test_a_stale_drift_job_mutes_the_drift_of_its_own_model_only(
    alerts_folder: Path, tmp_path: Path, receiver: Receiver
) -> None:
    with servers.alertmanager(tmp_path, shipped_alertmanager(alerts_folder, tmp_path, receiver)) as alertmanager:
        alerts = [
            alert_as_json("DriftlineDriftJobStale", model_name="stale"),
            alert_as_json("DriftlineDrift", model_name="stale", model_version="1"),
            alert_as_json("DriftlineDrift", model_name="fresh", model_version="1"),
        ]
        assert requests.post(f"{alertmanager.url}/api/v2/alerts", json=alerts, timeout=10).ok

        def muted() -> dict[tuple[str, str], bool]:
            return {
                (a["labels"]["alertname"], a["labels"]["model_name"]): bool(a["status"]["inhibitedBy"])
                for a in alertmanager.get("/api/v2/alerts")
            }

        servers.wait_until(lambda: any(muted().values()), seconds=10)
        assert muted() == {
            ("DriftlineDriftJobStale", "stale"): False,
            ("DriftlineDrift", "stale"): True,
            ("DriftlineDrift", "fresh"): False,
        }
