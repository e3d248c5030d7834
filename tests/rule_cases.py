"""The alerting rules and the cases of ``alerts/tests``, run by promtool over the shipped rules or over altered ones."""

import re
import subprocess
from pathlib import Path
from typing import Any

import servers
import yaml

ALERTS = Path(__file__).parents[1] / "alerts"
RULES = ALERTS / "driftline.rules.yml"
_NAME = re.compile(r"Driftline\w+")


def every_rule(path: Path = RULES) -> list[dict[str, Any]]:
    """Return the recording and alerting rules of a file."""
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(a) for a in (servers.require("promtool"), *arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def cases() -> dict[str, dict[str, Any]]:
    """Return the content of every file of cases by its name."""
    return {path.name: _content(path.read_text()) for path in sorted((ALERTS / "tests").glob("*.yml"))}


def _content(text: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(text)
    as_text = yaml.load(text, Loader=yaml.BaseLoader)  # to YAML 0x10 is sixteen, to promtool ten noughts
    for case, same in zip(content["tests"], as_text["tests"], strict=True):
        for series, told in zip(case["input_series"], same["input_series"], strict=True):
            series["values"] = told["values"]
    return content


def expectations(case: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Return what a case expects: alert, moment, and whether it fires."""
    found = [(e["alertname"], e["eval_time"], bool(e.get("exp_alerts"))) for e in case.get("alert_rule_test", [])]
    for each in case.get("promql_expr_test", []):
        if "ALERTS" in each["expr"]:
            name = _NAME.search(each["expr"])
            assert name is not None, each["expr"]
            found.append((name[0], each["eval_time"], bool(each.get("exp_samples"))))
    return found


def failing_alerts(rules: list[dict[str, Any]], folder: Path) -> set[str]:
    """Return the alerts whose cases fail with these rules, by promtool's own words.

    Each file of cases sees the alerts that it is about and no others: promtool evaluates all that it is given.
    """
    failing: set[str] = set()
    for name, content in cases().items():
        about = {alert for case in content["tests"] for alert, _, _ in expectations(case)}
        told = _told_of(name, content, [rule for rule in rules if rule.get("alert") in about], rules, folder)
        failing |= set(re.findall(r'(?:alertname: |alertname=\\")(Driftline\w+)', told))
    return failing


def what_fires(folder: Path) -> dict[str, list[dict[str, str]]]:
    """Return the filled-in annotations of every alert that fires in a case, by alert.

    promtool tells what fires where something else was expected.
    """
    found: dict[str, list[dict[str, str]]] = {}
    rules = every_rule()
    for name, content in cases().items():
        for case in content["tests"]:
            firing = [(alert, at) for alert, at, fires in expectations(case) if fires]
            case.pop("promql_expr_test", None)
            other = [{"exp_labels": {"never": "there"}}]
            case["alert_rule_test"] = [{"alertname": a, "eval_time": at, "exp_alerts": other} for a, at in firing]
        about = {e["alertname"] for case in content["tests"] for e in case["alert_rule_test"]}
        told = _told_of(name, content, [rule for rule in rules if rule.get("alert") in about], rules, folder)
        for alert, inside in re.findall(r'Labels:\{alertname="(\w+)".*\}\n\s+Annotations:\{(.+)\}\n', told):
            found.setdefault(alert, []).append(dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', inside)))
    return found


def _told_of(
    name: str, content: dict[str, Any], alerts: list[dict[str, Any]], rules: list[dict[str, Any]], folder: Path
) -> str:
    """Run one file's cases; recorded series are there for the alerts that ask for them."""
    asked = any("driftline:" in rule["expr"] for rule in alerts)
    recorded = [rule for rule in rules if "record" in rule] if asked else []
    groups = [{"name": "recorded", "rules": recorded}, {"name": "alerts", "rules": alerts}]
    place = folder / name.removesuffix(".yml")
    place.mkdir(parents=True)
    (place / RULES.name).write_text(yaml.safe_dump({"groups": groups}))
    (place / name).write_text(yaml.safe_dump({**content, "rule_files": [RULES.name]}))
    tested = promtool("test", "rules", place / name)
    said = tested.stdout + tested.stderr
    assert ("FAILED" in said) == (tested.returncode != 0), said
    return said
