"""What kustomize makes of deploy/kubernetes, and how its resources are found and held against one another."""

import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import servers
import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "kubernetes"
Resource = dict[str, Any]
Resources = tuple[Resource, ...]


@functools.cache
def rendered(overlay: Path) -> Resources:
    """Return what ``kubectl kustomize`` makes of a folder; kubectl comes with the development extra."""
    kubectl = servers.require("kubectl", folders=(str(Path(sys.executable).parent),))
    done = subprocess.run([kubectl, "kustomize", overlay], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def overlay(folder: Path, *components: str, **settings: str) -> Path:
    """Write an overlay of the base with these components and settings into ``folder``."""
    base, *parts = (
        os.path.relpath(FOLDER / name, folder) for name in ("base", *(f"components/{c}" for c in components))
    )
    literals = [f"{name}={value}" for name, value in settings.items()]
    generator = {"name": "driftline-settings", "behavior": "merge", "literals": literals}
    document = {"resources": [base], "components": parts, "configMapGenerator": [generator] if settings else []}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    return folder


def of_kind(resources: Resources, kind: str) -> dict[str, Resource]:
    """Return the resources of a kind by name."""
    return {each["metadata"]["name"]: each for each in resources if each["kind"] == kind}


def pods(resources: Resources) -> dict[str, Resource]:
    """Return the pod templates by the name of what makes the pods."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]
        for each in resources
        if each["kind"] in ("StatefulSet", "Deployment", "Job")
    }


def container(template: Resource) -> Resource:
    """Return a pod's only container."""
    (only,) = template["spec"]["containers"]
    return dict(only)


def selects(labels: Mapping[str, str], template: Resource) -> bool:
    return labels.items() <= template["metadata"]["labels"].items()


def ports(template: Resource) -> dict[str, int]:
    """Return a container's ports by name."""
    return {port["name"]: port["containerPort"] for port in container(template).get("ports", [])}


def variables(resources: Resources, template: Resource) -> dict[str, str]:
    """Return the container's environment, as the kubelet makes it of maps, values and limits."""
    found: dict[str, str] = {}
    for source in container(template).get("envFrom", []):
        if "configMapRef" in source:
            found |= of_kind(resources, "ConfigMap")[source["configMapRef"]["name"]]["data"]
    for entry in container(template).get("env", []):
        if "value" in entry:
            found[entry["name"]] = entry["value"]
        else:
            kind, _, resource = entry["valueFrom"]["resourceFieldRef"]["resource"].partition(".")
            found[entry["name"]] = str(container(template)["resources"][kind][resource])
    return found


def arguments(resources: Resources, template: Resource) -> list[str]:
    """Return the container's arguments with their variables filled in."""
    known = variables(resources, template)
    return [re.sub(r"\$\((\w+)\)", lambda name: known[name[1]], part) for part in container(template)["args"]]


def probes(resources: Resources, name: str) -> set[str]:
    """Return the routes that the kubelet asks."""
    found = container(pods(resources)[name])
    return {found[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}


def write_config(folder: Path, url: str) -> None:
    """Write what the secret with the store's address holds to where ``as_process`` mounts it below ``folder``."""
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "driftline.toml").write_text(f'store = "{url}"\n')


def as_process(
    resources: Resources, name: str, folder: Path, listening: Mapping[int, int]
) -> tuple[list[str], dict[str, str]]:
    """Return command and environment of a pod's container as a process of this machine.

    Args:
        folder: each mount is the folder of the volume's name in it.
        listening: by the container's port, the one to take here, on loopback.
    """
    template = pods(resources)[name]
    places = {mount["mountPath"]: str(folder / mount["name"]) for mount in container(template)["volumeMounts"]}
    for place in places.values():
        Path(place).mkdir(parents=True, exist_ok=True)

    def here(text: str) -> str:
        mounted = re.match(rf"({'|'.join(map(re.escape, places))})(?=/|$)", text)
        text = places[mounted[1]] + text[mounted.end() :] if mounted else text
        return text.replace("0.0.0.0", "127.0.0.1")

    def port(argument: str) -> str:
        flag, _, number = argument.partition("=")
        return f"{flag}={listening[int(number)]}" if flag.endswith("port") else argument

    given = {name: here(value) for name, value in variables(resources, template).items()}
    program = str(Path(sys.executable).with_name("driftline"))
    command = [program, *(port(here(part)) for part in arguments(resources, template))]
    return command, {**os.environ, **given, "TMPDIR": places["/tmp"]}


def quantity(text: str) -> int:
    """Return the bytes of a quantity such as ``10Gi``."""
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|Gi|)", text).groups()  # type: ignore[union-attr]
    return int(number) << {"": 0, "Ki": 10, "Mi": 20, "Gi": 30}[unit]


def selectors(resources: Resources) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield what selects pods by labels, and the labels."""
    for each in resources:
        kind, name, spec = each["kind"], each["metadata"]["name"], each.get("spec", {})
        if kind == "Service":
            yield f"{kind} {name}", spec["selector"]
        elif kind in ("StatefulSet", "Deployment", "PodDisruptionBudget", "PodMonitor"):
            yield f"{kind} {name}", spec["selector"]["matchLabels"]
        elif kind == "NetworkPolicy":
            yield f"{kind} {name}", spec["podSelector"]["matchLabels"]
