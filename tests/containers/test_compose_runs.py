"""compose.yaml as a user types it: it comes up in order, fills the boards, and loses nothing whatever is restarted."""

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import board_queries
import pytest
from container_clients import Clients
from container_stack import ROOT, Stack, brought_up, engine, invocation_ids

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

SCORER, PROMETHEUS, MONITOR = (f"http://127.0.0.1:{port}" for port in (5000, 9090, 9108))
BODY = json.dumps(
    {
        "dataframe_split": {
            "columns": ["lncoins", "idp", "lpi", "fmde", "physlm", "disea", "hlthg", "hlthf", "hlthp"],
            "data": [[0.0, 0, 6.9, 0.0, 0.0, 10.5, 1, 0, 0]],
        }
    }
).encode()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with brought_up(tmp_path_factory.mktemp("compose")) as stack:
        yield stack


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def query(expression: str) -> list[dict[str, Any]]:
    found = get(f"{PROMETHEUS}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    return list(found["data"]["result"])


def seconds(text: str) -> float:
    """Return the seconds since the epoch of a time as an engine prints it."""
    return datetime.fromisoformat(text).timestamp()


def test_a_service_starts_when_what_it_needs_is_there(stack: Stack) -> None:
    for name, service in stack.services.items():
        started = seconds(stack.inspect(name)["State"]["StartedAt"])
        for other, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert stack.healthy_since[other] <= started + 2, (name, other)  # the check is asked every second
            else:
                state = stack.inspect(other)["State"]
                assert state["ExitCode"] == 0, other
                assert seconds(state["FinishedAt"]) <= started, (name, other)


def test_our_containers_write_nowhere_but_into_their_volumes_and_have_no_rights(stack: Stack) -> None:
    for name in ("scorer", "monitor", "mlflow", "demo-traffic"):
        found = stack.inspect(name)
        assert found["HostConfig"]["ReadonlyRootfs"] is True
        status = stack.inside(name, "cat", "/proc/1/status")
        assert {line.split()[1] for line in status.splitlines() if line.startswith(("CapEff", "CapBnd"))} == {"0" * 16}
        assert "NoNewPrivs:\t1" in status
        assert stack.inside(name, "id", "-u").strip() == "10001"


def test_the_demos_traffic_fills_the_boards_within_minutes(stack: Stack) -> None:
    def empty() -> list[str]:
        boards = (ROOT / "dashboards").glob("driftline-*.json")
        found = []
        for board in boards:
            for where, expression in board_queries.expressions(json.loads(board.read_text())).items():
                filled = board_queries.filled(expression, "doctor-visits").replace("income", "lncoins")
                if not query(filled):
                    found.append(f"{board.stem}: {where}")
        return found

    until = time.monotonic() + 420
    needed = ("up == 1", "driftline_monitor_feature_drift_score", "driftline_monitor_performance_score")
    while time.monotonic() < until and not all(query(each) for each in needed):
        time.sleep(5)
    assert {sample["metric"]["job"] for sample in query("up == 1")} == {"driftline-scorer", "driftline-monitor"}
    print("no data in", *sorted(empty()), sep="\n  ")
    for each in needed:
        assert query(each), each
    active = get(f"{PROMETHEUS}/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    assert [alertmanager["url"].split("/")[2] for alertmanager in active] == ["alertmanager:9093"]
    assert b"doctor-visits" in urllib.request.urlopen(f"{MONITOR}/", timeout=10).read()


def test_whatever_is_restarted_or_killed_every_answer_is_in_the_store(stack: Stack) -> None:
    with Clients(SCORER, BODY) as clients:
        for service in ("monitor", "prometheus", "alertmanager", "grafana", "mlflow", "postgres", "scorer"):
            before = len(clients.answered)
            stack.compose("restart", "--timeout", "45", service)
            stack.wait_healthy(service)
            time.sleep(3)
            assert len(clients.answered) > before, f"nothing was answered around the restart of {service}"
        for service in ("postgres", "scorer"):
            engine("kill", "--signal", "KILL", stack.container(service))
            time.sleep(2)
            stack.compose("start", service)
            stack.wait_healthy(service)
            time.sleep(3)
    print(f"{len(clients.answered)} answered, {clients.failed} failed")
    assert len(clients.answered) > 500
    stack.compose("stop", "demo-traffic")
    until = time.monotonic() + 60
    while json.loads(stack.inside("scorer", "driftline", "store", "status", "--json"))["spooled"]:
        assert time.monotonic() < until, "the spool is not empty"
        time.sleep(1)
    lost = clients.answered - invocation_ids(stack)
    assert not lost, f"{len(lost)} of {len(clients.answered)} answers are lost"
    stack.inside("scorer", "driftline", "store", "verify")  # which ends with 1 where it finds a difference


def test_a_new_container_of_the_scorer_goes_on_with_the_old_ones_spool(stack: Stack, tmp_path: Path) -> None:
    with Clients(SCORER, BODY) as clients:
        time.sleep(2)
        stack.compose("up", "--detach", "--no-deps", "--force-recreate", "--no-build", "scorer")
        stack.wait_healthy("scorer")
        time.sleep(2)
    until = time.monotonic() + 60
    while json.loads(stack.inside("scorer", "driftline", "store", "status", "--json"))["spooled"]:
        assert time.monotonic() < until, "the spool is not empty"
        time.sleep(1)
    assert clients.answered <= invocation_ids(stack)
