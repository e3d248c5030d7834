"""compose.yaml, the Dockerfile and deploy/ fit together; what they mount, run and scrape exists."""

import importlib
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import servers
import yaml

from driftline.cli.main import COMMANDS
from driftline.store.settings import load_base

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {name for name, service in SERVICES.items() if service["restart"] == "no"}
DEMO = {"demo-model", "demo-traffic"}  # which nobody waits for and nobody asks
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("driftline:")}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def mounts(name: str) -> list[tuple[str, str]]:
    """Return (source, target) of the service's volumes."""
    return [tuple(volume.split(":")[:2]) for volume in SERVICES[name].get("volumes", [])]  # type: ignore[misc]


def test_everything_of_the_product_is_there() -> None:
    assert set(SERVICES) - ONCE - DEMO == {
        "scorer", "monitor", "postgres", "mlflow", "prometheus", "alertmanager", "grafana"
    }  # fmt: skip
    assert {"store-upgrade", "demo-model"} == ONCE
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["demo"]} == DEMO


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_bounded_and_watched(name: str) -> None:
    service = SERVICES[name]
    image, tag = service["image"].rsplit(":", 1)
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?", tag), image
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert service["security_opt"] == ["no-new-privileges:true"]
    if name in ONCE | DEMO:
        assert "healthcheck" not in service
    else:
        assert service["restart"] == "unless-stopped"
        assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"])
    if name != "postgres":  # its entry point changes owner and user
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_the_image_has_the_version_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {SERVICES[name]["image"] for name in OURS} == {f"driftline:{project['version']}"}


def test_ports_are_published_on_loopback_only_and_once() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert len({port.split(":")[1] for port in published}) == len(published)


def test_what_a_service_waits_for_can_become_so() -> None:
    for service in SERVICES.values():
        for other, wait in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONCE else "service_healthy"
            optional = {} if other not in DEMO or service.get("profiles") else {"required": False}
            assert wait == {"condition": expected, **optional}


def test_nothing_scores_or_judges_before_the_schema_is_there() -> None:
    assert "store-upgrade" in SERVICES["scorer"]["depends_on"]
    assert "store-upgrade" in SERVICES["monitor"]["depends_on"]
    assert "postgres" in SERVICES["store-upgrade"]["depends_on"]


def test_mounted_files_exist_and_named_volumes_are_declared() -> None:
    for name in SERVICES:
        for source, _ in mounts(name):
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
            else:
                assert source in COMPOSE["volumes"], source


def test_no_secret_stands_in_the_file() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable:
                assert variable.endswith("_FILE"), variable
                assert value.removeprefix("/run/secrets/") in service["secrets"], name
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])


def test_make_secrets_makes_what_compose_reads_and_keeps_it(tmp_path: Path) -> None:
    def made() -> dict[str, str]:
        subprocess.run(["sh", ROOT / "deploy" / "make_secrets.sh", tmp_path], check=True, capture_output=True)
        return {path.name: path.read_text() for path in tmp_path.iterdir()}

    first = made()
    assert {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()} <= set(first)
    assert tmp_path.stat().st_mode & 0o077 == 0
    url = load_base(environ={"DRIFTLINE_CONFIG": str(tmp_path / "driftline.toml")}).store_url
    assert url == f"postgresql+psycopg://driftline:{first['postgres_password'].strip()}@postgres:5432/driftline"
    assert len(first["postgres_password"].strip()) == 48
    assert first["postgres_password"] != first["grafana_admin_password"]
    assert made() == first


def test_the_spool_lies_on_a_volume_and_the_ring_in_memory_that_outlives_the_scorer() -> None:
    scorer = {target: source for source, target in mounts("scorer")}
    ring = COMPOSE["volumes"][scorer[SERVICES["scorer"]["environment"]["DRIFTLINE_SPOOL_RING_FOLDER"]]]
    assert ring["driver_opts"]["type"] == "tmpfs"
    assert "uid=10001" in ring["driver_opts"]["o"]
    assert scorer["/var/lib/driftline"] in COMPOSE["volumes"]
    assert any(source == "ring" for source, _ in mounts("monitor"))


@pytest.mark.parametrize("name", ["scorer", "monitor", "store-upgrade", "demo-traffic"])
def test_our_commands_take_these_arguments(name: str) -> None:
    group, *arguments = [re.sub(r"\$\{\w+:-(.*)\}", r"\1", part) for part in SERVICES[name]["command"]]
    module, attribute = COMMANDS[group][0].split(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    context = command.make_context(group, arguments)
    if isinstance(command, click.Group):
        assert command.get_command(context, arguments[0]) is not None


def test_prometheus_accepts_its_configuration_where_compose_puts_it(tmp_path: Path) -> None:
    for source, target in mounts("prometheus"):
        if source.startswith("./"):
            place = tmp_path / target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, place)
    checked = subprocess.run(
        [servers.require("promtool"), "check", "config", tmp_path / "etc/prometheus/prometheus.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert re.search(r"SUCCESS: [1-9]\d* rules found", checked.stdout)


def test_prometheus_scrapes_the_ports_that_are_open() -> None:
    config = yaml.safe_load((ROOT / "alerts" / "prometheus.yml").read_text())
    scraped = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert scraped == {"driftline-scorer": ["scorer:9107"], "driftline-monitor": ["monitor:9108"]}
    for name in ("scorer", "monitor"):
        (_, port) = scraped[f"driftline-{name}"][0].split(":")
        assert f"127.0.0.1:{port}:{port}" in SERVICES[name]["ports"]


def test_grafana_finds_its_dashboards_and_data_sources() -> None:
    targets = dict(mounts("grafana"))
    provisioning = ROOT / "dashboards" / "provisioning"
    provider = yaml.safe_load((provisioning / "dashboards" / "driftline.yml").read_text())["providers"][0]
    assert provider["options"]["path"] == targets["./dashboards"]
    for source in yaml.safe_load((provisioning / "datasources" / "driftline.yml").read_text())["datasources"]:
        host, port = source["url"].removeprefix("http://").split(":")
        assert any(published.endswith(f":{port}") for published in SERVICES[host]["ports"])


def test_the_image_runs_as_nobody_special_from_a_pinned_base() -> None:
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.11\.\d+-slim-\w+$", DOCKERFILE, re.M)
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.M) == ["10001:10001"]
    assert "--constraint constraints.txt" in DOCKERFILE


def test_the_image_gets_every_room_of_the_package_and_nothing_else() -> None:
    rooms = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"].values())
    copied = {line.split()[1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (\w+) \1$", line)}
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == rooms
    assert rooms <= admitted
    assert not any("deploy" in line for line in admitted)
