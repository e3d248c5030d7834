"""What is installed is what lies in the rooms: setuptools takes listed packages alone, and warns of other files."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
NOT_INSTALLED = {"tests", "__pycache__"}


def test_every_folder_of_a_room_is_a_listed_package() -> None:
    found = set()
    for name, room in SETTINGS["package-dir"].items():
        for file in (ROOT / room).rglob("*"):
            parts = file.relative_to(ROOT / room).parts[:-1]
            if file.is_file() and not NOT_INSTALLED & set(parts):
                found.add(".".join([name, *parts]))
    assert sorted(found) == SETTINGS["packages"]


def test_every_kind_of_file_in_a_listed_package_is_installed() -> None:
    taken = {pattern.removeprefix("*") for pattern in SETTINGS["package-data"]["*"] if pattern.startswith("*")}
    for name in SETTINGS["packages"]:
        _, room, *parts = name.split(".")
        for file in ROOT.joinpath(room, *parts).iterdir():
            assert not file.is_file() or file.suffix in taken | {".py"} or file.name == "py.typed", file
