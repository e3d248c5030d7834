"""Write the shipped files into a folder and know again what was written there.

Invariants
----------
- A file that differs from what was written there last is never overwritten or removed without ``force``.
- Either every file can be written or none is touched.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from driftline.store.errors import ConfigurationError

MANIFEST = ".driftline-assets.json"
RULES = "prometheus/rules/driftline.rules.yml"
RESOURCE = "kubernetes/driftline.prometheusrule.yml"
# package, folder in it, pattern of names, folder in the export: what is added to a room comes along by itself
PLACES = (
    ("driftline.alerts", "", "prometheus.yml", "prometheus"),
    ("driftline.alerts", "", "*.rules.yml", "prometheus/rules"),
    ("driftline.alerts", "", "*.prometheusrule.yml", "kubernetes"),
    ("driftline.alerts", "", "alertmanager.yml", "alertmanager"),
    ("driftline.alerts", "", "*.tmpl", "alertmanager"),
    ("driftline.dashboards", "", "driftline-*.json", "grafana/dashboards"),
    ("driftline.dashboards", "provisioning/dashboards", "*.yml", "grafana/provisioning/dashboards"),
    ("driftline.dashboards", "provisioning/datasources", "*.yml", "grafana/provisioning/datasources"),
)


@dataclass(frozen=True)
class Exported:
    """What an export did: paths in the folder, sorted."""

    written: list[str]
    unchanged: list[str]
    removed: list[str]


def shipped_files() -> dict[str, str]:
    """Return path in the export -> text as it is shipped, in the order of the places."""
    found: dict[str, str] = {}
    for package, folder, pattern, target in PLACES:
        room: Traversable = files(package)
        for part in filter(None, folder.split("/")):
            room = room / part
        for file in sorted(room.iterdir(), key=lambda each: each.name):
            if file.is_file() and fnmatch(file.name, pattern):
                found[f"{target}/{file.name}"] = file.read_text(encoding="utf-8")
    return found


def export(folder: Path, contents: Mapping[str, str], *, force: bool = False) -> Exported:
    """Write the files and note their hashes; what an earlier export wrote and is no longer there goes.

    Args:
        folder: made where it is missing.
        contents: path in the folder -> text.
        force: overwrite what was changed by hand too.

    Raises:
        ConfigurationError: files were changed by hand, or the folder cannot be written to.
    """
    try:
        noted = _noted(folder)
        gone = sorted(noted.keys() - contents.keys())
        found = {path: _read(folder / path) for path in (*contents, *gone)}
        changed = [
            path
            for path, text in found.items()
            if text is not None and text != contents.get(path) and _hash(text) != noted.get(path) and path not in gone
        ]
        if changed and not force:
            raise ConfigurationError(
                f"changed by hand, or not written by driftline, in {folder}: {', '.join(sorted(changed))}; "
                "nothing was written: move them aside, or overwrite them with --force"
            )
        unchanged = sorted(path for path, text in contents.items() if found[path] == text)
        written = sorted(contents.keys() - set(unchanged))
        for path in written:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(contents[path], encoding="utf-8")
        removed = [path for path in gone if (text := found[path]) is not None and _hash(text) == noted[path]]
        for path in removed:
            (folder / path).unlink()
        note = {path: _hash(text) for path, text in contents.items()}
        (folder / MANIFEST).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"cannot write to {folder} ({error.strerror}): name another folder, or correct its owner"
        ) from error
    return Exported(written, unchanged, removed)


def _noted(folder: Path) -> dict[str, str]:
    text = _read(folder / MANIFEST)
    try:
        return dict(json.loads(text)) if text else {}
    except ValueError:
        return {}  # then everything that differs counts as changed by hand


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def filled(change: Callable[[str], str], objectives: Path | None = None) -> dict[str, str]:
    """Return the shipped files, each text changed by ``change``.

    With a file of ``objectives`` the rules hold to it, else to the shipped ones.

    Raises:
        ConfigurationError: the objectives cannot be read.
    """
    shipped = shipped_files()
    if objectives:
        shipped |= _rules(objectives)
    return {path: change(text) for path, text in shipped.items()}


def _rules(path: Path) -> dict[str, str]:
    # The only part that reads YAML, and only where it is asked for.
    from driftline.alerts.build import rule_resource, rules_file
    from driftline.alerts.objectives import load_objectives

    try:
        objectives = load_objectives(path)
        return {RULES: rules_file(objectives), RESOURCE: rule_resource(objectives)}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the objectives in {path} cannot be read ({getattr(error, 'strerror', None) or error}): "
            "correct the file that --objectives names"
        ) from error
