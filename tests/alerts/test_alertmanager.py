"""The Alertmanager's configuration is accepted, routes by severity and model, and mutes what is old news."""

import re
import subprocess
import textwrap
from pathlib import Path

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
        ("page", ["alertname=X", "severity=critical", "model_name=m"]),
        ("page", ["alertname=X", "severity=critical"]),
        ("model-team", ["alertname=DriftlineDrift", "severity=warning", "model_name=m"]),
        ("model-team", ["alertname=DriftlineDriftJobStale", "severity=warning", "model_name=m"]),
        ("platform", ["alertname=DriftlineScorerDown", "severity=warning", "instance=a:9107"]),
        ("dashboard-only", ["alertname=X", "severity=info", "model_name=m"]),
    ],
)
def test_an_alert_goes_to_its_receiver(alerts_folder: Path, receiver: str, labels: list[str]) -> None:
    config = alerts_folder / "alertmanager.yml"
    routed = amtool("config", "routes", "test", f"--config.file={config}", f"--verify.receivers={receiver}", *labels)
    assert routed.returncode == 0, routed.stdout + routed.stderr


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
