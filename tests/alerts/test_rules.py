"""The rules fire and stay silent in their cases, and each says what a person needs at three in the morning."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rule_cases import RULES, cases, every_rule, expectations, failing_alerts, promtool, what_fires

from driftline.store.metric_catalogue import load_catalogue

pytestmark = pytest.mark.prometheus
BASES = ("http://localhost:3000/", "http://localhost:9108/")
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
RUNBOOKS = Path(__file__).parents[2] / "docs" / "alerts.md"


def test_promtool_accepts_the_rules() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_case_of_the_rules_passes(alerts_folder: Path) -> None:
    tested = promtool("test", "rules", *sorted((alerts_folder / "tests").glob("*.yml")))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_each_alert_has_a_case_that_fires_and_one_that_does_not(rules: list[dict[str, Any]]) -> None:
    found = [e for content in cases().values() for case in content["tests"] for e in expectations(case)]
    names = {rule["alert"] for rule in rules}
    assert {name for name, _, fires in found if fires} == names
    assert {name for name, _, fires in found if not fires} == names - {"DriftlineWatchdog"}


COMPARISON = re.compile(r"\s(==|>=|<=|>|<)\s")
OPPOSITE = {"==": "!=", ">=": "<", "<=": ">", ">": "<=", "<": ">="}


def turned(rule: dict[str, Any]) -> None:
    """Turn the last comparison round, or what takes its place."""
    found = list(COMPARISON.finditer(rule["expr"]))
    if not found:
        rule["expr"] = rule["expr"].replace("unless on", "and on")
        return
    start, stop = found[-1].span(1)
    rule["expr"] = rule["expr"][:start] + OPPOSITE[found[-1][1]] + rule["expr"][stop:]


def hasty(rule: dict[str, Any]) -> None:
    rule["for"] = "0s"


def patient(rule: dict[str, Any]) -> None:
    rule["for"] = "10h"


ALL_WRONG: list[tuple[Callable[[dict[str, Any]], None], Callable[[dict[str, Any]], bool]]] = [
    (turned, lambda rule: rule["expr"] != "vector(1)"),
    (hasty, lambda rule: rule["for"] != "0s"),
    (patient, lambda rule: True),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("spoil", "is_spoilt"), ALL_WRONG, ids=["turned", "hasty", "patient"])
def test_each_alert_fails_a_case_when_its_comparison_or_its_wait_is_wrong(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None], is_spoilt: Callable[[dict[str, Any]], bool]
) -> None:
    rules = every_rule()
    alerts = [rule for rule in rules if "alert" in rule]
    expected = {rule["alert"] for rule in alerts if is_spoilt(rule)}
    for rule in alerts:
        spoil(rule)
    assert expected - failing_alerts(rules, tmp_path) == set()


STALE = "> 2.5 * clamp_min(max by (model_name"
NEVER = "or driftline_monitor_job_registered_timestamp_seconds"
WRONG = [
    ("DriftlineScorerDown", 'up{job="driftline-scorer"}', "up"),
    ("DriftlineMixedModelVersions", '{arm="champion"}', ""),
    ("DriftlineModelNotReady", "max by", "min by"),
    ("DriftlineModelOutOfSync", "min by", "max by"),
    ("DriftlineRejectedRequests", "schema|malformed", "schema|malformed|overload"),
    ("DriftlineRejectedRequests", ">= 10", ">= 0"),
    ("DriftlineNoTraffic", "> 100", ">= 0"),
    ("DriftlineNoTraffic", "offset 1w", "offset 2w"),
    ("DriftlineEventsRejected", "> 0.01", "> 0"),
    ("DriftlineEventsRejected", ">= 10", ">= 1"),
    ("DriftlineEventsRejected", "late|pruned", "late|pruned|incomplete"),
    ("DriftlineEventsMissing", "> 100", ">= 0"),
    ("DriftlineEventsMissing", "offset 1w", "offset 2w"),
    ("DriftlineEventsMissing", "malformed|no_model|pruned", "malformed|no_model|pruned|incomplete"),
    ("DriftlineTeeBacklogOld", " > 0)", " >= 0)"),
    ("DriftlineTeeStalled", "and time()", "or time()"),
    ("DriftlineSpoolFillsIn4h", "and predict_linear", "or predict_linear"),
    ("DriftlineSpoolFillsIn4h", "< 0.4", "< 1.4"),
    ("DriftlineAccountsUnbalanced", "stored|dropped", "stored|dropped|quarantined"),
    ("DriftlineMonitorDown", "or absent", "and absent"),
    ("DriftlineJobStale", STALE, STALE.replace("2.5", "1.2")),
    ("DriftlineJobStale", ", 60)", ", 5)"),
    ("DriftlineJobStale", NEVER, NEVER.replace("or ", "and ")),
    ("DriftlineJobStale", "drift|segments|quality|multivariate", "drift|segments|quality"),
    ("DriftlineJobStale", "drift|segments|quality|multivariate", ".+"),
    ("DriftlineReferenceMissing", "and on (model_name) driftline_scorer_model_ready", ""),
    ("DriftlineJobOverruns", "sum by", "max by"),
    ("DriftlineJobFailing", ">= 3", ">= 2"),
    ("DriftlineDrift", ">= 2", ">= 1"),
    ("DriftlineDrift", ">= 2", ">= 4"),
    ("DriftlineDrift", "unless on (model_name) (", "unless on (model_name) absent("),
    ("DriftlineDrift", STALE, STALE.replace("2.5", "1.2")),
    ("DriftlineDrift", ", 60)", ", 5)"),
    ("DriftlineDrift", "topk(5,", "bottomk(1,"),
    ("DriftlineDrift", "15m", "1m"),
    ("DriftlineFeatureMissingValues", "and on (model_name, model_version, feature)", "or"),
    ("DriftlineFeatureMissingValues", "> 0.1", "> 0.01"),
    ("DriftlineSegmentDrift", ">= 2", ">= 1"),
    (
        "DriftlineSegmentDrift",
        "unless on (model_name, model_version) (",
        "unless on (model_name, model_version) absent(",
    ),
    ("DriftlineDataQuality", "constant|coerced|duplicate_rows|volume", ".+"),
    ("DriftlineAvailabilityBurn", ">= 100", ">= 1"),
]


def in_rounds(wrong: list[tuple[str, str, str]]) -> list[list[tuple[str, str, str]]]:
    """Return the faults in rounds with at most one for each alert."""
    rounds: list[list[tuple[str, str, str]]] = []
    for fault in wrong:
        free = [each for each in rounds if fault[0] not in {alert for alert, _, _ in each}]
        if not free:
            rounds.append([])
        (free or rounds[-1:])[0].append(fault)
    return rounds


@pytest.mark.thorough
@pytest.mark.parametrize("faults", in_rounds(WRONG), ids=lambda faults: f"{len(faults)} faults")
def test_a_subtly_wrong_rule_fails_a_case(tmp_path: Path, faults: list[tuple[str, str, str]]) -> None:
    rules = every_rule()
    for alert, right, wrong in faults:
        for rule in [rule for rule in rules if rule.get("alert") == alert]:
            spoilt = {key: str(text).replace(right, wrong) for key, text in rule.items() if isinstance(text, str)}
            annotations = {key: text.replace(right, wrong) for key, text in rule["annotations"].items()}
            assert {**rule, **spoilt, "annotations": annotations} != rule, f"{alert} has no {right}"
            rule.update(spoilt, annotations=annotations)
    assert {alert for alert, _, _ in faults} - failing_alerts(rules, tmp_path) == set()


def test_annotations_say_what_they_should_when_they_are_filled_in(tmp_path: Path, rules: list[dict[str, Any]]) -> None:
    told = what_fires(tmp_path)
    assert set(told) == {rule["alert"] for rule in rules}
    for alert, annotations in told.items():
        for filled in annotations:
            assert {"summary", "description", "dashboard", "runbook_url"} <= set(filled), alert
            for text in filled.values():
                assert not re.search(r"error expanding|<no value>|%!|\{\{|NaN|  ", text), f"{alert}: {text}"
            for link in ("dashboard", "report", "runbook_url"):
                assert " " not in filled.get(link, ""), alert


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


def test_drift_alone_never_pages() -> None:
    drift = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
             if group["name"] == "driftline-drift"]  # fmt: skip
    assert len(drift) >= 3
    assert {rule["labels"]["severity"] for rule in drift} <= {"warning", "info"}


def test_rules_query_only_exported_metrics_and_their_labels() -> None:
    known = {n: set(m.labels) for m in load_catalogue().values() if m.exported for n in m.series_names}
    recorded = {rule["record"] for rule in every_rule() if "record" in rule}
    for rule in every_rule():
        text = rule["expr"] + " ".join(rule.get("annotations", {}).values())
        assert set(re.findall(r"\bdriftline_[a-z_]+", text)) <= set(known), rule
        assert set(re.findall(r"\bdriftline:[a-z0-9_:]+", text)) <= recorded, rule
        for name, inside in re.findall(r"\b(driftline_[a-z_]+)\{([^}%]*)\}", rule["expr"]):
            labels = set(re.findall(r'(\w+)(?:=~|!~|!=|=)"', inside))
            assert labels <= known[name] | {"le"}, rule


def test_each_alert_has_a_runbook_of_four_sections_in_our_own_commands(rules: list[dict[str, Any]]) -> None:
    runbooks = dict(re.findall(r"^## (Driftline\w+)\n(.*?)(?=^## |\Z)", RUNBOOKS.read_text(), re.M | re.S))
    assert list(runbooks) == list(dict.fromkeys(rule["alert"] for rule in rules)), "in the order of the rules"
    for alert, text in runbooks.items():
        assert re.findall(r"^### (.+)$", text, re.M) == SECTIONS, alert
        meaning, impact, diagnosis, mitigation = (part.strip() for part in re.split(r"^### .+$", text, flags=re.M)[1:])
        assert min(len(meaning), len(impact), len(mitigation)) > 60, alert
        assert "driftline " in diagnosis, f"{alert}: no command of ours"


def test_the_overview_lists_each_alert_with_its_severity(rules: list[dict[str, Any]]) -> None:
    listed = re.findall(r"^\| (Driftline\w+) \| ([a-z, ]+) \|", RUNBOOKS.read_text(), re.M)
    severities: dict[str, list[str]] = {}
    for rule in rules:
        known = severities.setdefault(rule["alert"], [])
        known.extend({rule["labels"]["severity"]} - set(known))
    assert listed == [(alert, ", ".join(found)) for alert, found in severities.items()]
