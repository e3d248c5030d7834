"""Write the configurations with which Podman builds and runs on this machine, outside of what is built.

    python host_configuration.py FOLDER

``FOLDER/run.conf`` and ``FOLDER/build.conf`` are for CONTAINERS_CONF. Both make up for a machine without systemd. The
second lets builds see what pip is told here (index, certificates), read-only, so that no Dockerfile needs to know.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

_CERTIFICATES = "/run/host-certificates.crt"
_WITHOUT_SYSTEMD = {
    "containers": ['default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]'],
    "engine": ['runtime = "runc"', 'cgroup_manager = "cgroupfs"', 'events_logger = "file"'],
}


def pip_settings() -> dict[str, str]:
    """Return what pip is told by files and variables; variables win, as they do for pip."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    pairs = [line.split("=", maxsplit=1) for line in listed.splitlines() if "=" in line]
    ordered = sorted(pairs, key=lambda pair: pair[0].startswith(":env:"))
    return {name.rpartition(".")[2]: str(ast.literal_eval(value)) for name, value in ordered}


def volumes(folder: Path) -> list[str]:
    """Return what builds see of this machine: pip's file, and the files and folders that it names."""
    settings = pip_settings()
    mounts = {}
    if certificates := settings.get("cert"):
        mounts[certificates] = settings["cert"] = _CERTIFICATES
    for value in settings.values():
        for word in value.split():
            path = Path(word.removeprefix("file://").removesuffix("/simple"))
            if path.is_absolute() and path.exists() and word != _CERTIFICATES:
                mounts[str(path)] = str(path)
    lines = [f"{name} = {' '.join(value.split())}" for name, value in settings.items()]
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
    mounts[str(folder / "pip.conf")] = "/etc/pip.conf"
    return [f"{source}:{target}:ro" for source, target in mounts.items()]


def write(file: Path, tables: dict[str, list[str]]) -> None:
    """Write one configuration."""
    file.write_text("\n".join(line for name, lines in tables.items() for line in [f"[{name}]", *lines, ""]))


def main(folder: Path) -> None:
    """Write both."""
    tables = {} if Path("/run/systemd/system").exists() else _WITHOUT_SYSTEMD
    write(folder / "run.conf", tables)
    seen = f"volumes = {json.dumps(volumes(folder))}"
    write(folder / "build.conf", tables | {"containers": [*tables.get("containers", []), seen]})


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
