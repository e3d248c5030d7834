"""The manifests fit together, and what they say of driftline is so: flags, variables, ports, routes, times, sizes."""

import importlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml
from kubernetes_rig import (
    FOLDER,
    ROOT,
    Resources,
    arguments,
    container,
    of_kind,
    pods,
    ports,
    quantity,
    selectors,
    selects,
    variables,
)

from driftline.cli.main import COMMANDS
from driftline.cli.store import store
from driftline.monitor.settings import MonitorSettings
from driftline.monitor.web import door as monitors
from driftline.scorer import door as scorers
from driftline.scorer import loader_child
from driftline.scorer.settings import ScorerSettings
from driftline.store.errors import ConfigurationError
from driftline.store.loader.settings import LoaderSettings
from driftline.store.metric_catalogue import load_catalogue
from driftline.store.settings import load_base, load_section
from driftline.store.spool.settings import SpoolSettings

PODS = ("driftline-scorer", "driftline-monitor", "driftline-store-upgrade")


def command(resources: Resources, name: str) -> tuple[click.Command, dict[str, Any]]:
    """Return our command that a container runs, and what it reads of its arguments."""
    group, *rest = arguments(resources, pods(resources)[name])
    module, attribute = COMMANDS[group][0].split(":")
    found: click.Command = getattr(importlib.import_module(module), attribute)
    context = found.make_context(group, rest)
    if not isinstance(found, click.Group):
        return found, context.params
    below = found.get_command(context, rest[0])
    assert below is not None
    return below, below.make_context(rest[0], rest[1:]).params


def settings(resources: Resources, name: str) -> dict[str, str]:
    """Return a pod's variables but the one that names a file of the pod."""
    return {
        key: value for key, value in variables(resources, pods(resources)[name]).items() if key != "DRIFTLINE_CONFIG"
    }


def test_all_that_is_ours_has_our_name_and_lies_in_one_namespace(example: Resources) -> None:
    for each in example:
        if each["kind"] == "Namespace":
            assert each["metadata"]["name"] == "driftline"
        else:
            assert each["metadata"]["namespace"] == "driftline"
        assert each["metadata"]["name"].startswith("driftline")


def test_what_selects_pods_finds_the_pods_that_it_is_named_after(example: Resources) -> None:
    templates = pods(example)
    for what, labels in selectors(example):
        kind, name = what.split()
        found = {pod for pod, template in templates.items() if selects(labels, template)}
        if what == "NetworkPolicy driftline":
            assert found == set(PODS)
        else:
            assert found == {name.removesuffix("-pods")}, (kind, name)


def test_pods_of_a_kind_are_spread_over_nodes_and_zones_and_taken_away_one_by_one(example: Resources) -> None:
    budgets = of_kind(example, "PodDisruptionBudget")
    for name in PODS[:2]:
        template = pods(example)[name]
        spread = template["spec"]["topologySpreadConstraints"]
        assert [each["topologyKey"] for each in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        assert all(selects(each["labelSelector"]["matchLabels"], template) for each in spread)
        assert budgets[name]["spec"]["maxUnavailable"] == 1


def test_ports_that_are_named_are_ports_of_the_pods(example: Resources) -> None:
    templates = pods(example)
    for name, service in of_kind(example, "Service").items():
        known = ports(templates[name.removesuffix("-pods")])
        assert [known[port["targetPort"]] for port in service["spec"]["ports"]] == [
            port["port"] for port in service["spec"]["ports"]
        ]
    for name, monitor in of_kind(example, "PodMonitor").items():
        assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} == {"metrics"}
        assert "metrics" in ports(templates[name])
    for name in PODS[:2]:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container(templates[name])[probe]["httpGet"]["port"] in ports(templates[name])


