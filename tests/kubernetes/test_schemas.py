"""The manifests are what Kubernetes and the Prometheus operator take: checked against their published schemas.

kustomize is the one in kubectl, the schemas are those of ``kubernetes-validate``, strict: an unknown field is an error.
Custom resources are held against models that were made from the operator's definitions.
"""

import functools
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import kubernetes_validate
import pytest
import servers
import yaml
from kubernetes_rig import FOLDER, ROOT, Resource, Resources, container, of_kind, overlay, pods, rendered

OPERATORS = "monitoring.coreos.com/v1"
RELEASES = ("1.30", "1.37")  # the first that can sleep before a pod stops, and the newest with a schema


@functools.cache
def operator_models() -> ModuleType:
    """Return the models of the operator's resources, without those beside them, which take seconds to import."""
    package = importlib.util.find_spec("cloudcoil.models")
    assert package is not None
    assert package.submodule_search_locations is not None
    path = Path(next(iter(package.submodule_search_locations))) / "prometheus_operator" / "v1.py"
    spec = importlib.util.spec_from_file_location("prometheus_operator_v1", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fits_operator(resource: Resource) -> bool:
    """Return whether the model takes it and knows each of its fields: one that it does not know it leaves out."""
    model = getattr(operator_models(), resource["kind"]).model_validate(resource)
    return bool(model.model_dump(by_alias=True, exclude_unset=True, mode="json") == resource)


@pytest.mark.parametrize("release", RELEASES)
def test_each_resource_fits_the_schema_of_its_kind(example: Resources, release: str) -> None:
    for resource in example:
        if resource["apiVersion"] != OPERATORS:
            kubernetes_validate.validate(resource, release, strict=True)


def test_a_field_that_kubernetes_does_not_know_would_be_found(example: Resources) -> None:
    wrong = {**of_kind(example, "StatefulSet")["driftline-scorer"]}
    wrong["spec"] = {**wrong["spec"], "replica": 2}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, RELEASES[-1], strict=True)


def test_the_operators_resources_fit_their_definitions(example: Resources) -> None:
    resources = [each for each in example if each["apiVersion"] == OPERATORS]
    assert sorted(each["kind"] for each in resources) == ["PodMonitor", "PodMonitor", "PrometheusRule"]
    assert all(fits_operator(each) for each in resources)
    monitor = resources[0] if resources[0]["kind"] == "PodMonitor" else resources[1]
    assert not fits_operator({**monitor, "spec": {**monitor["spec"], "selectors": {}}})


def test_the_base_alone_asks_for_nothing_that_is_not_in_every_cluster(base: Resources) -> None:
    assert {each["apiVersion"].split("/")[0] for each in base} == {"v1", "apps", "batch", "policy", "networking.k8s.io"}
    for resource in base:
        kubernetes_validate.validate(resource, RELEASES[-1], strict=True)


def test_the_rules_are_those_of_alerts_word_for_word(example: Resources) -> None:
    (rule,) = of_kind(example, "PrometheusRule").values()
    assert rule["spec"] == yaml.safe_load((ROOT / "alerts" / "driftline.rules.yml").read_text())


def test_each_board_is_in_a_config_map_that_grafanas_sidecar_finds(example: Resources) -> None:
    boards = {path.name: path.read_text() for path in (ROOT / "dashboards").glob("driftline-*.json")}
    maps = of_kind(example, "ConfigMap").values()
    found = [each["data"] for each in maps if each["metadata"].get("labels", {}).get("grafana_dashboard") == "1"]
    assert {name: text for data in found for name, text in data.items()} == boards
    assert max(len(text) for text in boards.values()) < 1 << 20  # of a ConfigMap


def test_an_ephemeral_home_takes_the_place_of_the_claim_and_of_nothing_else(base: Resources, tmp_path: Path) -> None:
    resources = rendered(overlay(tmp_path, "ephemeral-spool"))
    scorer = of_kind(resources, "StatefulSet")["driftline-scorer"]
    kubernetes_validate.validate(scorer, RELEASES[-1], strict=True)
    assert "volumeClaimTemplates" not in scorer["spec"]
    pod = pods(resources)["driftline-scorer"]["spec"]
    assert {"name": "home", "emptyDir": {"sizeLimit": "10Gi"}} in pod["volumes"]
    assert container({"spec": pod})["resources"]["limits"]["ephemeral-storage"] == "15Gi"
    before = pods(base)["driftline-scorer"]["spec"]
    assert container({"spec": before})["volumeMounts"] == container({"spec": pod})["volumeMounts"]


@pytest.mark.prometheus
def test_the_adapters_query_averages_a_minute_by_pod(tmp_path: Path) -> None:
    path = FOLDER / "components" / "autoscaling" / "prometheus-adapter.yaml"
    (rule,) = yaml.safe_load(path.read_text())["rules"]["custom"]
    asked = rule["metricsQuery"]
    filled = {"Series": rule["name"]["as"], "LabelMatchers": 'namespace="n",pod=~"a|b"', "GroupBy": "pod"}
    for name, text in filled.items():
        asked = asked.replace(f"<<.{name}>>", text)

    def series(pod: str, model: str, values: str, namespace: str = "n") -> dict[str, str]:
        labels = f'namespace="{namespace}",pod="{pod}",model_name="{model}"'
        return {"series": f"{rule['name']['as']}{{{labels}}}", "values": values}

    case: dict[str, Any] = {
        "interval": "15s",
        "input_series": [series("a", "one", "8 8 8 8 0"), series("a", "two", "1x4"), series("b", "one", "2x4"),
                         series("b", "one", "9x4", "another")],
        "promql_expr_test": [{
            "expr": asked, "eval_time": "45s",
            "exp_samples": [{"labels": '{pod="a"}', "value": 9}, {"labels": '{pod="b"}', "value": 2}],
        }],
    }  # fmt: skip
    (tmp_path / "case.yml").write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [case]}))
    command = [servers.require("promtool"), "test", "rules", tmp_path / "case.yml"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
