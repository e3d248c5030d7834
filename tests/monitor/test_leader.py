"""Who leads: two claims on one store, and two monitor processes of which one dies, freezes or loses its database."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
import requests
import servers
from kubernetes_rig import as_process, overlay, pods, probes, rendered, write_config
from monitor_rig import TinyModel, job_context, rows, save_reference, send
from sqlalchemy import Engine, func, select, text

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.leader import Leadership, claim_on
from driftline.monitor.rows import results
from driftline.store import migrate, schema
from driftline.store.engine import open_engine, writing
from driftline.store.errors import LeadershipLost

pytestmark = pytest.mark.thorough

TAKEOVER_SECONDS = 15
DRIFTED = 'driftline_monitor_drift_detected{model_name="tiny",model_version="1",scope="dataset"} 1.0'


@pytest.fixture
def engines(store_url: str) -> Iterator[tuple[Engine, Engine]]:
    """Two processes' engines on one empty store."""
    pair = open_engine(store_url), open_engine(store_url)
    yield pair
    for engine in pair:
        engine.dispose()


def test_one_of_two_claims_is_granted_and_the_other_when_that_is_given_up(engines: tuple[Engine, Engine]) -> None:
    first, second = map(claim_on, engines)
    assert first.take()
    assert not second.take()
    first.give_up()
    servers.wait_until(second.take, 60, 0.05, "the end of the first's session")
    assert second.renew()
    second.give_up()


@pytest.mark.postgresql
def test_a_transaction_behind_the_fence_ends_before_another_leads_and_none_begins_after(postgresql_url: str) -> None:
    engine, other = open_engine(postgresql_url), open_engine(postgresql_url)
    first, second = claim_on(engine), claim_on(other)
    fenced = first.fenced(engine)
    assert first.take()
    taken = threading.Event()
    taker = threading.Thread(target=lambda: second.take() and taken.set())
    with writing(fenced) as connection:
        results.begin_run(connection, "drift", None, 1)
        with other.begin() as killer:
            killer.execute(text("SELECT pg_terminate_backend(pid) FROM pg_locks "
                                "WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'"))  # fmt: skip
        taker.start()
        assert not taken.wait(0.5)
    taker.join(60)
    assert taken.is_set()
    with pytest.raises(LeadershipLost), writing(fenced) as connection:
        results.begin_run(connection, "drift", None, 2)
    with fenced.connect() as connection:  # who only reads needs no lead
        assert list(connection.scalars(select(schema.job_run.c.started_at))) == [1]
    first.give_up()
    second.give_up()
    engine.dispose()
    other.dispose()


def test_a_job_that_began_before_the_lead_was_lost_is_not_counted(sqlite_context: JobContext) -> None:
    schedule = Schedule(sqlite_context, lambda: None)
    held = claim_on(sqlite_context.engine)
    assert held.take()
    schedule.start()
    time.sleep(0.3)
    assert schedule.stands_by
    with sqlite_context.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.job_run)) == 0
    held.give_up()
    servers.wait_until(lambda: not schedule.stands_by, 60, what="the lead")
    schedule.stop()


def test_the_lead_is_tried_for_again_where_coming_to_lead_fails(sqlite_context: JobContext) -> None:
    calls: list[bool] = []

    def fails_once(took_over: bool) -> None:
        calls.append(took_over)
        if len(calls) == 1:
            raise RuntimeError

    leadership = Leadership(claim_on(sqlite_context.engine), fails_once, lambda: None)
    leadership.start()
    servers.wait_until(lambda: len(calls) == 2 and leadership.leads, 60, what="the second try")
    leadership.stop()
    assert calls == [False, True]


@dataclass
class Monitor:
    """A monitor process."""

    child: subprocess.Popen[bytes]
    url: str

    @classmethod
    def start(cls, context: JobContext) -> Self:
        port = servers.free_port()
        environment = os.environ | {
            "DRIFTLINE_HOME": str(context.home),
            "DRIFTLINE_STORE": context.engine.url.render_as_string(hide_password=False),
            "DRIFTLINE_MONITOR_DRIFT_INTERVAL_SECONDS": "1",
            "DRIFTLINE_MULTIVARIATE_ENABLED": "false",
        }
        command = [Path(sys.executable).with_name("driftline"), "monitor", "--port", str(port)]
        child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        return cls(child, f"http://127.0.0.1:{port}")

    def get(self, path: str) -> str:
        with suppress(requests.RequestException):
            return requests.get(self.url + path, timeout=2).text
        return ""

    def leads(self) -> bool:
        return "driftline_monitor_leader 1.0" in self.get("/metrics")

    def stands_by(self) -> bool:
        return "stands by" in self.get("/healthz")

    def end(self) -> None:
        self.child.kill()
        self.child.wait()


