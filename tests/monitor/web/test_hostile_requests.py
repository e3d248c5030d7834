"""Requests that nobody sends by mistake get an answer of one line: never a 500, never one that blames the store."""

import http.client
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from seeded_store import SeededModel
from site_rig import Serve, Site

HUGE = "9" * 40
HOSTILE = [
    f"/reports/{HUGE}",
    f"/reports/{HUGE}/evidently",
    "/reports/9223372036854775807",
    "/reports/9223372036854775808",
    "/reports/0",
    "/r/%00/report/latest",
    "/r/a%2f..%2fb/report/latest",
    "/r/tiny/%00/latest",
    "/run/%2f%2fevil.example",
    "/run/%00",
    "/models/%00",
    "/models/..%2f..%2fetc%2fpasswd",
    "/models/tiny/columns/%00",
    "/models/tiny?version=%00",
    f"/models/tiny?version={HUGE}",
    "/models/tiny?arm=%00",
    "/models/tiny/columns/income?side=%00",
    "/models/tiny?days=%D9%A3",
    f"/?page={HUGE}",
    "//",
    "//evil.example/",
    "//evil.example/%2e%2e",
    "/%2fmetrics",
    "/driftline.css/../app.py",
    "/api/../../etc/passwd",
    "/api/models/%ff%fe",
    f"/api/models/tiny?q={'%00' * 2000}",
    f"/?q={'x' * 50_000}",
]


@dataclass(frozen=True)
class Answer:
    """What came back; ``location`` is empty where it leads nowhere."""

    status: int
    location: str
    text: str


def ask(site: Site, method: str, path: str) -> Answer:
    """Send a path as it is: other clients tidy it up."""
    with closing(http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=60)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers.get("location", ""), answer.read().decode())


def test_what_is_not_there_is_told_so_on_either_engine(serve: Serve, postgresql_url: str) -> None:
    for site in (serve(SeededModel("tiny")), serve(SeededModel("tiny"), store=postgresql_url)):
        for path in HOSTILE:
            answer = ask(site, "GET", path)
            assert answer.status in {200, 302, 307, 400, 404}, f"{path[:60]}: {answer.status} {answer.text[-400:]}"
            assert answer.location.startswith(("http://mlflow.example/#", site.url)) or not answer.location, path
            assert 'href="//' not in answer.text, path


def test_no_way_of_writing_a_path_or_a_method_leads_past_the_token(locked: Site) -> None:
    ways = ["/healthz/../metrics", "/healthz/", "//healthz", "/%2fhealthz", "/metrics?/healthz", "/healthz%00", "//api"]
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        for path in ("/", "/api", "/metrics", "/models/x", "/run/x", *ways):
            assert ask(locked, method, path).status == 401, f"{method} {path}"
