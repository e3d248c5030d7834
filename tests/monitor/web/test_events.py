"""`POST /ingest/cloudevents` refuses what it should before anything is kept."""

import requests
from event_rig import binary, event, structured
from site_rig import Serve, Site

from driftline.store.imports.settings import ImportSettings
from driftline.store.imports.waiting import event_accounts
from driftline.store.redaction import Redaction

IRIS = ("iris=models:/iris/3",)


def post(site: Site, body: bytes, headers: dict[str, str]) -> int:
    return requests.post(f"{site.url}/ingest/cloudevents", data=body, headers=headers, timeout=60).status_code


def test_a_body_beyond_the_limit_and_what_may_not_be_kept_are_refused(serve: Serve) -> None:
    headers, body = binary(event("request", {"instances": [[0.0] * 3] * 1000}))
    site = serve(imports=ImportSettings(IRIS, max_body_bytes=2000))
    assert post(site, body, headers) == 413
    assert post(site, b"\x1f\x8b", {**headers, "Content-Encoding": "gzip"}) == 415
    assert post(serve(imports=ImportSettings(IRIS), redaction=Redaction({"age": "drop"})), body, headers) == 409
    assert post(serve(), body, headers) == 422
    with site.context.engine.connect() as connection:
        assert not event_accounts(connection).waiting


def test_a_batch_is_taken_whole_or_not_at_all_and_what_is_no_prediction_is_passed_over(serve: Serve) -> None:
    site, batch = serve(imports=ImportSettings(IRIS)), {"Content-Type": "application/cloudevents-batch+json"}
    good, other = structured(event("request", {})), structured(event("request", {}, component="explainer"))
    foreign = structured(event("request", {}, inferenceservicename="someone-else"))
    assert post(site, b"[" + good + b"," + foreign + b"]", batch) == 422
    assert post(site, b"[" + other + b"]", batch) == 200
    assert post(site, b"[" + good + b"," + other + b"," + good + b"]", batch) == 200
    with site.context.engine.connect() as connection:
        found = event_accounts(connection)
    assert found.waiting == 1
    assert found.fates == {("", "no_model"): 1, ("", "other"): 2, ("iris", "repeated"): 1}
