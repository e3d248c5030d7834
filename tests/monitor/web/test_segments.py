"""The page's tables of segments: what moved in each, and how well the model does there."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import servers
from playwright.sync_api import Browser, sync_playwright
from seeded_store import HOUR_US, SeededModel
from site_rig import Serve, Site
from sqlalchemy import insert, select, update

from driftline.store import schema
from driftline.store.records import Arm, now_us
from driftline.store.segments.settings import SegmentSettings

MOVED_ON = {
    "kind": "numeric", "labels": ["2025", "2026"], "parts": ["range", "above"], "reference": [1.0, 0.0],
    "window": [0.0, 1.0], "missing": [0.0, 0.0], "words": ["100 % of the values are now above 2025"],
}  # fmt: skip
HOSTILE = "<script>document.title='owned'</script>" + "long" * 30


@pytest.fixture(scope="module")
def told_apart(serve: Serve) -> Site:
    """A model whose segments were judged: one drifted and became worse, one has a hostile name, one is small."""
    model = SeededModel("visits", categories={"plan": ("basic", "plus")}, judgements=1)
    site = serve(model, segments=SegmentSettings(columns=("plan",)))
    end = now_us() // HOUR_US * HOUR_US
    with site.context.engine.begin() as connection:
        of = {
            "model_version_id": site.ids["visits"], "job_run_id": connection.scalar(select(schema.job_run.c.id)),
            "arm": Arm.CHAMPION, "computed_at": end,
        }  # fmt: skip
        reference = connection.scalar(select(schema.reference.c.id))
        window = {"window_start": end - 24 * HOUR_US, "window_end": end}
        segments = {**of, **window, "reference_id": reference, "segment_column": "plan", "spans": "", "scores": b""}
        connection.execute(insert(schema.segment_result), [
            segments | drifted("basic", 0.3, "drift", ["age", "income"], "mean of `age` rose", since=end - HOUR_US),
            segments | drifted(HOSTILE, 0.05, "no drift", [], "score 0.05 under threshold 0.1"),
            segments | drifted("other", None, "insufficient data", [], "12 rows in this segment, a verdict needs 100"),
        ])  # fmt: skip
        judged = {**of, **window, "segment_column": "plan", "metric": "roc_auc", "metrics": "[]"}
        connection.execute(insert(schema.segment_performance_result), [
            judged | performed("basic", 0.61, "breach", 3, "0.61 is below 0.74; 0.82 on the reference"),
            judged | performed(HOSTILE, 0.83, "ok", 0, ""),
        ])  # fmt: skip
        whole = {**of, **window, "labelled_rows": 600, "window_rows": 900, "computed_at": end}
        connection.execute(insert(schema.performance_result), [
            whole | measured("roc_auc", 0.61, True, "0.61 is below 0.74; 0.82 on the reference"),
            whole | measured("recall", 0.2, True, "0.2 is below 0.7; 0.9 on the reference"),
            whole | measured("calibration_error", 0.1, False, ""),
            whole | measured("f1", 0.5, True, "0.5 is below 0.7; 0.9 on the reference") | {"estimated": True},
        ])  # fmt: skip
        t, picture = schema.drift_result, orjson.dumps(MOVED_ON).decode()
        connection.execute(
            update(t)
            .where(t.c.column_name == "tenure")
            .values(kind="time", verdict="values not judged", score=None, threshold=None, picture=picture)
        )
        connection.execute(insert(schema.label_coverage).values(
            **of, **window, window_rows=900, labelled_rows=600, last_event_at=end, unusable='{"label_class": 2}'
        ))  # fmt: skip
    return site


def drifted(
    name: str, score: float | None, verdict: str, columns: list[str], reason: str, since: int | None = None
) -> dict[str, Any]:
    told = orjson.dumps([{"column": column} for column in columns]).decode()
    return {
        "segment": name, "window_rows": 700, "reference_rows": 900, "side": None if score is None else "input",
        "column_name": None if score is None else "age", "statistic": "wasserstein", "score": score, "threshold": 0.1,
        "judged": 4, "drifted": len(columns), "columns": told, "verdict": verdict, "reason": reason, "since": since,
    }  # fmt: skip


def performed(name: str, value: float, verdict: str, breached: int, reason: str) -> dict[str, Any]:
    return {
        "segment": name, "labelled_rows": 300, "reference_rows": 400, "value": value, "low": value - 0.03,
        "high": value + 0.03, "reference": 0.82, "threshold": 0.74, "judged": 8, "breached": breached,
        "verdict": verdict, "reason": reason,
    }  # fmt: skip


def measured(metric: str, value: float, breached: bool, reason: str) -> dict[str, Any]:
    return {
        "metric": metric, "estimated": False, "value": value, "low": value - 0.03, "high": value + 0.03,
        "reference": 0.9, "threshold": 0.7, "breached": breached, "reason": reason,
    }  # fmt: skip


def test_segments_are_told_with_what_drifted_and_how_well_the_model_does(told_apart: Site) -> None:
    document = told_apart.get("/api/models/visits").json()
    assert [s["segment"] for s in document["segments"]] == ["basic", HOSTILE, "other"]
    basic, _, other = document["segments"]
    assert (basic["verdict"], basic["drifted_columns"], basic["ratio"]) == (
        "drift",
        ["age", "income"],
        pytest.approx(3),
    )
    assert (other["verdict"], other["ratio"]) == ("insufficient data", None)
    assert document["performance"]["labels"]["unusable"]["rows"] == 2
    assert "2 labelled rows do not count: 2 with a label of another class" in told_apart.get("/models/visits").text
    worse, well = document["performance"]["segments"]
    assert (worse["segment"], worse["verdict"], worse["breached_metrics"]) == ("basic", "breach", 3)
    assert (well["verdict"], well["labelled_rows"], well["reference_rows"]) == ("ok", 300, 400)


def test_the_list_of_models_and_the_models_page_name_what_is_breached_besides_drift(told_apart: Site) -> None:
    (model,) = told_apart.get("/api").json()["models"]
    assert model["performance_breaches"] == ["roc_auc", "recall"]
    assert model["estimated_performance_breaches"] == ["f1"]
    assert (model["drifted_segments"], model["segment_performance_breaches"]) == (1, 1)
    one = told_apart.get("/api/models/visits").json()
    assert {key: one[key] for key in model if key.endswith(("breaches", "segments", "verdict"))} == {
        key: value for key, value in model.items() if key.endswith(("breaches", "segments", "verdict"))
    }
    page = told_apart.get("/").text
    begin = told_apart.get("/models/visits").text.split('<dl class="facts">')[0]
    for said in (
        "performance: roc auc, recall<",
        "estimated performance: f1<",
        "drift in segments: 1<",
        "performance in segments: 1<",
    ):
        assert f"</span> {said}" in page
        assert f"</span> {said}" in begin


def test_a_column_without_a_verdict_is_not_said_to_have_no_drift(told_apart: Site) -> None:
    page = told_apart.get("/models/visits/columns/tenure").text
    assert "No verdict on the values; what differs most is:" in page
    assert "values not judged" in page
    assert "No drift" not in page
    assert "No drift; what differs most is:" in told_apart.get("/models/visits/columns/plan").text
    (column,) = told_apart.get("/api/models/visits?verdict=values+not+judged").json()["columns"]
    assert (column["column"], column["kind"]) == ("tenure", "time")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = servers.require("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1400])
def test_both_tables_are_read_on_a_telephone_and_a_desk(browser: Browser, told_apart: Site, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(f"{told_apart.url}/models/visits")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.title() != "owned"
    drift = page.locator("section[aria-labelledby=segments]")
    assert drift.locator("tbody tr").count() == 3
    assert "and 1 more drifted" in drift.inner_text()
    performance = page.locator("section[aria-labelledby=performance]")
    told = performance.locator("table").first.locator("tr", has_text="roc auc").inner_text()
    assert "600 of 900" in told
    assert page.locator("section[aria-labelledby=estimated] tbody tr").count() == 1
    row = performance.locator("tr", has_text="basic").inner_text()
    assert "breach" in row
    assert "0.61 is below 0.74" in row
    assert "and 2 more metrics" in row
