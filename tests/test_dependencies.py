"""What can be said of dependencies without a network: pins are exact and meet what is asked for, and fit together."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;@]+)")


def pins() -> dict[str, Version]:
    return {canonicalize_name(name): Version(found) for name, found in (line.split("==") for line in LINES)}


def asked() -> list[Requirement]:
    """Return what driftline asks for, without what only its own test environments have."""
    optional = [r for extra, rs in PROJECT["optional-dependencies"].items() if extra != "spark" for r in rs]
    found = [Requirement(text) for text in [*PROJECT["dependencies"], *optional]]
    return [r for r in found if r.name != PROJECT["name"] and (r.marker is None or r.marker.evaluate())]


def test_every_constraint_pins_one_version_and_names_no_address() -> None:
    assert [line for line in LINES if line and not PIN.fullmatch(line)] == []
    assert len(pins()) == len(LINES)


def test_every_package_that_is_asked_for_is_pinned_within_what_is_asked() -> None:
    pinned = pins()
    assert [r.name for r in asked() if canonicalize_name(r.name) not in pinned] == []
    assert [str(r) for r in asked() if pinned[canonicalize_name(r.name)] not in r.specifier] == []


def test_what_is_installed_is_what_is_pinned() -> None:
    differing = {}
    for name, pinned in pins().items():
        try:
            if (found := Version(version(name))) != pinned:
                differing[name] = (str(found), str(pinned))
        except PackageNotFoundError:
            continue
    assert differing == {}


def test_what_is_installed_fits_together() -> None:
    found = subprocess.run([sys.executable, "-m", "pip", "check"], check=False, capture_output=True, text=True)
    assert found.returncode == 0 or "No module named pip" in found.stderr, found.stdout
