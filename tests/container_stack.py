"""compose.yaml brought up in a folder of its own, by Docker or by Podman.

Podman runs health checks by timers of systemd; where there are none nobody would see a service become healthy, so a
thread runs them here, as a timer would.
"""

import json
import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
ENGINE = os.environ.get("CONTAINER_ENGINE", "podman")
COMPOSE = os.environ.get("COMPOSE", "docker compose").split()
PROJECT = "driftline-containers"
_MOUNTED = ("compose.yaml", "alerts", "dashboards", "deploy")
_CHECK_SECONDS = 1.0


@dataclass
class Stack:
    """The services that run.

    Attributes:
        folder: compose.yaml and what it mounts.
        services: what compose.yaml says of each service.
        healthy_since: when each service's check first succeeded after its last start, in seconds since the epoch.
    """

    folder: Path
    services: dict[str, dict[str, Any]]
    healthy_since: dict[str, float] = field(default_factory=dict)

    def compose(self, *arguments: str, seconds: float = 300) -> str:
        """Run compose and return what it printed; its errors are the test's."""
        command = [*COMPOSE, "--project-name", PROJECT, "--profile", "demo", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=seconds, check=False, env=os.environ
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what the engine knows of a service's container."""
        found = json.loads(engine("inspect", self.container(service)))
        return dict(found[0])

    def container(self, service: str) -> str:
        """Return the name that compose gives a service's only container."""
        return f"{PROJECT}-{service}-1"

    def inside(self, service: str, *command: str) -> str:
        """Run a command in a service's container and return what it printed."""
        return engine("exec", self.container(service), *command)

    def checked(self) -> list[str]:
        """Return the services that have a health check."""
        return [name for name, service in self.services.items() if "healthcheck" in service]

    def wait_healthy(self, service: str, seconds: float = 120) -> None:
        """Wait until a service's check succeeds."""
        until = time.monotonic() + seconds
        while not self.is_healthy(service):
            assert time.monotonic() < until, f"{service} did not become healthy: {self.logs(service)}"
            time.sleep(_CHECK_SECONDS)

    def is_healthy(self, service: str) -> bool:
        """Ask the engine; Podman runs the check for it."""
        if ENGINE == "podman":
            command = ["podman", "healthcheck", "run", self.container(service)]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        return bool(self.inspect(service)["State"]["Health"]["Status"] == "healthy")

    def logs(self, service: str) -> str:
        """Return the end of what a service printed."""
        done = subprocess.run(
            [ENGINE, "logs", "--tail", "30", self.container(service)], capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def look_after_health(self, stop: threading.Event) -> None:
        """Run every check again and again, and note when it first succeeded."""
        while not stop.wait(_CHECK_SECONDS):
            for name in self.checked():
                if self.is_healthy(name):
                    self.healthy_since.setdefault(name, time.time())


def engine(*arguments: str) -> str:
    """Run the container engine and return what it printed."""
    done = subprocess.run([ENGINE, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{ENGINE} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(*command: str) -> None:
    """Run a build by Podman's command line; it sees what pip is told on this machine."""
    environment = os.environ | {"CONTAINERS_CONF": os.environ["BUILD_CONTAINERS_CONF"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def assert_same_image(*names: str) -> None:
    """Compare the layers of two images, then all that their IDs are of."""
    first, second = (json.loads(engine("image", "inspect", name))[0] for name in names)
    assert first["RootFS"]["Layers"] == second["RootFS"]["Layers"]
    assert first["Id"] == second["Id"]


@contextmanager
def brought_up(folder: Path) -> Iterator[Stack]:
    """Bring the whole of compose.yaml up with the demo; take it down with its volumes at the end."""
    for name in _MOUNTED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    shutil.rmtree(folder / "deploy" / "secrets", ignore_errors=True)
    subprocess.run(["sh", "deploy/make_secrets.sh"], cwd=folder, check=True, capture_output=True)
    stack = Stack(folder, yaml.safe_load((ROOT / "compose.yaml").read_text())["services"])
    stop = threading.Event()
    checks = threading.Thread(target=stack.look_after_health, args=(stop,))
    checks.start()
    try:
        stack.compose("up", "--detach", "--wait", "--no-build", seconds=600)
        yield stack
    finally:
        stop.set()
        checks.join()
        if not os.environ.get("KEEP_CONTAINERS"):
            stack.compose("down", "--volumes", "--timeout", "45")


def invocation_ids(stack: Stack) -> set[uuid.UUID]:
    """Return the ids of all invocations in the store."""
    query = "select id from invocation"
    printed = stack.inside("postgres", "psql", "-U", "driftline", "-d", "driftline", "-At", "-c", query)
    return {uuid.UUID(line) for line in printed.split()}
