"""Model URIs of every kind against a real MLflow store; resolved in one child, because MLflow is slow to import."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scoring_servers import environment

from driftline.scorer.model_source import resolve
from driftline.store.errors import ModelNotFound

_RESOLVE = """
import json, sys
from driftline.scorer.model_source import current_version, may_move, resolve
from driftline.store.errors import ModelNotFound
assert "mlflow" not in sys.modules, "MLflow is imported when it is needed, not before"
found = {}
for uri in json.load(sys.stdin):
    try:
        source = resolve(uri)
        moving = {"may_move": may_move(uri), "now": current_version(uri)}
        found[uri] = {"path": str(source.path), **moving, **json.loads(source.identity.to_json())}
    except ModelNotFound as error:
        found[uri] = {"error": str(error)}
json.dump(found, sys.stdout)
"""
UNKNOWN = (
    "models:/nobody/1",
    "models:/linear/99",
    "models:/nobody",
    "runs:/0123456789/x",
    "s3",
    "models:/linear@nobody",
    "linear",
    "linear/2",
)


@pytest.fixture(scope="module")
def uris(models: Path, model_ids: dict[str, dict[str, str]]) -> dict[str, str]:
    run_id, model_id = model_ids["linear"]["run_id"], model_ids["linear"]["model_id"]
    return {
        "version": "models:/linear/1",
        "alias": "models:/linear@champion",
        "latest": "models:/linear/latest",
        "stage": "models:/linear/Production",
        "model id": f"models:/{model_id}",
        "run": f"runs:/{run_id}/linear",
        "path": str(models / "artifacts" / "models" / model_id / "artifacts"),
        "file": (models / "artifacts" / "models" / model_id / "artifacts").as_uri(),
        "no run": str(models / "bare"),
    }


@pytest.fixture(scope="module")
def resolved(models: Path, uris: dict[str, str]) -> dict[str, dict[str, Any]]:
    (models / "bare").mkdir()
    (models / "bare" / "MLmodel").write_text("flavors: {python_function: {loader_module: x}}\n")
    done = subprocess.run(
        [sys.executable, "-c", _RESOLVE],
        check=True,
        input=json.dumps([*uris.values(), *UNKNOWN]),
        env=environment(models),
        cwd=models,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["version", "alias", "stage", "model id", "run", "path", "file"])
def test_every_uri_of_a_model_leads_to_its_files_and_ids(
    kind: str, uris: dict[str, str], resolved: dict[str, dict[str, Any]], model_ids: dict[str, dict[str, str]]
) -> None:
    found = resolved[uris[kind]]
    assert (Path(found["path"]) / "MLmodel").is_file()
    assert (found["run_id"], found["model_id"]) == (model_ids["linear"]["run_id"], model_ids["linear"]["model_id"])
    assert found["flavor"] == "sklearn"
    assert json.loads(found["signature"]["inputs"])[0]["name"] == "a"
    assert found["created_at_us"] > 1_700_000_000_000_000
    assert found["uri"] == uris[kind]


@pytest.mark.parametrize(("kind", "version"), [("version", "1"), ("alias", "1"), ("latest", "2"), ("stage", "1")])
def test_a_registered_model_has_the_registrys_name_and_version(
    kind: str, version: str, uris: dict[str, str], resolved: dict[str, dict[str, Any]]
) -> None:
    found = resolved[uris[kind]]
    assert (found["name"], found["version"]) == ("linear", version)
    assert found["alias"] == ("champion" if kind == "alias" else None)


@pytest.mark.parametrize(
    ("kind", "now"),
    [
        ("alias", "1"),
        ("latest", "2"),
        ("stage", "1"),
        ("version", None),
        ("model id", None),
        ("run", None),
        ("path", None),
    ],
)
def test_an_alias_a_stage_and_the_latest_version_may_move(
    kind: str, now: str | None, uris: dict[str, str], resolved: dict[str, dict[str, Any]]
) -> None:
    found = resolved[uris[kind]]
    assert found["may_move"] == (now is not None)
    if now is not None:
        assert found["now"] == now


@pytest.mark.parametrize(
    ("kind", "name"), [("model id", "linear"), ("run", "linear"), ("path", "artifacts"), ("file", "artifacts")]
)
def test_another_model_has_its_artifacts_name_and_its_model_id_as_version(
    kind: str,
    name: str,
    uris: dict[str, str],
    resolved: dict[str, dict[str, Any]],
    model_ids: dict[str, dict[str, str]],
) -> None:
    found = resolved[uris[kind]]
    assert (found["name"], found["version"]) == (name, model_ids["linear"]["model_id"])


def test_a_model_of_no_run_has_its_signatures_fingerprint_as_version(
    uris: dict[str, str], resolved: dict[str, dict[str, Any]]
) -> None:
    found = resolved[uris["no run"]]
    assert (found["name"], found["run_id"], found["flavor"]) == ("bare", None, "python_function")
    assert len(found["version"]) == 12


@pytest.mark.parametrize("uri", UNKNOWN)
def test_an_unknown_model_is_one_line_with_the_next_step(uri: str, resolved: dict[str, dict[str, Any]]) -> None:
    message = resolved[uri]["error"]
    assert "\n" not in message
    assert uri in message
    assert "MLFLOW_TRACKING_URI" in message


def test_a_name_without_the_registrys_scheme_is_told_with_it(resolved: dict[str, dict[str, Any]]) -> None:
    assert resolved["linear"]["error"].endswith("`models:/linear/VERSION` or `models:/linear@ALIAS`")
    assert resolved["linear/2"]["error"].endswith("did you mean `models:/linear/2`?")
    assert "models:/" not in resolved["runs:/0123456789/x"]["error"]


def test_a_storage_whose_client_is_missing_is_one_line_with_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ModelNotFound, match="install the package that MLflow reads this storage with"):
        resolve("s3://nowhere/model")
