"""The OpenAPI documents say what is answered: Schemathesis finds no 500 and nothing that they do not tell."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import requests
from http_surface_rig import Surface
from scoring_servers import BIN
from starlette.routing import Route

from driftline.monitor.web import app
from driftline.monitor.web.openapi import openapi

pytestmark = pytest.mark.thorough

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "4")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def schemathesis(document: str, url: str, folder: Path, *flags: str) -> None:
    """Run it on a server; what it found is the failure's text. One worker: Python 3.11's parser knows no other."""
    command = [
        str(BIN / "schemathesis"), "run", document, "--url", url, "--checks", CHECKS, "--max-examples", EXAMPLES,
        "--seed", "1", "--generation-database", "none", "--no-color", "--workers", "1", "--request-timeout", "20",
        "--phases", "coverage,fuzzing",
        "--warnings", "off", "--no-shrink", "--continue-on-failure", *flags,
    ]  # fmt: skip
    found = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, timeout=3600)
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-2_000:]


@pytest.mark.parametrize("name", ["scorer", "proxy"])
def test_what_answers_for_models_answers_as_its_document_says(surface: Surface, tmp_path: Path, name: str) -> None:
    server = getattr(surface, name)
    document = f"http://127.0.0.1:{server.metrics_port}/openapi.json"
    schemathesis(document, f"http://127.0.0.1:{server.port}", tmp_path, "--mode", "positive")
    # MLflow answers 500 where no type is sent at all (tests/scoring_corpus.py), and so do we: here all is sent as JSON.
    schemathesis(document, f"http://127.0.0.1:{server.port}", tmp_path, "--header", "Content-Type: application/json")
    assert server.ask("GET", "/ping").status == 200


def test_the_monitor_answers_as_its_document_says(surface: Surface, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{surface.monitor_port}"
    schemathesis(f"{url}/openapi.json", url, tmp_path)
    assert requests.get(f"{url}/healthz", timeout=60).status_code == 200


def test_the_monitors_document_tells_of_every_route_and_of_no_other() -> None:
    written = re.findall(r'Route\(\s*"([^"]+)"', Path(app.__file__).read_text())
    assert {Route(path, lambda _: None).path_format for path in written} - {"/api/"} == set(openapi("1")["paths"])


def test_the_scoring_port_keeps_mlflows_own_document(surface: Surface) -> None:
    document = requests.get(f"http://127.0.0.1:{surface.scorer.port}/openapi.json", timeout=60).json()
    assert document["info"]["title"] == "FastAPI"
    ours = requests.get(f"http://127.0.0.1:{surface.scorer.metrics_port}/openapi.json", timeout=60).json()
    assert set(document["paths"]) == set(ours["paths"])
    assert "driftline_scorer" in surface.scorer.metrics_text()
