"""What pyproject.toml allows is what the contract tests run with."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_TEST_MODELS = {"scikit-learn"}  # not driftline's own


def _dependencies() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {found.name: found for found in map(Requirement, project["dependencies"])}


def _requirements(name: str) -> dict[str, Requirement]:
    lines = (HERE / f"{name}.txt").read_text().splitlines()
    return {found.name: found for found in map(Requirement, filter(lambda line: not line.startswith("#"), lines))}


def _bound(requirement: Requirement, operator: str) -> str | None:
    return next((found.version for found in requirement.specifier if found.operator == operator), None)


def test_the_oldest_environment_is_the_lower_bounds() -> None:
    oldest = _requirements("oldest")
    lower = {name: _bound(requirement, ">=") for name, requirement in _dependencies().items()}
    assert {name: _bound(found, "==") for name, found in oldest.items() if name not in _TEST_MODELS} == lower


def test_the_newest_environment_ends_where_the_upper_bounds_do() -> None:
    dependencies = _dependencies()
    for name, requirement in _requirements("newest").items():
        if name not in _TEST_MODELS:
            assert _bound(requirement, "<") == _bound(dependencies[name], "<"), name


@pytest.mark.parametrize("name", sorted(_dependencies()))
def test_this_environment_lies_in_the_range(name: str) -> None:
    assert version(name) in _dependencies()[name].specifier


def test_the_page_names_the_oldest_versions() -> None:
    page = (ROOT / "docs" / "environments.md").read_text()
    oldest = _requirements("oldest")
    for name, label in {"mlflow": "MLflow", "pandas": "pandas", "numpy": "NumPy", "SQLAlchemy": "SQLAlchemy",
                        "fastapi": "FastAPI"}.items():  # fmt: skip
        assert re.search(rf"^\| {label} \| {re.escape(str(_bound(oldest[name], '==')))} \|", page, re.M), label
