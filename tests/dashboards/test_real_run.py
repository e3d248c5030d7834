"""Every query of the boards finds data where a real scorer and a real monitor are scraped by a real Prometheus.

Rows that have left the training data are answered, labelled and judged; then the loader stands still, so that records
wait too.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import board_queries
import mlflow
import pytest
import requests
import serve_rig
import servers
import yaml
from monitor_rig import TinyModel, rows, save_reference, sqlite_context, template, tiny, tracking
from scoring_servers import Answer, DriftlineServer, driftline_server

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.training.reference import build

__all__ = ["sqlite_context", "template", "tiny", "tracking"]
pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(180), pytest.mark.thorough]
SHIFTED = rows(50, seed=3, income=3.0).to_dict(orient="split", index=False)
JUDGED = ("driftline_monitor_drift_detected == 1", "driftline_monitor_performance_breached")
MOST_SERIES = 20
RULES = Path(__file__).parents[2] / "alerts" / "driftline.rules.yml"
MAY_BE_EMPTY = {
    "driftline-pipeline: Quarantined A": "no record was quarantined; the panel says 0",
    "driftline-pipeline: Events by fate A": "no other server sends events",
    "driftline-drift: Live and training rows told apart A": "judged every hour, on as many rows",
    "driftline-drift: Findings on data quality A": "judged every hour",
    "driftline-drift: Segments nearest to or above their threshold A": "no hour of the run is over",
    "driftline-drift: Drift by segment A": "no hour of the run is over",
    "driftline-drift: Rows by segment A": "no hour of the run is over",
    "driftline-model: Labelled share of predictions A": "no row is older than labels take",
    "driftline-drift: Rows an hour against the usual A": "there is no whole hour yet",
}


@contextmanager
def monitor(context: JobContext) -> Iterator[int]:
    """Run the monitor's process with a drift job each second; the value is its port."""
    port = servers.free_port()
    environment = os.environ | {
        "DRIFTLINE_HOME": str(context.home), "DRIFTLINE_STORE": str(context.engine.url),
        "DRIFTLINE_MONITOR_DRIFT_INTERVAL_SECONDS": "1", "DRIFTLINE_MONITOR_EXPORT_BINS": "true",
        "DRIFTLINE_PERFORMANCE_INTERVAL_SECONDS": "1",
    }  # fmt: skip
    command = [Path(sys.executable).with_name("driftline"), "monitor", "--port", str(port)]
    with (context.home / "monitor.log").open("wb") as log:
        child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield port
    finally:
        child.kill()
        child.wait()


def configuration(folder: Path, scorer: int, monitor: int) -> Path:
    """Write a configuration that scrapes both each second; one alert always fires, so that boards can show it."""
    rule = {"alert": "DriftlineAlways", "expr": "vector(1)", "labels": {"model_name": "tiny", "severity": "info"}}
    shipped = yaml.safe_load(RULES.read_text())["groups"]
    recorded = [group for group in shipped if group["name"] == "driftline-ratios"]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "always", "rules": [rule]}, *recorded]}))
    jobs = {"driftline-scorer": scorer, "driftline-monitor": monitor}
    scrapes = [{"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job, port in jobs.items()]
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump({"global": every, "rule_files": ["rules.yml"], "scrape_configs": scrapes}))
    return path


def ask(server: DriftlineServer) -> Answer:
    """Ask for predictions, and once so that it fails; return the first answer."""
    answer = server.score(json.dumps({"dataframe_split": SHIFTED}).encode())
    assert answer.status == 200
    assert server.score(b'{"dataframe_split": ').status == 400
    return answer


def label(answer: Answer, monitor_port: int) -> None:
    """Tell the monitor what turned out to be true of each row of an answer."""
    request_id = answer.headers["x-driftline-invocation-id"]
    labels = [
        {"request_id": request_id, "row": row, "label": predicted + (-1) ** row}
        for row, predicted in enumerate(json.loads(answer.body)["predictions"])
    ]
    posted = requests.post(f"http://127.0.0.1:{monitor_port}/labels", json=labels, timeout=60)
    assert posted.json()["rejected"] == 0, posted.text


def empty(prometheus: servers.Prometheus, boards: dict[str, dict[str, Any]]) -> list[str]:
    """Return the queries that find nothing, or nothing but NaN, and should not."""
    found = []
    for uid, board in boards.items():
        for where, expression in board_queries.expressions(board).items():
            samples = prometheus.query(board_queries.filled(expression, "tiny"))
            assert len(samples) <= MOST_SERIES, where
            if f"{uid}: {where}" in MAY_BE_EMPTY:
                continue
            if all(math.isnan(float(sample["value"][1])) for sample in samples):
                found.append(f"{uid}: {where}")
    return found


def test_every_query_finds_data_in_a_real_run(
    sqlite_context: JobContext,
    tiny: TinyModel,
    tracking: mlflow.MlflowClient,
    tmp_path: Path,
    boards: dict[str, dict[str, Any]],
) -> None:
    tracking.set_registered_model_alias("tiny", "champion", "1")
    link, training = MlflowLink(), tiny.training
    target = (training["age"] - 2 * training["income"] + rows(len(training), seed=5)["tenure"]).to_numpy()
    save_reference(sqlite_context, build(link, link.resolve(tiny.uri), training, "training rows", labels=target))
    store = ("--store", str(sqlite_context.engine.url))
    settings = {"MLFLOW_TRACKING_URI": os.environ["MLFLOW_TRACKING_URI"], "DRIFTLINE_SCORER_REGISTRY_POLL_SECONDS": "1"}
    server = driftline_server(tmp_path, "models:/tiny@champion", "home", *store, **settings)
    server.start()
    try:
        with monitor(sqlite_context) as monitor_port:
            scraped = configuration(tmp_path, server.metrics_port, monitor_port)
            with servers.prometheus(tmp_path, scraped) as prometheus:
                server.wait_ready()

                def is_judged() -> bool:
                    label(ask(server), monitor_port)
                    return all(map(prometheus.query, JUDGED))

                servers.wait_until(is_judged, 60, 0.3, "drift and performance were judged")
                loader = serve_rig.loader_of(server)
                assert loader is not None
                with serve_rig.stopped(loader):
                    left: list[str] = []

                    def all_found() -> bool:
                        ask(server)
                        left[:] = empty(prometheus, boards)
                        return not left

                    try:
                        servers.wait_until(all_found, 60, 0.5)
                    except pytest.fail.Exception:
                        pytest.fail(f"no data in a real run: {left}")
    finally:
        server.stop()
