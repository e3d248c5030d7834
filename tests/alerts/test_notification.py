"""Drift becomes a notification, and what is old news is muted: real Prometheus, real Alertmanager, a receiver."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import series
import servers
from alert_rig import NEVER, Receiver, receiving, shipped_alertmanager, watched
from prometheus_client import CollectorRegistry, start_http_server

pytestmark = pytest.mark.prometheus


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def page() -> Iterator[tuple[series.Page, int]]:
    registry, page, port = CollectorRegistry(), series.Page(), servers.free_port()
    registry.register(page)
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    yield page, port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.timeout(120)
def test_drift_becomes_a_notification_with_runbook_and_links_within_40_seconds(
    tmp_path: Path, receiver: Receiver, page: tuple[series.Page, int]
) -> None:
    exporter, port = page
    config = shipped_alertmanager(tmp_path, receiver)
    with (
        servers.alertmanager(tmp_path, config) as alertmanager,
        watched(tmp_path, alertmanager.url, {"driftline-monitor": port}) as prometheus,
    ):
        query = "driftline_monitor_drift_consecutive_windows"
        servers.wait_until(lambda: prometheus.query(query), what="the page is scraped")
        assert not prometheus.query('ALERTS{alertstate="firing",severity!="none"}')

        exporter.drifted, began = True, time.monotonic()
        servers.wait_until(lambda: receiver.firing("/model-team", "DriftlineDrift"), 40, what="a notification")
        servers.wait_until(lambda: receiver.bodies("/slack"), what="a message")
        assert time.monotonic() - began < 40
        servers.wait_until(lambda: receiver.firing("/heartbeat", "DriftlineWatchdog"), what="the heartbeat")

    alert = receiver.firing("/model-team", "DriftlineDrift")
    assert alert is not None
    assert alert["labels"]["model_name"] == series.MODEL
    assert alert["annotations"]["runbook_url"].startswith("http://localhost:3000/d/driftline-runbooks?viewPanel=")
    assert alert["annotations"]["dashboard"].endswith(
        "/d/driftline-drift?var-model_name=fare+model%2F1&var-model_version=3"
    )
    assert alert["annotations"]["report"].endswith("/r/fare%20model%2F1/report/latest")
    message = json.dumps(receiver.bodies("/slack")[0])
    for part in (
        f"{series.MODEL}: DriftlineDrift",
        "is at 3.1 times its threshold",
        "Runbook: http",
        "Dashboard: http",
        "Report: http",
        'href=\\"http://localhost:3000/d/driftline-drift?var-model_name=fare+model%2F1',
    ):
        assert part in message
    assert not receiver.bodies("/page")


def alert_as_json(name: str, **labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, "severity": "warning", **labels}, "annotations": {}}


MUTED = [
    (("DriftlineJobStale", {"model_name": "m", "check": "drift"}), ("DriftlineDrift", {"model_name": "m"})),
    (
        ("DriftlineJobStale", {"model_name": "m", "check": "drift"}),
        ("DriftlineFeatureMissingValues", {"model_name": "m"}),
    ),
    (("DriftlineMonitorDown", {"severity": "critical"}), ("DriftlineJobStale", {"model_name": "m", "check": "drift"})),
    (("DriftlineMonitorDown", {"severity": "critical"}), ("DriftlineDrift", {"model_name": "m"})),
    (("DriftlineSchedulerStuck", {"severity": "critical"}), ("DriftlineJobFailing", {"model_name": "m"})),
    (("DriftlineJobStale", {"model_name": "m", "check": "quality"}), ("DriftlineDataQuality", {"model_name": "m"})),
    (
        ("DriftlineJobStale", {"model_name": "m", "check": "multivariate"}),
        ("DriftlineMultivariateDrift", {"model_name": "m"}),
    ),
    (("DriftlineJobStale", {"model_name": "m", "check": "segments"}), ("DriftlineSegmentDrift", {"model_name": "m"})),
    (("DriftlineMonitorDown", {"severity": "critical"}), ("DriftlineDataQuality", {"model_name": "m"})),
    (("DriftlineDependencyDown", {"dependency": "store"}), ("DriftlineTeeBacklogOld", {"instance": "a"})),
    (("DriftlineScorerAbsent", {"severity": "critical"}), ("DriftlineScorerDown", {"instance": "a"})),
    (
        ("DriftlineModelNotReady", {"severity": "critical", "model_name": "m"}),
        ("DriftlineNoTraffic", {"model_name": "m"}),
    ),
    (("DriftlineTeeStalled", {"severity": "critical", "instance": "a"}), ("DriftlineTeeBacklogOld", {"instance": "a"})),
    (
        ("DriftlineSpoolAlmostFull", {"severity": "critical", "instance": "a"}),
        ("DriftlineSpoolFillsIn4h", {"instance": "a"}),
    ),
    (
        ("DriftlineAvailabilityBurn", {"severity": "critical", "model_name": "m", "slo": "availability"}),
        ("DriftlineAvailabilityBurn", {"model_name": "m", "slo": "availability"}),
    ),
]
SPARED = [
    (("DriftlineJobStale", {"model_name": "m", "check": "drift"}), ("DriftlineDrift", {"model_name": "other"})),
    (("DriftlineJobStale", {"model_name": "m", "check": "report"}), ("DriftlineDrift", {"model_name": "m"})),
    (("DriftlineMonitorDown", {"severity": "critical"}), ("DriftlineScorerDown", {"instance": "a"})),
    (("DriftlineDependencyDown", {"dependency": "mlflow"}), ("DriftlineTeeBacklogOld", {"instance": "a"})),
    (("DriftlineDependencyDown", {"dependency": "store"}), ("DriftlineTeeStalled", {"severity": "critical"})),
    (("DriftlineTeeStalled", {"severity": "critical", "instance": "a"}), ("DriftlineTeeBacklogOld", {"instance": "b"})),
    (("DriftlineJobStale", {"model_name": "m", "check": "drift"}), ("DriftlineDataQuality", {"model_name": "m"})),
]


CONTROL = (("DriftlineTeeStalled", {"instance": "control"}), ("DriftlineTeeBacklogOld", {"instance": "control"}))


def test_what_is_old_news_is_muted_and_nothing_else(tmp_path: Path, receiver: Receiver) -> None:
    """Each pair is posted to a live Alertmanager and ended before the next: amtool cannot test inhibition."""
    with servers.alertmanager(tmp_path, shipped_alertmanager(tmp_path, receiver)) as alertmanager:

        def is_muted(alert: dict[str, Any]) -> bool:
            found = [a for a in alertmanager.get("/api/v2/alerts") if a["labels"] == alert["labels"]]
            return bool(found and found[0]["status"]["inhibitedBy"])

        for number, pair in enumerate([*MUTED, *SPARED]):
            # The control comes last: when it is muted, Alertmanager knows of the alerts before it.
            alerts = [alert_as_json(name, **labels, case=str(number)) for name, labels in (*pair, *CONTROL)]
            post(alertmanager, *alerts[:2])
            post(alertmanager, *alerts[2:])
            servers.wait_until(lambda control=alerts[3]: is_muted(control), 60, what="the control is muted")
            assert is_muted(alerts[1]) == (pair in MUTED), pair
            post(alertmanager, *({**each, "endsAt": "2000-01-01T00:00:00Z"} for each in alerts))


def post(alertmanager: servers.HttpServer, *alerts: dict[str, Any]) -> None:
    assert requests.post(f"{alertmanager.url}/api/v2/alerts", json=alerts, timeout=60).ok


def test_a_ticket_waits_for_working_hours_and_a_page_does_not(tmp_path: Path, receiver: Receiver) -> None:
    with servers.alertmanager(tmp_path, shipped_alertmanager(tmp_path, receiver, hours=NEVER)) as alertmanager:
        post(alertmanager, alert_as_json("DriftlineDrift", model_name="m"))
        post(alertmanager, alert_as_json("DriftlineScorerDown", instance="a"))
        # The second page goes out after the tickets would have: each group waits as long.
        for page in ("DriftlineSpoolAlmostFull", "DriftlineTeeStalled"):
            post(alertmanager, alert_as_json(page, severity="critical"))
            servers.wait_until(lambda name=page: receiver.firing("/page", name), what=page)
    assert not receiver.bodies("/model-team")
    assert not receiver.bodies("/platform")
