"""The summary in a browser: on small and large screens, by day and by night, with hostile names."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from playwright.sync_api import Browser, sync_playwright
from report_rig import MONDAY, WEEK_US, column, content, iso

from driftline.monitor.report.drift_report import current_format
from driftline.monitor.report.summary_page import render
from driftline.monitor.report.trend import changes

HOSTILE = "<script>document.title='owned'</script>'\"&amp;</style>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = servers.require("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        yield running
        running.close()


def full() -> dict[str, object]:
    """A report with everything that one can hold, and a hostile name wherever a name may stand."""
    made = content(
        12_345, column(HOSTILE, 3.0), column("prediction", 1.5, "output"), *(column(f"f{i}", 0.3) for i in range(20)),
        column("empty", None, picture=None),
    )  # fmt: skip
    arm = made["arms"][0]
    window = made["window"]
    arm["quality"] = [
        {"kind": "missing", "column": HOSTILE, "side": "input", "window": window, "observed": 0.2, "expected": 0.0,
         "threshold": 0.1, "verdict": "breach", "reason": f"missing cells rose in `{HOSTILE}`"},
    ]  # fmt: skip
    arm["multivariate"] = {
        "window": window, "training_rows": 900, "auc": 0.7, "z": 9.0, "columns": {HOSTILE: 0.7}, "verdict": "drift",
        "reason": "told apart",
    }  # fmt: skip
    arm["performance"] = [
        {"metric": "accuracy", "estimated": estimated, "window": window, "labelled_rows": 400, "value": 0.81,
         "low": 0.79, "high": 0.83, "reference": 0.88, "threshold": 0.85, "verdict": "breach", "reason": HOSTILE}
        for estimated in (False, True)
    ]  # fmt: skip
    arm["segment_performance"] = [
        {"segment_column": HOSTILE, "segment": HOSTILE, "breached_metrics": 2, "metrics": [], "reference_rows": 300,
         **{key: value for key, value in arm["performance"][0].items() if key != "estimated"}}
    ]  # fmt: skip
    arm["labels"] = {
        "share": 0.5, "due": window, "labelled_rows": 400, "unusable": {"rows": 3, "by_reason": {}, "said": HOSTILE},
    }  # fmt: skip
    points = [
        {"at": iso(MONDAY - i * WEEK_US), "version": HOSTILE, "rows": 100, "verdict": "drift", "judged": 22,
         "drifted": i, "highest": float(i)}
        for i in range(5, -1, -1)
    ]  # fmt: skip
    trend = {
        "since": {"version": HOSTILE, "window": window, "made_at": window["end"]}, "points": points,
        "columns": [{"side": "input", "column": HOSTILE, "ratios": [0.1, None, 1.0, 2.0, 2.5, 3.0]}],
        **changes({("input", HOSTILE): {"verdict": "no drift", "ratio": 0.4}},
                  {("input", HOSTILE): {"verdict": "drift", "ratio": 3.0}}),
    }  # fmt: skip
    jobs = {"drift": {"runs": 9, "failures": 2, "last_failure": HOSTILE, "last_success_at": None}}
    beside = [{"version": HOSTILE, "arm": "shadow", "rows": 10, "verdict": "drift", "drifted": 1}]
    return {**made, "model": HOSTILE, "trend": trend, "jobs": jobs, "beside": beside, "notes": [HOSTILE],
            "left_out": {HOSTILE: "no values in the window", "z" * 400: "too long"}}  # fmt: skip


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1400, "light")])
def test_the_page_stands_alone_fits_the_screen_and_takes_names_as_text(
    browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    text = render(full(), {"evidently": "evidently.html", "run": f"http://mlflow/{HOSTILE}"})
    assert not re.search(r"<script|<link|<img|\ssrc=|\son\w+=|@import|url\(", text)
    (tmp_path / "summary.html").write_text(text)
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "summary.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert len(asked) == 1
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.title() != "owned"
    assert "owned" in page.locator("h1").inner_text()
    assert (
        page.locator(".sentence")
        .inner_text()
        .endswith(
            "2 of 22 judged columns drifted, most of all " + HOSTILE[:39] + "…. "
            "Performance on labelled rows is worse than on the reference: accuracy. "
            "Performance as estimated without labels is worse than on the reference: accuracy. "
            "In 1 of 1 segments performance is worse than on the reference: " + f"{HOSTILE[:39]}… {HOSTILE[:39]}…."
        )
    )
    assert "New drift: " in page.locator(".changes").inner_text()
    assert page.locator("figure .shares").count() == 12
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("svg:not(:has(> title):has(> desc))").count() == 0
    ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(253, 253, 252)", "dark": "rgb(20, 23, 28)"}[scheme]
    said = page.locator("main").inner_text()
    for part in (
        "estimated without labels",
        "0.81",
        "50.0 % of the 12,345 predictions",
        "they balance",
        "1 of 1 checks fail",
        "told apart",
        "z" * 50,
    ):
        assert part in said
    page.close()


def test_a_breached_performance_is_said_first_also_where_nothing_drifted() -> None:
    made = content(100, column("age", 0.3))
    assert '<p class="sentence no-drift">' in render(made)
    metric = {"estimated": False, "window": made["window"], "labelled_rows": 90, "value": 0.1, "low": 0.1,
              "high": 0.2, "reference": 0.9, "threshold": 0.8, "reason": "0.1 is below 0.8"}  # fmt: skip
    worse = [metric | {"metric": name, "verdict": "breach"} for name in ("recall", "roc_auc")]
    made["arms"][0]["performance"] = [*worse, metric | {"metric": "brier", "verdict": "ok"}]
    made["arms"][0]["labels"] = {"share": None, "due": {**made["window"], "rows": 0}, "unusable": {"rows": 0}}
    text = render(made)
    assert '<p class="sentence drift">' in text
    assert "None of 1 judged columns drifted in 100 rows. Performance on labelled rows is worse than" in text
    assert "on the reference: recall, roc auc." in text
    assert "No prediction is old enough yet to miss its label; labels that came early count already." in text


def test_a_bare_report_says_what_it_lacks() -> None:
    bare = content(0)
    bare["arms"][0] |= {"columns": [], "reference": None, "verdict": "no reference"}
    text = render({**bare, "verdict": "no reference", "accounts": None})
    for part in ("No rows came in this window", "No check of data quality", "needs labels", "They cannot be read"):
        assert part in text


def test_a_report_made_without_a_monitor_says_that_no_job_ran() -> None:
    made = content(100, column())
    made["jobs"] = {"drift": {"runs": 0, "failures": 0, "last_failure": None, "last_success_at": None}}
    text = render(made)
    assert "None ran: is <code>driftline monitor</code> up?" in text


def test_checks_say_of_how_many_rows_they_were_and_those_without_a_verdict_are_not_in_order() -> None:
    made = content(2_305, column("age", 0.3))
    arm, window = made["arms"][0], {**made["window"], "rows": 1_005}
    unlike = [("missing", "ok"), ("out_of_range", "ok"), ("volume", "insufficient data")]
    arm["quality"] = [
        {"kind": kind, "column": "age", "side": "input", "window": window, "observed": 0.0, "expected": 0.0,
         "threshold": 0.1, "verdict": verdict, "reason": ""}
        for kind, verdict in unlike
    ]  # fmt: skip
    text = render(made)
    for part in ("2 checks in order", "1 without a verdict", "of at most 1,005 rows"):
        assert part in text
    arm["quality"] = arm["quality"][2:]
    text = render(made)
    assert "No check had enough rows for a verdict" in text
    assert "in order" not in text


def test_a_report_that_an_earlier_release_kept_is_shown() -> None:
    old = {
        "model": "tiny", "version": "1", "arm": "champion", "made_at": iso(MONDAY),
        "window": {"start": iso(MONDAY - WEEK_US), "end": iso(MONDAY), "rows": 100},
        "reference": {"rows": 3_000, "source": "training rows", "made_at": "2025-12-01T00:00:00Z"},
        "columns": [{k: v for k, v in column().items() if k not in ("picture", "words", "ratio")}],
        "sample": {"rows": 100, "share": 1.0, "reference_rows": 3_000, "drawn": "the smallest hashes"},
        "left_out": {}, "accounts": {"answered": 2, "stored": 2, "spooled": 0, "dropped": {}}, "evidently": {},
    }  # fmt: skip
    text = render(current_format(old))
    assert "1 of 1 judged columns drifted, most of all income." in text
    assert "they balance" in text
