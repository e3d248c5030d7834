"""Events of KServe's and Seldon's loggers reach the drift job through a real monitor, on both engines."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import servers
from click.testing import CliRunner
from event_rig import binary, event, structured
from monitor_rig import TinyModel, rows, save_reference
from sqlalchemy import func, select

from driftline.cli.main import root
from driftline.monitor.jobs import drift_job
from driftline.monitor.jobs.job import JobContext
from driftline.store import schema
from driftline.store.imports.waiting import event_accounts
from driftline.store.labels.accounts import labels_in_force

BATCH = {"Content-Type": "application/cloudevents-batch+json"}
TOKEN = {"Authorization": "Bearer s3cret~token"}


@contextmanager
def monitoring(context: JobContext, tmp_path: Path, **settings: str) -> Iterator[str]:
    """A monitor process that takes events of `iris`; yield its address."""
    (tmp_path / "tokens").write_text("ops:s3cret~token\n")
    port = servers.free_port()
    environment = os.environ | {
        "DRIFTLINE_HOME": str(context.home),
        "DRIFTLINE_STORE": context.engine.url.render_as_string(hide_password=False),
        "DRIFTLINE_MONITOR_TOKEN_FILE": str(tmp_path / "tokens"),
        "DRIFTLINE_IMPORTS_MODELS": "iris=models:/tiny/1",
        "DRIFTLINE_IMPORTS_INTERVAL_SECONDS": "0.5",
        **settings,
    }
    driftline = Path(sys.executable).with_name("driftline")
    child = subprocess.Popen([driftline, "monitor", "--port", str(port)], env=environment, stderr=subprocess.DEVNULL)
    try:
        servers.wait_until(lambda: servers.listens(port), 60, what="the monitor listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        child.wait()


def post(url: str, body: bytes, headers: dict[str, str]) -> requests.Response:
    return requests.post(f"{url}/ingest/cloudevents", data=body, headers={**TOKEN, **headers}, timeout=60)


def calls(count: int) -> tuple[list[bytes], list[bytes]]:
    """Requests and responses of calls of fifty rows each, whose income has moved, as V2's tensors."""
    frame, now = rows(count * 50, seed=2, income=1.0), datetime.now(UTC) - timedelta(minutes=5)
    made: dict[str, list[bytes]] = {"request": [], "response": []}
    for i in range(count):
        part = frame[i * 50 : (i + 1) * 50]
        inputs = [{"name": c, "shape": [50], "datatype": "FP64", "data": part[c].tolist()} for c in part.columns]
        output = {"name": "predict", "shape": [50], "datatype": "FP64", "data": part.sum(axis=1).tolist()}
        at = (now + timedelta(seconds=i)).isoformat()
        for side, data in (("request", {"inputs": inputs}), ("response", {"outputs": [output]})):
            made[side].append(structured(event(side, data, f"call-{i}", time=at)))
    return made["request"], made["response"]


def test_what_a_logger_sends_is_judged_and_labelled_like_captured_calls(
    context: JobContext, tiny: TinyModel, tmp_path: Path
) -> None:
    save_reference(context, tiny)
    asked, answered = calls(30)
    with monitoring(context, tmp_path) as url:
        assert post(url, b"", {"ce-type": "x", "Authorization": ""}).status_code == 401
        assert post(url, b"[" + b",".join(asked) + b"]", BATCH).status_code == 200
        request, response = (
            event("request", {"instances": [[0.0, 0.0, 0.0]]}, "single"),
            event("response", {"predictions": [1.0]}, "single"),
        )
        for one in (response, response, request):
            headers, body = binary(one)
            answer = post(url, body, headers)
            assert (answer.status_code, answer.content) == (200, b"")
        foreign = event("request", {}, inferenceservicename="someone-else")
        found = post(url, structured(foreign), {"Content-Type": "application/cloudevents+json; charset=utf-8"})
        assert found.status_code == 422
        assert "SERVICE=URI" in found.json()["error"]
        assert post(url, b"[]", {"Content-Type": "application/json"}).status_code == 415
        assert post(url, b"{", BATCH).status_code == 400
    with monitoring(context, tmp_path) as url:  # as after a restart, minutes later
        assert post(url, b"[" + b",".join(answered) + b"]", BATCH).status_code == 200
        servers.wait_until(lambda: stored(context) == 31, 60, what="all calls are stored")
        label = [{"request_id": "call-7", "row": 3, "label": 0.5}]
        assert requests.post(f"{url}/labels", json=label, headers=TOKEN, timeout=60).json()["fates"] == {"stored": 1}
        wanted = {
            'driftline_monitor_events_total{fate="stored",service="iris"} 62.0',
            'driftline_monitor_events_total{fate="repeated",service="iris"} 1.0',
            'driftline_monitor_events_total{fate="no_model",service=""} 1.0',
            'driftline_monitor_events_total{fate="malformed",service=""} 1.0',
            "driftline_monitor_events_waiting 0.0",
        }

        def exported() -> bool:
            return wanted <= set(requests.get(f"{url}/metrics", headers=TOKEN, timeout=60).text.splitlines())

        servers.wait_until(exported, 60, what="the fates are on the page of metrics")
    assert not drift_job.run(context).failed
    t = schema.drift_result.c
    with context.engine.connect() as connection:
        assert labels_in_force(connection) == 1
        drifted = connection.scalars(
            select(t.column_name).where(t.verdict == "drift", t.side == "input").distinct()
        ).all()
    assert "income" in drifted
    assert "age" not in drifted


def stored(context: JobContext) -> int:
    with context.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(schema.invocation)) or 0


def test_a_file_of_events_is_loaded_by_the_command_and_what_is_missing_comes_with_the_next(
    sqlite_context: JobContext, tiny: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(sqlite_context.home))
    monkeypatch.setenv("DRIFTLINE_STORE", str(sqlite_context.engine.url))
    asked, answered = calls(3)

    def load(content: bytes, *flags: str) -> str:
        result = CliRunner().invoke(root, ["import", "cloudevents", "-", *flags], input=content)
        assert result.exit_code == 0, result.output
        return result.output

    said = load(b"\n".join([*asked, b"{", answered[0]]), "--model", "models:/tiny/1")
    assert "2 stored (50 rows); 2 wait for their other half" in said
    assert "not taken: 1 malformed" in said
    batch = json.dumps([json.loads(each) for each in answered], indent=1).encode()
    assert "4 stored (100 rows); 1 wait" in load(batch, "--model", "models:/tiny/1")  # the repeat, its time
    assert "not taken: 3 no_model" in load(batch)
    with sqlite_context.engine.connect() as connection:
        assert event_accounts(connection).fates["iris", "stored"] == 6
    monkeypatch.setenv("DRIFTLINE_REDACTION_COLUMNS", "age=drop")
    result = CliRunner().invoke(root, ["import", "cloudevents", "-"], input=b"")
    assert "[redaction]" in str(result.exception)
