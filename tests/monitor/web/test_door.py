"""Who sees the pages where tokens are set."""

import base64
from pathlib import Path

import pytest
from site_rig import Serve, Site

from driftline.monitor.settings import MonitorSettings
from driftline.monitor.web.door import bearer
from driftline.store.errors import ConfigurationError


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def test_nothing_but_the_health_is_told_without_a_token(locked: Site) -> None:
    for path in (
        "/",
        "/api",
        "/metrics",
        "/driftline.css",
        "/models/x",
        "/r/x/report/latest",
        "/reports/1",
        "/nothing",
    ):
        answer = locked.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith('Basic realm="driftline"')
    assert locked.get("/healthz").status_code == 200


def test_a_token_opens_as_bearer_and_as_password(locked: Site) -> None:
    for headers in (
        {"Authorization": "Bearer s3cret~token"},
        {"authorization": "bearer s3cret~token"},
        basic("", "s3cret~token"),
        basic("user", "s3cret~token"),
    ):
        assert locked.get("/metrics", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        basic("s3cret~token", ""),
        basic("user", "s3cret~token:"),
        {"Authorization": "Basic s3cret~token"},
        {"Authorization": "Basic"},
        {"Authorization": "s3cret~token"},
    ],
)
def test_anything_else_stays_out(locked: Site, headers: dict[str, str]) -> None:
    assert locked.get("/", headers=headers).status_code == 401


def test_a_password_is_read_as_a_bearer_token() -> None:
    assert bearer(basic("who", "a:b")["Authorization"]) == b"Bearer a:b"
    assert bearer("Bearer x") == b"Bearer x"
    assert bearer("Basic %%%") == b""


def test_an_empty_token_file_stops_the_start(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "tokens").touch()
    with pytest.raises(ConfigurationError, match="no token"):
        serve(monitor=MonitorSettings(token_file=tmp_path / "tokens"))
