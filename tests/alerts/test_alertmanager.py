"""The Alertmanager's configuration is accepted, routes by severity and model, and mutes what is old news."""

import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import servers
import yaml

pytestmark = pytest.mark.prometheus


def amtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(a) for a in (servers.require("amtool"), *arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_amtool_accepts_the_configuration_and_finds_the_template(alerts_folder: Path) -> None:
    checked = amtool("check-config", alerts_folder / "alertmanager.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1 templates" in checked.stdout


@pytest.mark.parametrize(
    ("receiver", "labels"),
    [
        ("heartbeat", ["alertname=DriftlineWatchdog", "severity=none"]),
        ("page", ["alertname=X", "severity=critical", "model_name=m"]),
        ("page", ["alertname=X", "severity=critical"]),
        ("model-team", ["alertname=DriftlineDrift", "severity=warning", "model_name=m"]),
        ("model-team", ["alertname=DriftlineJobStale", "severity=warning", "model_name=m", "check=drift"]),
        ("platform", ["alertname=DriftlineJobStale", "severity=warning", "check=rollup"]),
        ("platform", ["alertname=DriftlineScorerDown", "severity=warning", "instance=a:9107"]),
        ("dashboard-only", ["alertname=X", "severity=info", "model_name=m"]),
    ],
)
def test_an_alert_goes_to_its_receiver(alerts_folder: Path, receiver: str, labels: list[str]) -> None:
    config = alerts_folder / "alertmanager.yml"
    routed = amtool("config", "routes", "test", f"--config.file={config}", f"--verify.receivers={receiver}", *labels)
    assert routed.returncode == 0, routed.stdout + routed.stderr


def test_every_alert_of_the_rules_has_a_receiver_for_its_severity(
    alerts_folder: Path, rules: list[dict[str, Any]]
) -> None:
    config = alerts_folder / "alertmanager.yml"
    receivers = {"critical": "page", "warning": "model-team", "info": "dashboard-only", "none": "heartbeat"}
    found = {(rule["alert"], rule["labels"]["severity"]) for rule in rules}
    for severity in {severity for _, severity in found}:
        alert = next(name for name, of in sorted(found) if of == severity)
        labels = [f"alertname={alert}", f"severity={severity}", "model_name=m"]
        routed = amtool("config", "routes", "test", f"--config.file={config}", *labels)
        assert routed.stdout.strip() == receivers[severity]


def test_only_tickets_wait_for_working_hours(alerts_folder: Path) -> None:
    config = yaml.safe_load((alerts_folder / "alertmanager.yml").read_text())
    waiting = [route for route in config["route"]["routes"] if "active_time_intervals" in route]
    assert {route["receiver"] for route in waiting} == {"model-team", "platform"}


def test_inhibitions_name_alerts_that_there_are(alerts_folder: Path, rules: list[dict[str, Any]]) -> None:
    config = yaml.safe_load((alerts_folder / "alertmanager.yml").read_text())
    names = {rule["alert"] for rule in rules}
    for each in config["inhibit_rules"]:
        for matcher in each["source_matchers"] + each["target_matchers"]:
            if found := re.fullmatch(r'alertname=~?"(.+)"', matcher):
                for pattern in found[1].split("|"):
                    assert [name for name in names if re.fullmatch(pattern, name)], pattern


def test_the_receivers_shown_in_the_docs_are_accepted(alerts_folder: Path, tmp_path: Path) -> None:
    shown = re.findall(r"```yaml\n(.*?)```", (alerts_folder.parent / "docs" / "alerts.md").read_text(), re.S)
    receivers = [receiver for block in shown for receiver in yaml.safe_load(textwrap.dedent(block))["receivers"]]
    assert len(receivers) == 2
    config = yaml.safe_load((alerts_folder / "alertmanager.yml").read_text())
    names = {receiver["name"] for receiver in receivers}
    config["receivers"] = [r for r in config["receivers"] if r["name"] not in names] + receivers
    config["templates"] = [str(alerts_folder / "*.tmpl")]
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config))
    checked = amtool("check-config", tmp_path / "alertmanager.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
