"""Performance by segment on real data with real labels: scikit-learn's numbers, one budget, late labels."""

import json
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from monitor_rig import TinyModel, at
from performance_rig import HOUR_US, Places, answer, identity, label, tensor
from sklearn import metrics as oracle
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sqlalchemy import Row, select

from driftline.cli.main import root
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs import performance_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.multivariate.settings import MultivariateSettings
from driftline.monitor.performance.reference_performance import measure, performance_of
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.report.compose import compose
from driftline.monitor.report.mlflow_metrics import report_metrics
from driftline.monitor.report.summary_page import render
from driftline.monitor.report.wording import headline, told
from driftline.monitor.rows.segment_performance_rows import newest_segment_performance
from driftline.monitor.segments.performance import segment_chance, shared_chance, whole_chance
from driftline.monitor.training.reference import build
from driftline.monitor.training.segmented import with_segment_performance
from driftline.store import schema
from driftline.store.backfill import put_in_force
from driftline.store.engine import writing
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile.reference import Reference, build_reference
from driftline.store.profile.segments import segmented_column, segmented_reference
from driftline.store.records import Arm, now_us
from driftline.store.segments.settings import SegmentSettings

NOW = 1_795_000_000_000_000 // HOUR_US * HOUR_US
CANCER = identity("cancer", ["a", "b"], tensor(-1, 2))
CUT = 13.0  # of the radius: about half of the tumours are smaller
BY_RADIUS = SegmentSettings(columns=(f"a:{CUT:g}",))
SMALL, LARGE = "below 13", "from 13"


@dataclass(frozen=True)
class Cancer:
    """Real rows that a model was not fitted to, what it answers, and what is true."""

    frame: pd.DataFrame
    answers: np.ndarray
    labels: np.ndarray

    @property
    def small(self) -> np.ndarray:
        return self.frame["a"].to_numpy() < CUT


@pytest.fixture(scope="module")
def cancer() -> Cancer:
    features, labels = load_breast_cancer(return_X_y=True)
    features = features[:, :2]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features[:100], labels[:100])
    return Cancer(pd.DataFrame(features[100:], columns=["a", "b"]), model.predict_proba(features[100:]), labels[100:])


def save_reference(context: JobContext, cancer: Cancer, *, labelled: bool = True) -> Reference:
    """Put a reference into force that tells segments apart, with the model's performance in each or without."""
    with writing(context.engine) as connection:
        version = ensure_model_version(connection, CANCER)
    outputs = [c for c in version.columns if c.side == "output"]
    data = {c.column_name: cancer.answers[:, place] for place, c in enumerate(outputs)}
    data |= {"in_a": cancer.frame["a"].to_numpy(), "in_b": cancer.frame["b"].to_numpy()}
    whole = build_reference(version.columns, data, source="test", made_at_us=0)
    (told,) = (c for c in version.columns if c.name == "a")
    segments = (segmented_reference(whole, segmented_column(told, (CUT,), data["in_a"], 20), data, len(cancer.labels)),)
    if labelled:
        found = measure("cancer", outputs, data, cancer.labels.tolist(), PerformanceSettings(), "held-out rows")
        segments = with_segment_performance(segments, found.task, data, cancer.labels.tolist(), "held-out rows")
        whole = replace(whole, performance=found.to_json())
    reference = replace(whole, segments=segments)
    put_in_force(context.engine, version.id, reference)
    return reference


def by_radius(context: JobContext) -> JobContext:
    return replace(at(context, NOW), segments=BY_RADIUS)


def answered(context: JobContext, cancer: Cancer, hours_ago: int = 2) -> Places:
    return answer(context, CANCER, cancer.frame, cancer.answers, NOW - hours_ago * HOUR_US)


def found_in(context: JobContext) -> dict[str, Row]:
    with context.engine.connect() as connection:
        return {row.segment: row for row in newest_segment_performance(connection, 1, Arm.CHAMPION, ["a"])}


