"""`POST /labels` takes what the command line takes, and says what became of it."""

import json

import pytest
import requests
from label_rig import about, labels, load_requests, request
from site_rig import Serve, Site

JSON, LINES, CSV = ("application/json", "application/x-ndjson", "text/csv; charset=utf-8")


@pytest.fixture(scope="module")
def site(serve: Serve) -> Site:
    return serve()


def post(site: Site, body: bytes | str, content_type: str, query: str = "", **headers: str) -> requests.Response:
    return requests.post(
        f"{site.url}/labels{query}", data=body, headers={"Content-Type": content_type, **headers}, timeout=60
    )


def test_labels_come_as_json_as_lines_and_as_csv(site: Site) -> None:
    one = request(*[(i, f"order {i}") for i in range(4)])
    load_requests(site.context.engine, site.context.home, one)
    found = post(site, json.dumps([about(one, 1, row=0), about(one, "?", row=1)]), JSON)
    assert found.status_code == 200, found.text
    assert found.json() == {"received": 2, "rejected": 1, "fates": {"stored": 1, "wrong_type": 1}}
    lines = "\n".join(json.dumps(about(one, row % 2, row=row)) for row in range(3))
    assert post(site, lines, LINES).json()["fates"] == {"stored": 2, "replaced": 1}
    found = post(site, "order,truth\norder 3,9\n", CSV, "?key_column=order&label=truth&model=buys")
    assert found.json()["fates"] == {"stored": 1}
    assert {row: value for (id_, row), value in labels(site.context.engine).items() if id_ == one.id} == {
        0: "0", 1: "1", 2: "0", 3: "9"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content_type", "body", "query", "status"),
    [
        ("text/plain", "{}", "", 415), ("", "{}", "", 415), ("multipart/form-data", "x", "", 415),
        (JSON, "[", "", 400), (CSV, "a,b\n1,2\n", "", 400), (JSON, "[]", "?color=red", 400),
        (JSON, "[]", "?repeated_keys=some", 400), (JSON, "[]", "?model=unknown", 400),
        (JSON, "[]", "?key_column=unknown", 400),
    ],
)  # fmt: skip
def test_what_is_not_asked_for_is_refused_in_one_line(
    site: Site, content_type: str, body: str, query: str, status: int
) -> None:
    found = post(site, body, content_type, query)
    assert found.status_code == status
    assert found.json()["error"]
    assert post(site, b"\x1f\x8b", JSON, **{"Content-Encoding": "gzip"}).status_code == 415


def test_a_body_beyond_the_limit_is_refused_before_it_is_loaded(serve: Serve) -> None:
    from driftline.store.labels.settings import LabelSettings

    site = serve(labels=LabelSettings(max_body_bytes=1000))
    assert post(site, '{"request_id": "a", "label": 1}\n' * 100, LINES).status_code == 413
    assert post(site, '{"request_id": "a", "label": 1}\n', LINES).json()["fates"] == {"pending": 1}


def test_labels_ask_for_the_token_where_one_is_set(locked: Site) -> None:
    assert post(locked, "[]", JSON).status_code == 401
    found = post(locked, "[]", JSON, Authorization="Bearer s3cret~token")
    assert (found.status_code, found.json()["received"]) == (200, 0)
