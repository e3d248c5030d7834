"""Dashboards are well formed: places, names, units, variables, links, and metrics that exist."""

import itertools
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import board_queries
import pytest
import servers
import yaml

from driftline.dashboards.board import DATASOURCE_UID, MONITOR
from driftline.store.metric_catalogue import load_catalogue

ROOT = Path(__file__).parents[2]
BY_PROMETHEUS = {"job", "instance", "le"}
OUTSIDE_THE_CATALOGUE: dict[str, set[str]] = {
    "up": BY_PROMETHEUS,
    "driftline:slo_errors:ratio_rate3d": {"model_name", "slo"},
    "driftline:slo_objective:ratio": {"model_name", "slo"},
    "scrape_duration_seconds": BY_PROMETHEUS,
    "scrape_samples_post_metric_relabeling": BY_PROMETHEUS,
    "ALERTS": {"alertname", "alertstate", "model_name", "severity"},
}
BY_GRAFANA = {"__rate_interval", "__range", "__all", "__data", "__field", "__url_time_range"}
SELECTED = re.compile(r"\b(driftline[_:][\w:]+|scrape_\w+|up|ALERTS)\b(?:\{([^}]*)\})?")
BOARDS = {"driftline-fleet", "driftline-model", "driftline-drift", "driftline-pipeline", "driftline-runbooks"}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((ROOT / "alerts" / "driftline.rules.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"] if "alert" in rule]


def links(board: dict[str, Any]) -> list[str]:
    """Return the addresses that the board's own links and its panels' lead to."""
    found = [link["url"] for link in board.get("links", []) if link["type"] == "link"]
    for panel in board_queries.panels(board):
        options = panel.get("fieldConfig", {"defaults": {}, "overrides": []})
        found += [link["url"] for link in options["defaults"].get("links", [])]
        for override in options["overrides"]:
            found += [link["url"] for p in override["properties"] if p["id"] == "links" for link in p["value"]]
    return found


def test_there_is_a_board_for_each_question_and_one_of_runbooks(boards: dict[str, dict[str, Any]]) -> None:
    assert set(boards) == BOARDS


def test_names_are_unique_and_fit_the_file(boards: dict[str, dict[str, Any]]) -> None:
    for name, board in boards.items():
        assert board["uid"] == name
        assert board.get("id") is None
        assert board["editable"] is False
        for key in ("id", "title"):
            values = [panel[key] for panel in board["panels"]]
            assert len(set(values)) == len(values)
    assert len({board["title"] for board in boards.values()}) == len(boards)


