"""The committed dashboards, as tests read them."""

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "dashboards"
FILES = sorted(FOLDER.glob("driftline-*.json"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    """One committed dashboard."""
    content: dict[str, Any] = json.loads(request.param.read_text())
    return content


@pytest.fixture(scope="session")
def boards() -> dict[str, dict[str, Any]]:
    """All committed dashboards by uid."""
    return {path.stem: json.loads(path.read_text()) for path in FILES}
