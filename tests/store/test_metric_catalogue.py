"""The catalogue is well formed, and a page that departs from it is told so."""

import re

import pytest
import series
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from driftline.store.metric_catalogue import CataloguedMetric, Component, catalogue_mismatches, load_catalogue

ROWS = "driftline_scorer_predictions_total"
READY = "driftline_scorer_model_ready"
SMALL = {
    ROWS: CataloguedMetric(ROWS, "counter", ("model_name",), "Rows scored.", exported=True),
    READY: CataloguedMetric(READY, "gauge", ("model_name",), "1 when it can answer."),
}


def rows_family(label: str = "model_name") -> Metric:
    family = CounterMetricFamily(ROWS, "Rows scored.", labels=[label])
    family.add_metric(["m"], 1)
    return family


def test_names_follow_the_conventions() -> None:
    for name, metric in load_catalogue().items():
        assert re.fullmatch(r"driftline_(scorer|monitor)_[a-z]+(_[a-z]+)*", name)
        assert (metric.type == "counter") == name.endswith("_total")
        assert metric.help.endswith(".")
        assert len(metric.help) > 8
        assert len(set(metric.labels)) == len(metric.labels)


def test_no_metric_tells_of_sampling_which_capture_does_not_do() -> None:
    assert [name for name, metric in load_catalogue().items() if name.startswith("driftline_scorer_tee_")
            and "sampl" in metric.help] == []  # fmt: skip


@pytest.mark.parametrize("component", ["scorer", "monitor"])
def test_a_page_as_catalogued_has_no_mismatch(component: Component) -> None:
    assert catalogue_mismatches(component, series.families(1e9, drifted=False)) == []


def test_other_families_are_passed_over() -> None:
    assert catalogue_mismatches("scorer", [rows_family(), GaugeMetricFamily("python_info", "x", value=1)], SMALL) == []


def test_a_metric_outside_the_catalogue_is_told() -> None:
    stranger = GaugeMetricFamily("driftline_scorer_surprise", "x", value=1)
    assert catalogue_mismatches("scorer", [rows_family(), stranger], SMALL) == [
        "driftline_scorer_surprise is exported and not in the catalogue"
    ]


def test_a_wrong_label_is_told() -> None:
    assert catalogue_mismatches("scorer", [rows_family("model")], SMALL) == [
        f"{ROWS} has the labels ['model'], the catalogue says ['model_name']"
    ]


def test_a_missing_metric_is_told() -> None:
    assert catalogue_mismatches("scorer", [], SMALL) == [f"{ROWS} is in the catalogue as exported and not on the page"]


def test_a_metric_that_should_not_be_there_yet_is_told() -> None:
    ready = GaugeMetricFamily(READY, "x", labels=["model_name"])
    assert catalogue_mismatches("scorer", [rows_family(), ready], SMALL) == [
        f"{READY} is exported, the catalogue says it is not yet"
    ]


def test_a_wrong_type_is_told() -> None:
    gauge = GaugeMetricFamily(ROWS, "x", labels=["model_name"])
    assert catalogue_mismatches("scorer", [gauge], SMALL) == [
        f"{ROWS} is exported as gauge, the catalogue says counter"
    ]
