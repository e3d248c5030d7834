"""The shipped rules and routes on a real Prometheus and Alertmanager, with a receiver of notifications on loopback."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import servers
import yaml
from rule_cases import ALERTS, RULES

PLACEHOLDER = "http://localhost:9099"
ALWAYS = [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]
NEVER = [{"years": ["1999"]}]


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
        return [body for at, body in list(self.received) if at == path]

    def firing(self, path: str, alert: str) -> dict[str, Any] | None:
        """Return the alert as it was first received at ``path``; None while it was not."""
        alerts = (each for body in self.bodies(path) for each in body["alerts"] if each["status"] == "firing")
        return next((each for each in alerts if each["labels"]["alertname"] == alert), None)


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()


def shipped_alertmanager(folder: Path, receiver: Receiver, hours: list[dict[str, Any]] | None = None) -> Path:
    """The shipped configuration with our receiver in the place of the placeholders, and shorter waits.

    Args:
        hours: the working hours; at any time unless given, so that a test does not depend on when it runs.
    """
    config = yaml.safe_load((ALERTS / "alertmanager.yml").read_text())
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    config["time_intervals"] = [{"name": "working-hours", "time_intervals": hours or ALWAYS}]
    for each in config["receivers"]:
        for webhook in each.get("webhook_configs", []):
            webhook["url"] = webhook["url"].replace(PLACEHOLDER, receiver.url)
        if each["name"] == "model-team":  # the texts of driftline.tmpl go out through it
            each["slack_configs"] = [
                {
                    "api_url": f"{receiver.url}/slack",
                    "channel": "#models",
                    "title": '{{ template "driftline.title" . }}',
                    "text": '{{ template "driftline.text" . }}{{ template "driftline.html" . }}',
                }
            ]
    config["templates"] = [str(ALERTS / "*.tmpl")]
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def impatient_rules(folder: Path, monitor_url: str) -> Path:
    """The shipped rules with waits of a second and the monitor's real address in their links."""
    text = RULES.read_text().replace("http://localhost:9108", monitor_url)
    path = folder / "impatient.rules.yml"
    path.write_text(re.sub(r"^(        for: )(?!0s)\w+$", r"\g<1>1s", text, flags=re.M))
    return path


@contextmanager
def watched(
    folder: Path, alertmanager_url: str, targets: Mapping[str, int], rules: Path = RULES
) -> Iterator[servers.Prometheus]:
    """Prometheus with the rules, which scrapes the ports of the jobs each second."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job, port in targets.items()
        ],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager_url.removeprefix("http://")]}]}]},
    }
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    with servers.prometheus(folder, path) as prometheus:
        yield prometheus
