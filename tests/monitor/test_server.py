"""The monitor as a process and as pages."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests
import servers
import uvicorn
from monitor_rig import TinyModel, rows, save_reference, send
from sqlalchemy import select, update

from driftline.monitor.jobs import drift_job
from driftline.monitor.jobs.job import JobContext, JobReport
from driftline.monitor.jobs.schedule import Job, Schedule, _every, jobs, run_job
from driftline.monitor.metrics.collector import MonitorCollector, exposition
from driftline.monitor.report import kept_reports
from driftline.monitor.report.drift_report import DriftReport
from driftline.monitor.rows import results
from driftline.monitor.status import StatusReader
from driftline.monitor.web.app import Pages, build_app
from driftline.store import schema
from driftline.store.errors import ConfigurationError


@dataclass(frozen=True)
class Client:
    """Reads the pages of a server; follows no redirect."""

    url: str
    schedule: Schedule

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=60, allow_redirects=False)


Serve = Callable[[JobContext], Client]


@pytest.fixture
def client() -> Iterator[Serve]:
    """Return a function that serves the pages of a context on loopback."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(context: JobContext) -> Client:
        status = StatusReader(context)
        schedule = Schedule(context, status.expire)
        collector = MonitorCollector(status, schedule, context.monitor, context.drift.min_rows)
        app = build_app(Pages(context, status, schedule, exposition(collector)))
        port = servers.free_port()
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        servers.wait_until(lambda: server.started, 60, what="the pages are served")
        return Client(f"http://127.0.0.1:{port}", schedule)

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join()


def test_the_status_page_tells_model_version_rows_and_verdicts(
    sqlite_context: JobContext, tiny: TinyModel, client: Serve
) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(1_500, seed=2, income=1.0))
    drift_job.run(sqlite_context)
    pages = client(sqlite_context)
    shown = pages.get("/").text
    for text in ("tiny", "version 1", "of 4 columns", "income", "they balance"):
        assert text in shown
    fleet, model = pages.get("/api").json(), pages.get("/api/models/tiny").json()
    assert [m["verdict"] for m in fleet["models"]] == ["drift"]
    assert model["window"]["rows"] == 1_500
    assert {c["column"]: c["verdict"] for c in model["columns"] if c["side"] == "input"} == {
        "age": "no drift", "income": "drift", "tenure": "no drift",
    }  # fmt: skip
    assert fleet["accounts"]["balanced"]
    assert fleet["accounts"]["stored"] == 30


def test_the_status_page_of_an_empty_store_says_what_to_do(sqlite_context: JobContext, client: Serve) -> None:
    assert "driftline serve" in client(sqlite_context).get("/").text


def test_a_hostile_model_name_is_text_on_the_page(sqlite_context: JobContext, tiny: TinyModel, client: Serve) -> None:
    hostile = "<script>alert(1)</script>"
    save_reference(sqlite_context, tiny.named(hostile))
    shown = client(sqlite_context).get("/")
    assert "<script>" not in shown.text
    assert "&lt;script&gt;" in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]


def test_health_follows_the_heartbeat(sqlite_context: JobContext, client: Serve) -> None:
    pages = client(sqlite_context)
    assert pages.get("/healthz").status_code == 503
    pages.schedule._tick()
    assert pages.get("/healthz").status_code == 200


def test_the_newest_run_is_linked_on_the_configured_mlflow_only(
    sqlite_context: JobContext, tiny: TinyModel, client: Serve
) -> None:
    save_reference(sqlite_context, tiny)
    (version,) = sqlite_context.watched()
    kept = kept_reports.keep(sqlite_context.engine, version.id, DriftReport((0, 1), {"verdict": "drift"}), 1)
    kept_reports.note_run(sqlite_context.engine, kept.id, tiny.run_id)
    assert client(sqlite_context).get("/r/tiny/report/latest").status_code == 404
    web = replace(sqlite_context, monitor=replace(sqlite_context.monitor, mlflow_url="http://mlflow.example/"))
    found = client(web).get("/r/tiny/report/latest")
    assert found.status_code == 302
    assert found.headers["location"] == f"http://mlflow.example/#/experiments/1/runs/{tiny.run_id}"
    assert client(web).get("/r/nobody/report/latest").status_code == 404
    assert client(web).get("/r/tiny/nothing/latest").status_code == 404


