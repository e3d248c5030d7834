"""Every query of the dashboards finds data on a Prometheus with a model's history, and fails on none without."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import board_queries
import pytest
import series
import servers

from driftline.dashboards.model_table import KEYS

pytestmark = pytest.mark.prometheus
HISTORY_SECONDS = 3600
STEP = 15
# What has no data in this history, and why.
WITHOUT_HISTORY = {
    "Alert firing": "nothing fired",
    "Alerts firing A": "nothing fired",
    "Duration of a scrape A": "Prometheus writes it at a scrape",
    "Series of a scrape A": "Prometheus writes it at a scrape",
}
MOST_SERIES = 20


def configuration(folder: Path) -> Path:
    path = folder / "prometheus.yml"
    path.write_text("global: {scrape_interval: 15s}\n")
    return path


@pytest.fixture(scope="module")
def with_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[servers.Prometheus, int]]:
    """A server that holds an hour of history, and the time of its last sample."""
    folder = tmp_path_factory.mktemp("prometheus")
    end = int(time.time()) // STEP * STEP - 60
    history = folder / "history.txt"
    series.write_history(history, end - HISTORY_SECONDS, end, STEP, drift_from=end - 600)
    loaded = subprocess.run(
        [servers.require("promtool"), "tsdb", "create-blocks-from", "openmetrics", history, folder / "data"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    with servers.prometheus(folder, configuration(folder)) as server:
        yield server, end


@pytest.fixture(scope="module")
def without_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Prometheus]:
    folder = tmp_path_factory.mktemp("empty")
    with servers.prometheus(folder, configuration(folder)) as server:
        yield server


def test_every_query_finds_data_and_not_too_many_series(
    board: dict[str, Any], with_history: tuple[servers.Prometheus, int]
) -> None:
    server, end = with_history
    for where, expression in board_queries.expressions(board).items():
        query = board_queries.filled(expression, series.MODEL)
        now, hour = server.query(query, at=end), server.query_range(query, end - 1800, end, 60)
        if where in WITHOUT_HISTORY:
            assert now == hour == [], where
            continue
        assert now, where
        assert 0 < len(hour) <= MOST_SERIES, where
        assert all(sample["value"][1] != "NaN" for sample in now), where


def test_every_legend_label_is_on_the_series(
    board: dict[str, Any], with_history: tuple[servers.Prometheus, int]
) -> None:
    server, end = with_history
    for panel in board_queries.panels(board):
        for target in panel.get("targets", []):
            for sample in server.query(board_queries.filled(target["expr"], series.MODEL), at=end):
                if panel["type"] == "table":
                    assert {"model_name", "model_version"} <= set(sample["metric"]) <= KEYS.keys(), target["expr"]
                    continue
                for label in sample["metric"]:
                    assert f"{{{{{label}}}}}" in target["legendFormat"], f"{panel['title']}: {label} tells series apart"


def test_the_variables_list_the_model_its_arms_versions_and_columns(
    boards: dict[str, dict[str, Any]], with_history: tuple[servers.Prometheus, int]
) -> None:
    server, end = with_history
    found = {}
    for variable in boards["driftline-drift"]["templating"]["list"][1:]:
        inside = variable["query"]["query"].removeprefix("label_values(").removesuffix(")")
        selector, label = inside.rsplit(", ", 1)
        window = {"start": end - HISTORY_SECONDS, "end": end}
        selector = board_queries.filled(selector, series.MODEL)
        found[variable["name"]] = server.get(f"/api/v1/label/{label}/values", **{"match[]": selector}, **window)["data"]
    expected = {"model_name": [series.MODEL], "arm": ["champion"], "model_version": ["3"]}
    assert found == expected | {"feature": sorted(series.METHODS)}


def test_drift_shows_where_it_began(with_history: tuple[servers.Prometheus, int]) -> None:
    server, end = with_history
    detected = "max(driftline_monitor_feature_drift_detected)"
    values = [server.query(detected, at=at)[0]["value"][1] for at in (end - 660, end)]
    assert values == ["0", "1"]


def test_no_query_fails_on_an_empty_server(board: dict[str, Any], without_history: servers.Prometheus) -> None:
    for expression in board_queries.expressions(board).values():
        query = board_queries.filled(expression, "nothing")
        assert without_history.query(query) == []
        assert without_history.query_range(query, time.time() - 1800, time.time(), 60) == []
