"""The files of the alerts room, as tests read them."""

from pathlib import Path
from typing import Any

import pytest
from rule_cases import ALERTS, every_rule


@pytest.fixture(scope="session")
def alerts_folder() -> Path:
    return ALERTS


@pytest.fixture(scope="session")
def rules() -> list[dict[str, Any]]:
    """All alerting rules, in the order of the file."""
    return [rule for rule in every_rule() if "alert" in rule]