def test_a_job_that_raises_is_an_error_and_the_others_run(sqlite_context: JobContext) -> None:
    def raises(context: JobContext) -> JobReport:
        raise RuntimeError("a value of a request")

    report = run_job(sqlite_context, Job("broken", raises, _every(60), 60.0, at_start=True))
    assert report.failed
    assert "RuntimeError in" in str(report)
    assert "request" not in str(report)


def test_a_malformed_schedule_stops_the_start(sqlite_context: JobContext) -> None:
    wrong = replace(sqlite_context, report=replace(sqlite_context.report, schedule="every monday"))
    with pytest.raises(ConfigurationError, match="five fields"):
        jobs(wrong)


def test_runs_that_a_killed_monitor_left_are_closed(sqlite_context: JobContext) -> None:
    t = schema.job_run
    with sqlite_context.engine.begin() as connection:
        run = results.begin_run(connection, "drift", None, 5)
        results.close_interrupted(connection, 9)
        found = connection.execute(select(t).where(t.c.id == run)).one()
    assert (found.result, found.finished_at) == ("error", 9)


@pytest.fixture
def monitor(sqlite_context: JobContext, tiny: TinyModel) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A monitor process on shifted traffic, and its address."""
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(1_500, seed=2, income=1.0))
    port = servers.free_port()
    environment = os.environ | {
        "DRIFTLINE_HOME": str(sqlite_context.home),
        "DRIFTLINE_STORE": str(sqlite_context.engine.url),
        "DRIFTLINE_MONITOR_DRIFT_INTERVAL_SECONDS": "1",
    }
    driftline = Path(sys.executable).with_name("driftline")
    child = subprocess.Popen([driftline, "monitor", "--port", str(port)], env=environment, stderr=subprocess.DEVNULL)
    try:
        servers.wait_until(lambda: servers.listens(port), 60, what="the monitor listens")
        yield child, f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        child.wait()


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def test_the_monitor_runs_its_jobs_shows_them_and_ends_at_a_signal(
    monitor: tuple[subprocess.Popen[bytes], str], sqlite_context: JobContext
) -> None:
    child, url = monitor
    wanted = 'driftline_monitor_feature_drift_detected{feature="income",model_name="tiny",model_version="1"} 1.0'
    servers.wait_until(lambda: wanted in read(f"{url}/metrics"), 60, what=wanted)
    assert read(f"{url}/healthz") == "ok\n"
    runs = 'driftline_monitor_job_runs_total{check="drift",model_name="tiny",result="success"}'
    assert any(line.startswith(runs) for line in read(f"{url}/metrics").splitlines())
    servers.wait_until(lambda: json.loads(read(f"{url}/api"))["mlflow_up"], 60, what="MLflow was probed")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        read(f"{url}/nothing")
    with sqlite_context.engine.begin() as connection:
        connection.execute(update(schema.reference).values(content=b"damaged"))
    failures = 'driftline_monitor_job_consecutive_failures{check="drift",model_name="tiny"}'
    servers.wait_until(
        lambda: any(line.startswith(failures) and float(line.split()[-1]) >= 1
                    for line in read(f"{url}/metrics").splitlines()), 30, what="a counted failure")  # fmt: skip
    assert read(f"{url}/healthz") == "ok\n"
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 0


def test_a_job_never_runs_twice_at_a_time_and_missed_starts_become_one(sqlite_context: JobContext) -> None:
    running, most, starts = 0, 0, 0

    def slow(context: JobContext) -> JobReport:
        nonlocal running, most, starts
        running, starts = running + 1, starts + 1
        most = max(most, running)
        time.sleep(0.5)
        running -= 1
        return JobReport("slow", 0.5, {})

    schedule = Schedule(sqlite_context, lambda: None)
    schedule._jobs = {"slow": Job("slow", slow, _every(0.05), 0.05, at_start=True)}
    schedule.start()
    servers.wait_until(lambda: starts >= 3, 60, what="three starts")
    schedule.stop()
    assert most == 1
    assert starts == 3


def test_a_check_that_fails_leaves_the_heartbeat_moving(sqlite_context: JobContext) -> None:
    def fails(context: JobContext) -> JobReport:
        raise RuntimeError

    schedule = Schedule(sqlite_context, lambda: None)
    schedule._jobs = {"fails": Job("fails", fails, _every(0.05), 0.05, at_start=True)}
    schedule.start()
    time.sleep(0.3)
    assert schedule.is_alive
    schedule.stop()
