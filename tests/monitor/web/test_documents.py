"""What the documents under ``/api`` say."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest
from seeded_store import SeededModel
from site_rig import Serve, Site
from sqlalchemy import event, insert, select, update

from driftline.monitor.drift.verdict import Verdict
from driftline.monitor.multivariate.check import MultivariateDrift
from driftline.monitor.quality.finding import Kind, share_finding, unjudged
from driftline.monitor.rows.multivariate_rows import save_check
from driftline.monitor.rows.quality_rows import save_findings
from driftline.store import schema
from driftline.store.records import Arm, iso, now_us


def test_the_fleet_has_the_drifted_models_first_and_counts_verdicts(site: Site) -> None:
    fleet = site.get("/api").json()
    assert [m["verdict"] for m in fleet["models"]] == ["drift", "drift", "no reference", "no drift", "no drift"]
    assert fleet["verdicts"] | {"drift": 2, "no drift": 2, "no reference": 1} == fleet["verdicts"]
    cards = next(m for m in fleet["models"] if m["model"] == "fraud/cards")
    assert cards["drifted_columns"] == 2
    assert cards["worst_column"]["column"] in ("income", "plan")
    assert cards["since"] < cards["judged_at"]
    assert cards["path"] == "/models/fraud%2Fcards"


def test_traffic_and_latency_are_those_of_the_newest_requests(site: Site) -> None:
    churn = next(m for m in site.get("/api").json()["models"] if m["model"] == "churn")
    seen = churn["traffic"]
    assert (seen["requests"], seen["rows"], seen["failed"]) == (120, 120 * 12, 3)
    assert seen["requests_per_second"] == pytest.approx(120 / 3600, abs=1e-4)
    assert 0 < seen["latency_ms"]["p50"] < seen["latency_ms"]["p95"] < seen["latency_ms"]["p99"]


def test_an_alias_that_moved_is_told_until_the_version_is_loaded(serve: Serve) -> None:
    site = serve(SeededModel("moving", alias="champion", judgements=1))
    (before,) = site.get("/api").json()["models"]
    assert (before["alias"], before["in_sync"]) == ("champion", True)
    detail = {"arm": "champion", "uri": "models:/moving@champion", "to": "2", "from": "1"}
    with site.context.engine.begin() as connection:
        connection.execute(insert(schema.event).values(
            at=now_us(), kind="alias moved", detail=orjson.dumps(detail).decode()
        ))  # fmt: skip
    (moved,) = site.get("/api").json()["models"]
    assert (moved["in_sync"], moved["registry_version"]) == (False, "2")
    told = site.get("/api/models/moving").json()["events"][0]
    assert (told["kind"], told["version"], told["detail"]["from"]) == ("alias moved", "2", "1")
    assert "registry points to version 2" in site.get("/").text


def test_a_model_has_pictures_scores_jobs_and_episodes(site: Site) -> None:
    model = site.get("/api/models/fraud%2Fcards").json()
    assert {c["column"] for c in model["columns"][:2]} == {"income", "plan"}
    income = next(c for c in model["columns"] if c["column"] == "income")
    assert income["verdict"] == "drift"
    assert sum(income["picture"]["reference"]) == pytest.approx(1, abs=1e-3)
    assert sum(income["picture"]["window"]) == pytest.approx(1, abs=1e-3)
    assert income["ratio"] == pytest.approx(income["score"] / income["threshold"])
    assert model["scores"]["judgements"] == 48
    assert [p["drifted"] for p in model["scores"]["points"]][-1] == 2
    assert max(p["highest"] for p in model["scores"]["points"]) == pytest.approx(
        max(s["ratio"] for c in model["columns"] for s in c["scores"])
    )
    assert len(model["jobs"]["drift"]["runs"]) == 10
    assert {e["column"] for e in model["episodes"]} == {"income", "plan", None}
    assert sum(h["rows"] for h in model["rows_by_hour"]) > 0


def test_names_with_slashes_and_other_alphabets_are_found_encoded_and_as_they_are(site: Site) -> None:
    for path in ("/models/fraud%2Fcards", "/models/fraud/cards", "/models/kredit%20gr%C3%B6%C3%9Fe"):
        assert site.get(path).status_code == 200, path
        assert site.get(f"/api{path}").status_code == 200, path
    fleet = site.get("/api").json()
    for model in fleet["models"]:
        document = site.get("/api" + model["path"]).json()
        assert document["model"] == model["model"]
        for column in document["columns"]:
            found = site.get("/api" + column["path"]).json()
            assert (found["column"], found["side"]) == (column["column"], column["side"])
            assert site.get(column["path"]).status_code == 200


def test_a_columns_history_keeps_the_highest_score_of_what_it_thins(serve: Serve) -> None:
    site = serve(SeededModel("long", numeric=("a", "b"), judgements=600, interval_us=60_000_000))
    peaks = {300: 9.9, 401: 8.8, 502: 7.7, 503: 6.6}
    t = schema.drift_result
    with site.context.engine.begin() as connection:
        for run, peak in peaks.items():
            of_run = (t.c.column_name == "a") & (t.c.job_run_id == run)
            connection.execute(update(t).where(of_run).values(score=peak, verdict="drift"))
    history = site.get("/api/models/long/columns/a").json()["history"]
    assert len(history) <= 241
    assert {9.9, 8.8, 7.7} <= {h["score"] for h in history}
    assert history == sorted(history, key=lambda h: h["at"])


def test_the_history_goes_back_as_far_as_is_asked(serve: Serve) -> None:
    site = serve(SeededModel("old", numeric=("a", "b"), judgements=60, interval_us=6 * 3600 * 1_000_000))
    for days, least, most in ((1, 4, 5), (7, 28, 29), (28, 60, 60)):
        document = site.get(f"/api/models/old/columns/a?days={days}").json()
        assert least <= len(document["history"]) <= most
        first = datetime.fromisoformat(document["history"][0]["at"])
        assert first >= datetime.fromisoformat(document["at"]) - timedelta(days=days, seconds=1)


def test_columns_are_paged_filtered_and_sorted(serve: Serve) -> None:
    names = [f"feature_{i:03d}" for i in range(60)]
    site = serve(SeededModel("wide", numeric=names, drifted=names[40:43], judgements=2))
    first = site.get("/api/models/wide").json()
    assert {c["column"] for c in first["columns"][:3]} == set(names[40:43])
    assert first["paging"] == {"page": 1, "pages": 3, "per_page": 25, "found": 61, "of": 61}
    seen = [c["column"] for n in (1, 2, 3) for c in site.get(f"/api/models/wide?page={n}").json()["columns"]]
    assert sorted(seen) == sorted([*names, "prediction"])
    assert site.get("/api/models/wide?page=99").json()["paging"]["page"] == 3
    found = site.get("/api/models/wide?q=FEATURE_04&sort=name&verdict=no+drift").json()
    assert [c["column"] for c in found["columns"]] == [f"feature_{i:03d}" for i in range(43, 50)]


def test_errors_are_json_and_say_what_is_wrong(site: Site) -> None:
    for path, status, said in (
        ("/api/models/nobody", 404, "no such model"),
        ("/api/models/churn?version=7", 404, "no such version"),
        ("/api/models/churn/columns/none", 404, "no such column"),
        ("/api/nothing", 404, "nothing here"),
        ("/api?sort=weight", 400, "`sort` should be one of: severity"),
        ("/api/models/churn?days=0", 400, "`days` should be a whole number from 1 to 28"),
        ("/api/models/churn?page=%C2%B2", 400, "whole number"),
    ):
        answer = site.get(path)
        assert (answer.status_code, answer.json()["status"]) == (status, status), path
        assert said in answer.json()["error"], path
        assert site.get(path.removeprefix("/api")).status_code == status


def test_findings_on_quality_and_on_all_inputs_together_are_shown(serve: Serve) -> None:
    site = serve(SeededModel("odd", judgements=1))
    window, place = (now_us() - 3_600_000_000, now_us()), ("input", "age")
    kinds = [Kind.OUT_OF_RANGE, Kind.MISSING, Kind.UNSEEN_CATEGORY]
    findings = [
        share_finding(kinds[0], place, window, 900, (0.31, 0.01, 0.05), "31 % of `age` are out of range"),
        share_finding(kinds[1], place, window, 900, (0.0, 0.0, 0.02), "none are missing"),
        unjudged(kinds[2], place, window, 9, None, "9 rows, a verdict needs 100"),
    ]
    together = MultivariateDrift(window, 900, 900, 0.81, 9.5, {"age": 0.7}, Verdict.DRIFT, "told apart in 81 %")
    with site.context.engine.begin() as connection:
        run = connection.scalar(select(schema.job_run.c.id).limit(1))
        reference = connection.scalar(select(schema.reference.c.id))
        where = {"job_run_id": run, "model_version_id": site.ids["odd"], "arm": Arm.CHAMPION}
        save_findings(connection, findings, **where, at_us=window[1])
        save_check(connection, together, **where, reference_id=reference)
    model = site.get("/api/models/odd").json()
    assert (model["quality"]["checks"], model["quality"]["breaches"]) == (3, 1)
    assert [f["verdict"] for f in model["quality"]["findings"]] == ["breach", "insufficient data"]
    assert (model["multivariate"]["verdict"], model["multivariate"]["columns"]) == ("drift", {"age": 0.7})
    shown = site.get("/models/odd").text
    for said in (
        "1 of 3 checks fail",
        "31 % of <code>age</code> are out of range",
        "1 without a verdict",
        "told apart in",
    ):
        assert said in shown
    assert "<b>out of range</b>" in shown
    assert "<li>unseen category" in shown
    (fleet,) = site.get("/api").json()["models"]
    assert (fleet["quality_breaches"], fleet["multivariate_verdict"]) == (1, "drift")
    assert "inputs taken together" in site.get("/").text


def test_what_nobody_foresaw_is_told_in_the_form_that_was_asked_for(serve: Serve) -> None:
    site = serve(SeededModel("odd", judgements=1))
    with site.context.engine.begin() as connection:
        connection.execute(update(schema.event).values(detail="no JSON: a secret"))
    answer = site.get("/api")
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert "secret" not in answer.text
    assert site.get("/").status_code == 500
    assert "All models" in site.get("/").text


def test_a_store_that_is_away_leaves_the_last_verdicts_on_show(serve: Serve) -> None:
    site = serve(SeededModel("kept", judgements=1))
    assert site.get("/api").json()["models"][0]["model"] == "kept"
    (site.context.home / "driftline.sqlite").rename(site.context.home / "gone")
    (site.context.home / "driftline.sqlite").mkdir()
    servers_answer = site.get("/api").json()
    assert [m["model"] for m in servers_answer["models"]] == ["kept"]
    assert servers_answer["accounts"] is None
    assert site.get("/api/models/kept").status_code == 503
    assert "the store does not answer" in site.get("/models/kept").text


def test_damaged_profiles_take_the_pictures_away_and_nothing_else(serve: Serve) -> None:
    site = serve(SeededModel("damaged", judgements=2))
    with site.context.engine.begin() as connection:
        connection.execute(update(schema.profile).values(counts=b"damaged"))
    model = site.get("/api/models/damaged").json()
    assert {c["picture"] is None for c in model["columns"]} == {True}
    assert model["verdict"] == "no drift"
    assert site.get("/models/damaged").status_code == 200


def test_a_page_takes_as_many_statements_for_many_columns_as_for_few(serve: Serve) -> None:
    def statements(columns: int) -> int:
        site = serve(SeededModel("model", numeric=[f"c{i}" for i in range(columns)], judgements=3, profiles=5))
        site.get("/models/model")
        counted = []
        event.listen(site.context.engine, "before_cursor_execute", lambda *a: counted.append(a[2]))
        assert site.get("/models/model").status_code == 200
        return len(counted)

    assert statements(4) == statements(120)


def test_a_shadow_arm_is_shown_where_it_is_asked_for(serve: Serve) -> None:
    site = serve(SeededModel("armed", judgements=2))
    t, p = schema.drift_result, schema.profile
    with site.context.engine.begin() as connection:
        connection.execute(update(t).values(arm=1))
        for row in connection.execute(p.select()).mappings().all():
            connection.execute(insert(p).values({k: v for k, v in row.items() if k != "id"} | {"arm": 1}))
    model = site.get("/api/models/armed").json()
    assert [(v["version"], v["arm"], v["shown"]) for v in model["versions"]] == [
        ("1", "champion", True), ("1", "shadow", False),
    ]  # fmt: skip
    assert (model["verdict"], model["columns"]) == ("not judged yet", [])
    shadow = site.get("/api" + model["versions"][1]["path"]).json()
    assert (shadow["arm"], shadow["verdict"]) == ("shadow", "no drift")
    assert all("arm=shadow" in c["path"] for c in shadow["columns"])


def test_on_postgresql_all_is_the_same(serve: Serve, postgresql_url: str) -> None:
    model = SeededModel("twin", categories={"plan": ("basic", "plus")}, drifted=("income",), judgements=3)
    documents = [
        [site.get(path).json() for path in ("/api/models/twin", "/api/models/twin/columns/income")]
        for site in (serve(model), serve(model, store=postgresql_url))
    ]
    for here, there in zip(*documents, strict=True):
        assert here.keys() == there.keys()
        assert here["verdict"] == there["verdict"] == "drift"
        assert here["episodes"][0].keys() == there["episodes"][0].keys()
    assert documents[0][1]["picture"] == documents[1][1]["picture"]


def test_times_in_documents_are_iso_in_utc(site: Site) -> None:
    model = site.get("/api/models/churn").json()
    for at in (model["at"], model["trained_at"], model["window"]["end"], model["scores"]["points"][0]["at"]):
        assert iso(round(datetime.fromisoformat(at).timestamp() * 1e6)) == at


def test_every_key_of_the_documents_is_told_in_the_docs(site: Site) -> None:
    told = set(re.findall(r"`([a-z0-9_]+)`", (Path(__file__).parents[3] / "docs" / "status-page.md").read_text()))
    fleet, model = site.get("/api").json(), site.get("/api/models/fraud%2Fcards").json()
    column = site.get("/api/models/fraud%2Fcards/columns/income").json()
    documents = [fleet, fleet["models"][0], fleet["jobs"]["drift"], fleet["models"][0]["traffic"], model, column]
    documents += [model["columns"][0], column["picture"], column["window"], fleet["paging"], model["scores"]]
    for document in documents:
        assert set(document) <= told
