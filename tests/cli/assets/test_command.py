"""`driftline assets export`, as a user types it, and real servers that load what it wrote."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import servers

from driftline.alerts import objectives

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that exports into ``out`` with flags."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("DRIFTLINE_")}

    def invoke(*flags: str) -> subprocess.CompletedProcess[str]:
        program = [Path(sys.executable).with_name("driftline"), "assets", "export", "out", *flags]
        return subprocess.run(program, env=environ, capture_output=True, text=True, cwd=tmp_path, check=False)

    return invoke


def checked(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def targets(server: servers.Prometheus) -> list[str]:
    found = server.get("/api/v1/targets")["data"]["activeTargets"]
    return sorted(target["labels"]["instance"] for target in found)


@pytest.mark.prometheus
def test_real_servers_load_what_was_exported(run: Run, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "slack").write_text("https://hooks.example.org/secret")
    alertmanager_port, scorers = servers.free_port(), ("127.0.0.1:1", "[::1]:1")
    done = run(
        "--scorer", scorers[0], "--scorer", scorers[1], "--alertmanager", f"127.0.0.1:{alertmanager_port}",
        "--slack-channel", "#models", "--slack-url-file", str(tmp_path / "slack"),
        "--monitor-token-file", str(tmp_path / "token"), "--grafana-url", "https://grafana.example.org",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "nowhere" not in done.stdout
    assert "dead man's switch calls nobody" in done.stdout
    prometheus = tmp_path / "out" / "prometheus" / "prometheus.yml"
    alertmanager = tmp_path / "out" / "alertmanager" / "alertmanager.yml"
    assert f"promtool check config {prometheus.relative_to(tmp_path)}" in done.stdout
    checked(servers.require("promtool"), "check", "config", prometheus)
    for rules in (prometheus.parent / "rules").iterdir():
        checked(servers.require("promtool"), "check", "rules", rules)
    assert "1 templates" in checked(servers.require("amtool"), "check-config", alertmanager)

    with servers.prometheus(tmp_path, prometheus) as server:
        expected = sorted([*scorers, "localhost:9108"])
        servers.wait_until(lambda: targets(server) == expected, 60, what="the targets are known")
        groups = server.get("/api/v1/rules")["data"]["groups"]
        alerts = [rule for group in groups for rule in group["rules"] if rule["type"] == "alerting"]
        assert all(rule["annotations"]["runbook_url"].startswith("https://grafana.example.org/d/") for rule in alerts)
        assert len(alerts) >= 3
        servers.wait_until(
            lambda: server.get("/api/v1/alertmanagers")["data"]["activeAlertmanagers"], 20, what="Alertmanager is known"
        )
    with servers.alertmanager(tmp_path, alertmanager) as server:
        assert "slack_configs" in server.get("/api/v2/status")["config"]["original"]


def test_files_changed_by_hand_are_one_line_and_an_exit_code(run: Run, tmp_path: Path) -> None:
    done = run("--webhook-url", "https://hooks.example.org")
    assert (done.returncode, done.stderr) == (0, "")
    assert "nowhere" not in done.stdout
    (tmp_path / "out" / "alertmanager" / "alertmanager.yml").write_text("mine")
    refused = run("--webhook-url", "https://other.example.org")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "alertmanager/alertmanager.yml" in refused.stderr
    assert run("--force").returncode == 0


def test_without_a_receiver_it_says_that_notifications_lead_nowhere(run: Run) -> None:
    said = run().stdout
    assert "Notifications lead nowhere yet" in said
    assert "dead man's switch calls nobody" in said


def test_half_of_slack_is_refused(run: Run) -> None:
    refused = run("--slack-channel", "#models")
    assert refused.returncode == 2
    assert "--slack-url-file" in refused.stderr


@pytest.mark.prometheus
def test_the_rules_hold_to_the_objectives_that_are_given(run: Run, tmp_path: Path) -> None:
    promised = objectives.PATH.read_text().replace("target = 0.999", "target = 0.95", 1)
    hostile = """[models.'a"}) or vector(1) #\\ {{ $x }}']\navailability_target = 0.9\n"""
    (tmp_path / "mine.toml").write_text(promised + hostile)
    done = run("--objectives", "mine.toml", "--grafana-url", "https://grafana.example.org")
    assert done.returncode == 0, done.stderr
    rules = tmp_path / "out" / "prometheus" / "rules" / "driftline.rules.yml"
    checked(servers.require("promtool"), "check", "rules", rules)
    text = rules.read_text()
    assert "+ 0.95" in text
    assert "+ 0.9\n" in text
    assert "+ 0.999" not in text
    assert "https://grafana.example.org/d/driftline-model" in text
    assert "http://localhost:3000" not in text


@pytest.mark.parametrize("text", [None, "[availability]\ntarget = 2", "[nonsense]", "= ="])
def test_objectives_that_cannot_be_read_are_one_line_and_nothing_is_written(
    run: Run, tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "mine.toml").write_text(text)
    refused = run("--objectives", "mine.toml")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "mine.toml" in refused.stderr
    assert not (tmp_path / "out").exists()
