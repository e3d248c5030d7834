"""Fixtures of the tests of retention."""

from pathlib import Path

import pytest
import store_traffic as traffic
from sqlalchemy import Engine

from driftline.store.engine import writing
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.references import save_reference


@pytest.fixture
def home(engine: Engine, tmp_path: Path) -> Path:
    """A home whose store knows the model and its reference."""
    with writing(engine) as connection:
        save_reference(connection, ensure_model_version(connection, traffic.CLF).id, traffic.clf_reference())
    return tmp_path
