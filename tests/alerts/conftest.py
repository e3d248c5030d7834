"""The files of the alerts room, as tests read them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ALERTS = Path(__file__).parents[2] / "alerts"


@pytest.fixture(scope="session")
def alerts_folder() -> Path:
    return ALERTS


@pytest.fixture(scope="session")
def rules() -> list[dict[str, Any]]:
    """All alert rules, in the order of the file."""
    document = yaml.safe_load((ALERTS / "driftline.rules.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]