def test_another_monitor_takes_over_within_15_seconds_and_no_window_is_judged_twice(
    tmp_path: Path, tiny: TinyModel
) -> None:
    with servers.postgresql() as server:
        engine = open_engine(server.url)
        migrate.upgrade(engine)
        context = job_context(engine, tmp_path / "home")
        save_reference(context, tiny)
        send(context, tiny, rows(1_500, seed=2, income=1.0))
        first = Monitor.start(context)
        monitors = [first]
        try:
            servers.wait_until(lambda: first.leads() and DRIFTED in first.get("/metrics"), 60, what="the first leads")
            second = Monitor.start(context)
            monitors.append(second)
            servers.wait_until(second.stands_by, 60, what="the second stands by")
            shown = second.get("/metrics")
            assert "driftline_monitor_leader 0.0" in shown
            assert "driftline_monitor_drift_detected" not in shown
            assert "driftline_monitor_job_runs_total" not in shown
            assert "This monitor stands by" in second.get("/")
            posted = requests.post(second.url + "/labels", json=[], timeout=60)
            assert posted.status_code == 200

            first.child.send_signal(signal.SIGSTOP)
            servers.wait_until(second.leads, TAKEOVER_SECONDS, what="the second takes over from a frozen one")
            first.child.send_signal(signal.SIGCONT)
            servers.wait_until(first.stands_by, TAKEOVER_SECONDS, what="the first stands by when it goes on")

            second.end()
            servers.wait_until(first.leads, TAKEOVER_SECONDS, what="the first takes over from a killed one")

            server.stop()
            servers.wait_until(first.stands_by, TAKEOVER_SECONDS, what="without a store nobody leads")
            server.start()
            servers.wait_until(first.leads, TAKEOVER_SECONDS, what="the first leads again when the store is back")
            runs = job_starts(engine)
            servers.wait_until(lambda: job_starts(engine) > runs, 60, what="jobs run again")
        finally:
            for monitor in monitors:
                monitor.end()
        assert judged_twice(engine) == []
        assert overlapping(engine) == []
        engine.dispose()


@pytest.mark.postgresql
def test_of_the_two_pods_of_a_cluster_one_leads_and_the_other_takes_over_from_a_killed_one(
    postgresql_url: str, tmp_path: Path
) -> None:
    (tmp_path / "overlay").mkdir()
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    resources = rendered(overlay(tmp_path / "overlay", MLFLOW_TRACKING_URI=tracking))
    monitors: list[Monitor] = []
    try:
        for name in ("a", "b"):
            write_config(tmp_path / name, postgresql_url)
            port = servers.free_port()
            command, environment = as_process(resources, "driftline-monitor", tmp_path / name, {9108: port})
            child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            monitors.append(Monitor(child, f"http://127.0.0.1:{port}"))
        first, second = monitors
        servers.wait_until(lambda: first.leads() or second.leads(), 60, what="one leads")
        if second.leads():
            first, second = second, first
        servers.wait_until(second.stands_by, 60, what="the other stands by")
        for each in monitors:
            asked = {path: requests.get(each.url + path, timeout=60) for path in probes(resources, "driftline-monitor")}
            assert {path: answer.status_code for path, answer in asked.items()} == {"/healthz": 200}
        first.end()
        servers.wait_until(second.leads, TAKEOVER_SECONDS, what="the other takes over")
        second.child.terminate()
        assert second.child.wait(pods(resources)["driftline-monitor"]["spec"]["terminationGracePeriodSeconds"]) == 0
    finally:
        for monitor in monitors:
            monitor.end()


def job_starts(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).where(schema.job_run.c.job == "drift")) or 0


def judged_twice(engine: Engine) -> list[object]:
    """Return the windows of columns with more than one row of results."""
    t = schema.drift_result
    window = (t.c.side, t.c.column_name, t.c.window_end)
    with engine.connect() as connection:
        return list(connection.execute(select(*window).group_by(*window).having(func.count() > 1)))


def overlapping(engine: Engine) -> list[object]:
    """Return the runs of a job that began before an earlier one had ended."""
    t = schema.job_run
    with engine.connect() as connection:
        found = connection.execute(select(t).where(t.c.job == "drift").order_by(t.c.started_at, t.c.id)).all()
    return [b for a, b in itertools.pairwise(found) if a.finished_at is not None and b.started_at < a.finished_at]