def test_metrics_of_each_segment_are_those_of_scikit_learn_on_its_rows(context: JobContext, cancer: Cancer) -> None:
    save_reference(context, cancer)
    label(context, answered(context, cancer), cancer.labels, NOW - HOUR_US)
    assert "no segment breaches" in str(performance_job.run(by_radius(context)))
    found = found_in(context)
    assert list(found) == [SMALL, LARGE]
    for name, rows in ((SMALL, cancer.small), (LARGE, ~cancer.small)):
        truth, scores = cancer.labels[rows], cancer.answers[rows, 1]
        said = {each["metric"]: each["value"] for each in json.loads(found[name].metrics)}
        assert said["accuracy"] == pytest.approx(oracle.accuracy_score(truth, scores >= 0.5))
        assert said["roc_auc"] == pytest.approx(oracle.roc_auc_score(truth, scores), abs=1e-3)
        assert said["log_loss"] == pytest.approx(oracle.log_loss(truth, scores), abs=1e-3)
        assert found[name].labelled_rows == found[name].reference_rows == rows.sum()
        assert found[name].verdict == "ok"


def test_a_model_that_became_worse_in_one_segment_is_told_there_alone(context: JobContext, cancer: Cancer) -> None:
    save_reference(context, cancer)
    turned = cancer.small & (np.random.default_rng(0).random(len(cancer.labels)) < 0.4)
    labels = np.where(turned, 1 - cancer.labels, cancer.labels)
    label(context, answered(context, cancer), labels, NOW - HOUR_US)
    assert f"worse than the reference in a={SMALL}" in str(performance_job.run(by_radius(context)))
    found = found_in(context)
    assert (found[SMALL].verdict, found[LARGE].verdict) == ("breach", "ok")
    assert found[SMALL].breached > 1
    assert found[SMALL].reason.endswith("on the reference")


def test_late_labels_have_only_their_own_hour_counted_anew_in_each_segment(context: JobContext, cancer: Cancer) -> None:
    save_reference(context, cancer)
    hours = [answered(context, cancer, hours_ago) for hours_ago in (30, 20, 2)]
    for places in hours:
        label(context, places[:-1], cancer.labels[:-1], NOW - HOUR_US)
    performance_job.run(by_radius(context))
    before = kept(context)
    assert len(before) == 6
    label(context, hours[1][-1:], cancer.labels[-1:], NOW)
    performance_job.run(by_radius(context))
    after = kept(context)
    late = NOW - 20 * HOUR_US
    assert {hour for hour, _ in after if after[hour, _] != before[hour, _]} == {late}
    assert sum(rows for _, rows in after.values()) == sum(rows for _, rows in before.values()) + 1
    performance_job.run(by_radius(context))
    assert kept(context) == after


def kept(context: JobContext) -> dict[tuple[int, str], tuple[int, int]]:
    """The hours that are kept: key and labelled rows, by start and segment. A counted hour has a new key."""
    t = schema.segment_performance_hour.c
    query = select(t.hour_start, t.segment, t.id, t.labelled_rows)
    with context.engine.connect() as connection:
        return {(start, segment): (id_, rows) for start, segment, id_, rows in connection.execute(query)}


def test_a_reference_without_labels_in_segments_gives_values_without_thresholds_and_says_so(
    sqlite_context: JobContext, cancer: Cancer
) -> None:
    save_reference(sqlite_context, cancer, labelled=False)
    label(sqlite_context, answered(sqlite_context, cancer), cancer.labels, NOW - HOUR_US)
    performance_job.run(by_radius(sqlite_context))
    found = found_in(sqlite_context)[SMALL]
    assert (found.verdict, found.threshold, found.judged) == ("no verdict", None, 0)
    assert "no labelled rows in this segment" in found.reason
    assert "reference build --labels" in found.reason


def test_few_labels_in_a_segment_leave_it_without_a_verdict(sqlite_context: JobContext, cancer: Cancer) -> None:
    context = sqlite_context
    save_reference(context, cancer)
    places, few = answered(context, cancer), np.flatnonzero(cancer.small)[:40]
    chosen = sorted([*few.tolist(), *np.flatnonzero(~cancer.small).tolist()])
    label(context, [places[i] for i in chosen], 1 - cancer.labels[chosen], NOW - HOUR_US)
    performance_job.run(by_radius(context))
    found = found_in(context)
    assert found[SMALL].reason == "40 labelled rows, 100 are needed"
    assert (found[SMALL].judged, found[LARGE].verdict) == (0, "breach")