def test_probes_ask_routes_that_need_no_token(example: Resources) -> None:
    for name, routes in (("driftline-scorer", scorers._LIFE_SIGNS), ("driftline-monitor", monitors._OPEN_PATHS)):
        found = container(pods(example)[name])
        asked = {found[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
        assert asked <= set(routes)


def test_our_commands_take_these_arguments_and_listen_where_the_ports_are(example: Resources) -> None:
    _, scorer = command(example, "driftline-scorer")
    assert ports(pods(example)["driftline-scorer"]) == {"scoring": scorer["port"], "metrics": scorer["metrics_port"]}
    _, monitor = command(example, "driftline-monitor")
    assert ports(pods(example)["driftline-monitor"]) == {"metrics": monitor["port"]}
    assert scorer["host"] == monitor["host"] == "0.0.0.0"
    assert scorer["model_uri"] == "models:/churn@champion"
    assert scorer["start_without_store"] is True
    upgrade, _ = command(example, "driftline-store-upgrade")
    assert upgrade.name == "upgrade"


@pytest.mark.parametrize("name", PODS)
def test_variables_of_ours_are_settings_that_exist(example: Resources, name: str) -> None:
    ours = settings(example, name)
    assert str(load_base(environ=ours).home) == "/var/lib/driftline"
    sections = {"spool": SpoolSettings, "loader": LoaderSettings, "scorer": ScorerSettings, "monitor": MonitorSettings}
    for section, cls in sections.items():
        load_section(cls, section, environ=ours)
    with pytest.raises(ConfigurationError, match="SPOOL_MAX_BITES"):
        load_section(SpoolSettings, "spool", environ={**ours, "DRIFTLINE_SPOOL_MAX_BITES": "1"})


@pytest.mark.parametrize("name", PODS)
def test_no_service_puts_variables_into_a_pod_that_would_be_taken_for_settings(example: Resources, name: str) -> None:
    assert pods(example)[name]["spec"]["enableServiceLinks"] is False  # DRIFTLINE_SCORER_SERVICE_HOST and the like


@pytest.mark.parametrize("name", PODS)
def test_a_pod_can_do_little_and_takes_a_bounded_share(example: Resources, name: str) -> None:
    pod = pods(example)[name]["spec"]
    security = pod["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (10001, 10001, 10001)
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container({"spec": pod})["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    resources = container({"spec": pod})["resources"]
    for side in ("requests", "limits"):
        assert set(resources[side]) == {"cpu", "memory", "ephemeral-storage"}
    account = pod.get("serviceAccountName")
    assert account is None or of_kind(example, "ServiceAccount")[account]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", PODS)
def test_what_is_mounted_is_there_and_every_path_that_is_named_is_mounted(example: Resources, name: str) -> None:
    template = pods(example)[name]
    volumes = {volume["name"] for volume in template["spec"]["volumes"]}
    if name == "driftline-scorer":
        claims = of_kind(example, "StatefulSet")[name]["spec"]["volumeClaimTemplates"]
        volumes |= {claim["metadata"]["name"] for claim in claims}
    mounts = {mount["mountPath"]: mount["name"] for mount in container(template)["volumeMounts"]}
    assert set(mounts.values()) == volumes
    known = variables(example, template)
    named = [known["DRIFTLINE_HOME"], str(Path(known["DRIFTLINE_CONFIG"]).parent), "/tmp"]
    assert {*named, *([known["DRIFTLINE_SPOOL_RING_FOLDER"]] if name == "driftline-scorer" else [])} == set(mounts)


def test_each_pod_sees_its_own_configuration_and_no_secret_stands_in_a_variable(example: Resources) -> None:
    keys = {}
    for name in PODS:
        (volume,) = [each for each in pods(example)[name]["spec"]["volumes"] if "secret" in each]
        (item,) = volume["secret"]["items"]
        assert (volume["secret"]["secretName"], item["path"]) == ("driftline-config", "driftline.toml")
        assert volume["secret"]["defaultMode"] == 0o440
        keys[name] = item["key"]
        assert "DRIFTLINE_STORE" not in variables(example, pods(example)[name])
    assert len(set(keys.values())) == 3
    assert not of_kind(example, "Secret")


def test_a_pod_that_stops_has_time_to_answer_to_write_and_to_load(example: Resources) -> None:
    pod = pods(example)["driftline-scorer"]["spec"]
    _, flags = command(example, "driftline-scorer")
    before = container({"spec": pod})["lifecycle"]["preStop"]["sleep"]["seconds"]
    spool = load_section(SpoolSettings, "spool", environ=settings(example, "driftline-scorer"))
    loader = load_section(LoaderSettings, "loader", environ=settings(example, "driftline-scorer"))
    longest = before + flags["timeout"] + spool.drain_seconds + loader.drain_seconds + loader_child._GRACE_SECONDS
    assert pod["terminationGracePeriodSeconds"] >= longest
    assert before >= 5


def test_disk_and_memory_hold_what_the_spool_may_take(example: Resources) -> None:
    template = pods(example)["driftline-scorer"]
    spool = load_section(SpoolSettings, "spool", environ=settings(example, "driftline-scorer"))
    (claim,) = of_kind(example, "StatefulSet")["driftline-scorer"]["spec"]["volumeClaimTemplates"]
    disk = quantity(claim["spec"]["resources"]["requests"]["storage"])
    assert spool.max_bytes + spool.min_free_bytes < disk
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container(template)["volumeMounts"]}
    ring = volumes[mounts[str(spool.memory_folder)]]["emptyDir"]
    assert ring["medium"] == "Memory"
    _, flags = command(example, "driftline-scorer")
    size = quantity(ring["sizeLimit"])
    assert 2 * flags["workers"] * (spool.ring_bytes + spool.overflow_bytes) <= size  # and what dead workers left
    assert size < quantity(container(template)["resources"]["requests"]["memory"])


def test_the_autoscaler_asks_for_a_metric_that_scorers_export_and_the_adapter_gives(
    example: Resources, base: Resources
) -> None:
    (scaler,) = of_kind(example, "HorizontalPodAutoscaler").values()
    (metric,) = scaler["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    known = load_catalogue()[name]
    assert (known.type, known.exported) == ("gauge", True)
    (rule,) = yaml.safe_load((FOLDER / "components/autoscaling/prometheus-adapter.yaml").read_text())["rules"]["custom"]
    assert rule["name"]["as"] == name
    assert rule["seriesQuery"].startswith(f"{name}{{")
    target = scaler["spec"]["scaleTargetRef"]
    scaled = of_kind(example, target["kind"])[target["name"]]
    assert target["apiVersion"] == scaled["apiVersion"]
    assert "replicas" not in scaled["spec"]  # else each apply would undo what the autoscaler did
    assert of_kind(base, target["kind"])[target["name"]]["spec"]["replicas"] == scaler["spec"]["minReplicas"]


def test_scrapes_have_the_job_names_that_rules_ask_for(example: Resources) -> None:
    jobs = {job["job_name"] for job in yaml.safe_load((ROOT / "alerts/prometheus.yml").read_text())["scrape_configs"]}
    found = set()
    for monitor in of_kind(example, "PodMonitor").values():
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        relabelled = {step["targetLabel"]: step for step in endpoint["relabelings"]}
        assert relabelled["instance"]["sourceLabels"] == ["__meta_kubernetes_pod_name"]
        found.add(relabelled["job"]["replacement"])
    assert found == jobs


def allowed(example: Resources, pod: str, direction: str) -> list[dict[str, Any]]:
    """Return the rules of the policies that select a pod."""
    return [
        rule
        for policy in of_kind(example, "NetworkPolicy").values()
        if selects(policy["spec"]["podSelector"]["matchLabels"], pods(example)[pod])
        for rule in policy["spec"].get(direction, [])
    ]


def test_policies_let_through_what_is_needed_and_nothing_else(example: Resources) -> None:
    def ports_of(pod: str, direction: str, peers: Callable[[Any], bool] = lambda _: True) -> set[int | str]:
        side = {"ingress": "from", "egress": "to"}[direction]
        return {
            port["port"] for rule in allowed(example, pod, direction) if peers(rule.get(side)) for port in rule["ports"]
        }

    for policy in of_kind(example, "NetworkPolicy").values():
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    mlflow, postgresql, https, dns = 5000, 5432, 443, 53
    uri = variables(example, pods(example)["driftline-scorer"])["MLFLOW_TRACKING_URI"]
    assert uri.endswith(f":{mlflow}")
    for pod in PODS[:2]:
        assert ports_of(pod, "egress") == {dns, postgresql, mlflow, https}
    assert ports_of("driftline-store-upgrade", "egress") == {dns, postgresql}
    assert ports_of("driftline-store-upgrade", "ingress") == set()

    def from_prometheus(peers: Any) -> bool:
        names = {"kubernetes.io/metadata.name": "monitoring"}
        return bool(peers) and any(p.get("namespaceSelector", {}).get("matchLabels") == names for p in peers)

    assert ports_of("driftline-scorer", "ingress", from_prometheus) == {"metrics"}
    assert ports_of("driftline-scorer", "ingress", lambda peers: peers is None) == {"scoring"}
    assert ports_of("driftline-monitor", "ingress", from_prometheus) == {"metrics"}
    assert ports_of("driftline-monitor", "ingress", lambda peers: peers is None) == set()
    (named,) = [
        rule
        for rule in allowed(example, "driftline-scorer", "egress")
        if {"protocol": "UDP", "port": dns} in rule["ports"]
    ]
    assert {"protocol": "TCP", "port": dns} in named["ports"]


def test_the_job_for_a_volume_that_was_left_is_the_scorers_but_for_its_command(base: Resources) -> None:
    job = yaml.safe_load((FOLDER / "load-spool.yaml").read_text())
    kubernetes_validate.validate(job, "1.37", strict=True)
    found, scorer = job["spec"]["template"]["spec"], pods(base)["driftline-scorer"]["spec"]
    assert container({"spec": found})["args"] == ["store", "load"]
    assert isinstance(store, click.Group)
    assert "load" in store.commands
    for key in ("runAsUser", "runAsNonRoot", "fsGroup", "seccompProfile"):
        assert found["securityContext"][key] == scorer["securityContext"][key]
    mounts = [
        {each["mountPath"]: each["name"] for each in container({"spec": pod})["volumeMounts"]}
        for pod in (found, scorer)
    ]
    assert mounts[0].items() <= mounts[1].items()
    volumes = {each["name"]: each for each in found["volumes"]}
    assert volumes["home"]["persistentVolumeClaim"] == {"claimName": "CLAIM"}
    assert volumes["config"] in scorer["volumes"]
    assert set(volumes) == set(mounts[0].values())


def test_two_monitors_stand_ready_and_the_image_has_the_version_of_the_package(
    example: Resources, base: Resources
) -> None:
    assert of_kind(example, "Deployment")["driftline-monitor"]["spec"]["replicas"] == 2
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name in PODS:
        assert container(pods(base)[name])["image"] == f"driftline:{version}"
        assert container(pods(example)[name])["image"] == f"registry.example.org/driftline:{version}"
