"""The rules fire and stay silent in their cases, and each says what a person needs at three in the morning."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import servers
import yaml

from driftline.store.metric_catalogue import load_catalogue

pytestmark = pytest.mark.prometheus
BASES = ("http://localhost:3000/", "http://localhost:9108/")
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
RUNBOOKS = Path(__file__).parents[2] / "docs" / "alerts.md"


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(a) for a in (servers.require("promtool"), *arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_promtool_accepts_the_rules(alerts_folder: Path) -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", alerts_folder / "driftline.rules.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_case_of_the_rules_passes(alerts_folder: Path) -> None:
    tested = promtool("test", "rules", *sorted((alerts_folder / "tests").glob("*.yml")))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_each_alert_has_a_case_that_fires_and_one_that_does_not(
    alerts_folder: Path, rules: list[dict[str, Any]]
) -> None:
    fires, silent = set(), set()
    for path in (alerts_folder / "tests").glob("*.yml"):
        for case in yaml.safe_load(path.read_text())["tests"]:
            expectations = case.get("alert_rule_test", [])
            fires |= {e["alertname"] for e in expectations if e.get("exp_alerts")}
            quiet = {e["alertname"] for e in expectations} - {
                e["alertname"] for e in expectations if e.get("exp_alerts")
            }
            silent |= quiet
    assert {rule["alert"] for rule in rules} == fires == silent


STALE = "> 2.5 * max by (model_name) (driftline"
NEVER = "or driftline_monitor_job_registered_timestamp_seconds"
MUTANTS = [
    ("== 0\n        for: 2m", "== 1\n        for: 2m"),
    ("for: 2m", "for: 30s"),
    ('up{job="driftline-scorer"}', "up"),
    (">= 2", ">= 1"),
    (">= 2", ">= 4"),
    ("unless on (model_name) (", "unless on (model_name) absent("),
    ("keep_firing_for: 15m", "keep_firing_for: 1m"),
    (f"\n            {STALE}", f"\n            {STALE.replace('2.5', '1.2')}"),
    (f"\n          {STALE}", f"\n          {STALE.replace('2.5', '1.2')}"),
    (f"\n            {NEVER}", f"\n            {NEVER.replace('or ', 'and ')}"),
    ("for: 5m", "for: 20m"),
    ('job_interval_seconds{check="drift"})\n        for: 5m', "job_interval_seconds)\n        for: 5m"),
    ("topk(5,", "bottomk(1,"),
]


@pytest.mark.parametrize(("right", "wrong"), MUTANTS, ids=range(len(MUTANTS)))
def test_a_wrong_rule_fails_a_case(alerts_folder: Path, tmp_path: Path, right: str, wrong: str) -> None:
    text = (alerts_folder / "driftline.rules.yml").read_text()
    assert right in text
    (tmp_path / "tests").mkdir()
    (tmp_path / "driftline.rules.yml").write_text(text.replace(right, wrong, 1))
    for path in (alerts_folder / "tests").glob("*.yml"):
        (tmp_path / "tests" / path.name).write_text(path.read_text())
    tested = promtool("test", "rules", *sorted((tmp_path / "tests").glob("*.yml")))
    assert "FAILED" in tested.stdout + tested.stderr


def test_each_alert_carries_what_a_person_needs(rules: list[dict[str, Any]]) -> None:
    for rule in rules:
        assert rule["alert"].startswith("Driftline")
        assert "for" in rule
        assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}
        assert {"summary", "description", "dashboard", "runbook_url"} <= set(rule["annotations"]), rule["alert"]


def test_links_have_one_of_two_bases_so_that_replacing_both_moves_them_all(rules: list[dict[str, Any]]) -> None:
    for rule in rules:
        for name in ("dashboard", "report", "runbook_url"):
            if link := rule["annotations"].get(name):
                assert link.startswith(BASES), f"{rule['alert']}: {name}"


def test_drift_alone_never_pages(rules: list[dict[str, Any]]) -> None:
    severities = {rule["labels"]["severity"] for rule in rules if rule["alert"].startswith("DriftlineDrift")}
    assert severities <= {"warning", "info"}


def test_rules_query_only_exported_metrics_of_the_catalogue(rules: list[dict[str, Any]]) -> None:
    exported = {name for m in load_catalogue().values() if m.exported for name in m.series_names}
    for rule in rules:
        text = rule["expr"] + " ".join(rule["annotations"].values())
        assert set(re.findall(r"\bdriftline_[a-z_]+", text)) <= exported, rule["alert"]


def test_each_alert_has_a_runbook_of_four_sections_in_our_own_commands(rules: list[dict[str, Any]]) -> None:
    runbooks = dict(re.findall(r"^## (Driftline\w+)\n(.*?)(?=^## |\Z)", RUNBOOKS.read_text(), re.M | re.S))
    assert set(runbooks) == {rule["alert"] for rule in rules}
    for alert, text in runbooks.items():
        assert re.findall(r"^### (.+)$", text, re.M) == SECTIONS, alert
        assert "driftline " in text.split("### Diagnosis")[1], alert