@pytest.mark.parametrize("deviations", [0.0, 2.0, 3.0])
def test_chance_of_a_model_with_ten_segments_is_that_of_one_without(deviations: float) -> None:
    settings, segments = PerformanceSettings(chance_deviations=deviations), SegmentSettings(columns=("plan",))
    each = shared_chance(segment_chance(settings, segments, 1), 1 / 10)
    tails = [tail(whole_chance(settings, segments, 1)), *[tail(each)] * 10]
    assert sum(tails) == pytest.approx(tail(settings))
    assert whole_chance(settings, segments, 0) == settings


def tail(settings: PerformanceSettings) -> float:
    return NormalDist().cdf(-settings.chance_deviations)


def test_references_built_with_labels_know_the_performance_in_each_segment(tiny: TinyModel) -> None:
    frame = tiny.training.head(1_000).copy()
    frame["prediction"] = frame["age"] - 2 * frame["income"]
    frame["truth"] = frame["prediction"] + np.where(frame["age"] < 0, 3.0, 1.0)
    link, segments = MlflowLink(), SegmentSettings(columns=("age:0",))
    drift = DriftSettings(min_rows=1_001)  # no drift is judged here: no segment need be simulated
    built = build(link, link.resolve(tiny.uri), frame, "rows", labels="truth", segments=segments, drift=drift)
    (segmented,) = Reference.from_bytes(built.reference.to_bytes()).segments
    for name, mean in (("below 0", 3.0), ("from 0", 1.0)):
        of = segmented.reference(built.reference, name)
        assert of is not None
        performance = performance_of(of)
        assert performance is not None
        assert performance.metrics["mae"].value == pytest.approx(mean)
        assert performance.rows == of.row_count