def test_panels_lie_inside_24_columns_and_do_not_overlap(board: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(p["x"] >= 0 and p["w"] > 0 and p["h"] > 0 and p["x"] + p["w"] <= 24 for p in places)
    for a, b in itertools.combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above


def test_each_panel_says_what_it_shows(board: dict[str, Any]) -> None:
    for panel in board_queries.panels(board):
        assert len(panel["description"]) > 15, panel["title"]
        if panel["type"] == "text":
            continue
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        if panel["type"] != "table":
            assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
        if panel["type"] in {"timeseries", "state-timeline"}:
            assert panel["options"]["legend"]["showLegend"] is True, panel["title"]


def test_each_variable_is_defined_and_used(board: dict[str, Any]) -> None:
    defined = {variable["name"] for variable in board.get("templating", {}).get("list", [])}
    titles = [panel["title"] for panel in board_queries.panels(board)]
    shown = [board_queries.expressions(board), board.get("templating"), titles, links(board)]
    used = set(re.findall(r"\$\{?(\w+)", str(shown)))
    used |= {"datasource"} if any("targets" in panel for panel in board["panels"]) else set()
    assert used - BY_GRAFANA - defined == set()
    assert defined - used == set()


def test_the_datasource_variable_begins_with_the_provisioned_one(boards: dict[str, dict[str, Any]]) -> None:
    provisioned = yaml.safe_load((ROOT / "dashboards/provisioning/datasources/driftline.yml").read_text())
    assert DATASOURCE_UID in {source["uid"] for source in provisioned["datasources"] if source["type"] == "prometheus"}
    for uid in BOARDS - {"driftline-runbooks"}:
        first = boards[uid]["templating"]["list"][0]
        assert (first["type"], first["query"], first["current"]["value"]) == (
            "datasource",
            "prometheus",
            DATASOURCE_UID,
        )


def test_each_board_marks_swaps_and_alerts_and_leads_to_the_others(boards: dict[str, dict[str, Any]]) -> None:
    for uid in BOARDS - {"driftline-runbooks"}:
        marks = {each["name"]: each for each in boards[uid]["annotations"]["list"]}
        assert marks.keys() == {"Version loaded", "Alert firing"}
        assert marks["Version loaded"]["useValueForTime"] is True
        by_tag = [link for link in boards[uid]["links"] if link["type"] == "dashboards"]
        assert [(link["tags"], link["includeVars"], link["keepTime"]) for link in by_tag] == [
            (["driftline"], True, True)
        ]
    assert all("driftline" in board["tags"] for board in boards.values())


def test_a_board_of_one_model_leads_to_its_report(boards: dict[str, dict[str, Any]]) -> None:
    report = f"{MONITOR}/r/${{model_name:percentencode}}/report/latest"
    assert {uid for uid, board in boards.items() if report in links(board)} == {"driftline-model", "driftline-drift"}


def test_every_link_leads_to_a_board_and_variables_that_exist_or_to_the_monitor(
    board: dict[str, Any], boards: dict[str, dict[str, Any]]
) -> None:
    for link in links(board):
        if link.startswith(f"{MONITOR}/"):
            continue
        uid = urlsplit(link).path.removeprefix("/d/")
        defined = {variable["name"] for variable in boards[uid]["templating"]["list"]}
        passed = set(re.findall(r"var-(\w+)=", link)) | set(re.findall(r"\$\{(\w+):queryparam\}", link))
        assert "model_name" in passed <= defined, link


def test_the_table_shows_a_heading_for_every_value_or_hides_it(boards: dict[str, dict[str, Any]]) -> None:
    (table,) = [panel for panel in boards["driftline-fleet"]["panels"] if panel["type"] == "table"]
    (arranged,) = [each["options"] for each in table["transformations"] if each["id"] == "organize"]
    values = {f"Value #{target['refId']}" for target in table["targets"]}
    shown, hidden = set(arranged["renameByName"]), set(arranged["excludeByName"])
    assert values <= shown | hidden
    assert not shown & hidden
    assert {override["matcher"]["options"] for override in table["fieldConfig"]["overrides"]} <= set(
        arranged["renameByName"].values()
    )
    assert all(target["format"] == "table" and target["instant"] for target in table["targets"])


def test_queries_use_exported_metrics_and_their_labels_only(board: dict[str, Any]) -> None:
    known = {n: set(m.labels) | BY_PROMETHEUS for m in load_catalogue().values() if m.exported for n in m.series_names}
    known |= OUTSIDE_THE_CATALOGUE
    for where, expression in board_queries.expressions(board).items():
        selected = [(name, inside) for name, inside in SELECTED.findall(expression)]
        assert selected, where
        for name, inside in selected:
            assert name in known, f"{where}: {name}"
            assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside)) <= known[name], f"{where}: {name}"
        grouped = {w.strip() for g in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression) for w in g.split(",")}
        assert grouped <= set().union(*(known[name] for name, _ in selected)), where


def test_legends_name_labels_that_the_query_keeps(board: dict[str, Any]) -> None:
    for panel in board_queries.panels(board):
        for target in panel.get("targets", []):
            named = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
            kept = {w.strip() for g in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for w in g.split(",")}
            assert named <= kept, panel["title"]


@pytest.mark.prometheus
def test_every_expression_parses(board: dict[str, Any], tmp_path: Path) -> None:
    found = [board_queries.filled(expression, "m") for expression in board_queries.expressions(board).values()]
    recorded = [{"record": f"x:{i}", "expr": expression} for i, expression in enumerate(found)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": recorded}]}))
    checked = subprocess.run(
        [servers.require("promtool"), "check", "rules", path], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_links_to_a_dashboard_its_variables_and_its_runbook(boards: dict[str, dict[str, Any]]) -> None:
    for rule in rules():
        link = urlsplit(rule["annotations"]["dashboard"])
        board = boards[link.path.removeprefix("/d/")]
        defined = {f"var-{variable['name']}" for variable in board["templating"]["list"]}
        assert set(parse_qs(link.query)) <= defined

        link = urlsplit(rule["annotations"]["runbook_url"])
        panel_id = int(parse_qs(link.query)["viewPanel"][0])
        panels = {panel["id"]: panel["title"] for panel in boards[link.path.removeprefix("/d/")]["panels"]}
        assert panels[panel_id] == rule["alert"]
