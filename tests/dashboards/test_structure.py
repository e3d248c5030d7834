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

from driftline.dashboards.model_dashboard import DATASOURCE_UID
from driftline.store.metric_catalogue import load_catalogue

ROOT = Path(__file__).parents[2]
OUTSIDE_THE_CATALOGUE = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "model_name"}}
BY_GRAFANA = {"__rate_interval", "__range", "__all"}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((ROOT / "alerts" / "driftline.rules.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


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
    for panel in board["panels"]:
        assert len(panel["description"]) > 15, panel["title"]
        if panel["type"] == "text":
            continue
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
        if panel["type"] in {"timeseries", "state-timeline"}:
            assert panel["options"]["legend"]["showLegend"] is True, panel["title"]


def test_each_variable_is_defined_and_used(board: dict[str, Any]) -> None:
    defined = {variable["name"] for variable in board.get("templating", {}).get("list", [])}
    used = set(re.findall(r"\$\{?(\w+)", str([board_queries.expressions(board), board.get("templating")])))
    used |= {"datasource"} if any("targets" in panel for panel in board["panels"]) else set()
    assert used - BY_GRAFANA - defined == set()
    assert defined - used == set()


def test_the_datasource_variable_begins_with_the_provisioned_one(boards: dict[str, dict[str, Any]]) -> None:
    provisioned = yaml.safe_load((ROOT / "dashboards/provisioning/datasources/driftline.yml").read_text())
    assert DATASOURCE_UID in {source["uid"] for source in provisioned["datasources"] if source["type"] == "prometheus"}
    first = boards["driftline-model"]["templating"]["list"][0]
    assert (first["type"], first["query"], first["current"]["value"]) == ("datasource", "prometheus", DATASOURCE_UID)


def test_queries_use_exported_metrics_and_their_labels_only(board: dict[str, Any]) -> None:
    known = {n: set(m.labels) | {"le"} for m in load_catalogue().values() if m.exported for n in m.series_names}
    known |= OUTSIDE_THE_CATALOGUE
    for where, expression in board_queries.expressions(board).items():
        names = set(re.findall(r"\b(driftline_\w+|up|ALERTS)\b(?!\s*\()", expression))
        assert names, where
        assert names <= set(known), where
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression))
        labels |= {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")}
        for name in names:
            assert labels <= known[name], f"{where}: {name}"


def test_legends_name_labels_that_the_query_keeps(board: dict[str, Any]) -> None:
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
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