def test_command_line_has_a_line_per_segment_and_as_json_all_metrics(
    sqlite_context: JobContext, cancer: Cancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = sqlite_context
    save_reference(context, cancer)
    at_us = now_us() - 2 * HOUR_US
    places = answer(context, CANCER, cancer.frame, cancer.answers, at_us)
    monkeypatch.setenv("DRIFTLINE_STORE", context.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("DRIFTLINE_HOME", str(context.home))
    monkeypatch.setenv("DRIFTLINE_SEGMENTS_COLUMNS", BY_RADIUS.columns[0])
    asked, unset = (["performance", "cancer", "--segment", column] for column in "ab")
    without_labels = CliRunner().invoke(root, asked, catch_exceptions=False).stdout  # not the estimates of all rows
    assert without_labels.startswith("cancer/1 by a: no labels yet: post some to /labels")
    assert json.loads(CliRunner().invoke(root, [*asked, "--json"], catch_exceptions=False).stdout)["arms"] == []
    assert "DRIFTLINE_SEGMENTS_COLUMNS=a:13,b" in str(CliRunner().invoke(root, unset).exception)
    label(context, places, np.where(cancer.small, 1 - cancer.labels, cancer.labels), at_us + HOUR_US)
    head, arm, titles, *lines = CliRunner().invoke(root, asked, catch_exceptions=False).stdout.splitlines()
    assert head.startswith("cancer/1 by a: requests from ")
    assert arm == "champion:"
    assert titles.split()[:3] == ["segment", "worst", "metric"]
    told = [line for line in lines if not line.startswith("    ")]
    assert [line.split("  ")[0] for line in told] == [SMALL, LARGE]
    assert "breach: " in told[0]
    assert told[1].endswith("ok")
    document = json.loads(CliRunner().invoke(root, [*asked, "--json"], catch_exceptions=False).stdout)
    small, large = document["arms"][0]["segments"]
    assert (small["verdict"], large["verdict"]) == ("breach", "ok")
    values = {each["metric"]: each["value"] for each in large["metrics"]}
    scores, truth = cancer.answers[~cancer.small, 1], cancer.labels[~cancer.small]
    assert values["accuracy"] == pytest.approx(oracle.accuracy_score(truth, scores >= 0.5))


def test_a_report_tells_the_segments_of_its_own_window_first_those_in_which_the_model_is_worse(
    sqlite_context: JobContext, cancer: Cancer
) -> None:
    context = replace(by_radius(sqlite_context), multivariate=MultivariateSettings(enabled=False))
    save_reference(context, cancer)
    worse = np.where(cancer.small, cancer.labels, 1 - cancer.labels)
    label(context, answered(context, cancer), worse, NOW - HOUR_US)
    label(context, answered(context, cancer, 50), 1 - cancer.labels, NOW - HOUR_US)  # before the window
    (version,) = context.watched()
    content = compose(context, version, (NOW - 24 * HOUR_US, NOW)).content
    (arm,) = content["arms"]
    (note,) = content["notes"]
    assert note.startswith("Evidently: the sample of the reference is neither in ")
    small, large = arm["segment_performance"]
    assert [(s["segment_column"], s["segment"], s["verdict"]) for s in (small, large)] == [
        ("a", SMALL, "ok"),
        ("a", LARGE, "breach"),
    ]
    values = {each["metric"]: each["value"] for each in small["metrics"]}
    truth, scores = cancer.labels[cancer.small], cancer.answers[cancer.small, 1]
    assert values["accuracy"] == pytest.approx(oracle.accuracy_score(truth, scores >= 0.5))
    assert small["labelled_rows"] == cancer.small.sum()
    assert f"In 1 of 2 segments performance is worse than on the reference: a {LARGE}." in headline(content)
    assert report_metrics(content)["segments_breached"] == 1
    assert f"{large['metric']} where a is {LARGE}: {large['reason']}" in told(arm)
    unnamed = {**arm, "segment_performance": [{**large, "segment": ""}]}
    assert f"{large['metric']} where a is (empty): {large['reason']}" in told(unnamed)
    assert headline({"arms": [unnamed]}).endswith("worse than on the reference: a (empty).")
    page = render(content)
    section = page[page.index('id="performance"') : page.index('id="quality"')]
    assert section.index(LARGE) < section.index(SMALL)
    assert large["reason"] in section
    unlike = replace(context, segments=SegmentSettings(columns=("b",), max_values=2))
    content = compose(unlike, version, (NOW - 24 * HOUR_US, NOW)).content
    assert content["arms"][0]["segment_performance"] == []
    note = content["notes"][0]
    assert note.startswith("performance by b: the reference of cancer/1 tells no segments apart, and the sample of its")


def test_a_report_judges_the_segments_that_it_can_and_counts_no_others(
    sqlite_context: JobContext, cancer: Cancer
) -> None:
    context = replace(by_radius(sqlite_context), multivariate=MultivariateSettings(enabled=False))
    reference = save_reference(context, cancer)
    label(context, answered(context, cancer), cancer.labels, NOW - HOUR_US)
    (version,) = context.watched()
    two = replace(context, segments=SegmentSettings(columns=(*BY_RADIUS.columns, "b:20")))
    content = compose(two, version, (NOW - 24 * HOUR_US, NOW)).content
    assert [s["segment"] for s in content["arms"][0]["segment_performance"]] == [SMALL, LARGE]
    assert [note.split(":")[0] for note in content["notes"]] == ["performance by b", "Evidently"]
    (texture,) = (c for c in reference.columns if c.name == "b")
    cells = {name: cancer.frame[name[3:]].to_numpy() for name in ("in_a", "in_b")}
    column = segmented_column(texture, (20.0,), cells["in_b"], 20)
    more = segmented_reference(reference, column, cells, len(cancer.labels))
    put_in_force(context.engine, version.id, replace(reference, segments=(*reference.segments, more)))
    performance_job.run(context)
    before = kept(context)
    compose(context, version, (NOW - 24 * HOUR_US, NOW))
    assert kept(context) == before
    performance_job.run(two)
    assert len(kept(two)) == 4


def test_a_report_of_an_earlier_release_has_no_segments_of_performance(
    sqlite_context: JobContext, cancer: Cancer
) -> None:
    context = replace(by_radius(sqlite_context), multivariate=MultivariateSettings(enabled=False))
    save_reference(context, cancer)
    label(context, answered(context, cancer), cancer.labels, NOW - HOUR_US)
    (version,) = context.watched()
    content = compose(context, version, (NOW - 24 * HOUR_US, NOW)).content
    assert len(content["arms"][0].pop("segment_performance")) == 2
    assert "segments_breached" not in report_metrics(content)
    assert "By segment" not in render(content)
