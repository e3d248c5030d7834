"""`--home` and `--store`: every command takes them, and says where it looked when nothing is there."""

import subprocess
import sys
from pathlib import Path

import pytest
import servers
from click.testing import CliRunner

from driftline.cli.main import root
from driftline.store import migrate
from driftline.store.engine import open_engine
from driftline.store.errors import ConfigurationError, StoreUnreachable

READERS = [
    ["store", "status"],
    ["store", "status", "--json"],
    ["store", "verify"],
    ["store", "load"],
    ["store", "prune"],
    ["store", "export", "out"],
    ["monitor", "--once"],
    ["drift", "churn"],
    ["report", "churn"],
    ["reference", "show", "churn"],
]


@pytest.fixture(autouse=True)
def wrong_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with nothing in it, and no variable that names another."""
    folder = tmp_path / "wrong"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for variable in ("DRIFTLINE_HOME", "DRIFTLINE_STORE", "DRIFTLINE_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_wrong_folder_is_one_line_that_says_where_it_looked_and_nothing_is_made(
    command: list[str], wrong_folder: Path
) -> None:
    error = CliRunner().invoke(root, command).exception
    assert isinstance(error, StoreUnreachable)
    assert f"there is no store at {wrong_folder}/driftline-data/driftline.sqlite" in str(error)
    for remedy in ("driftline serve", "--home", "DRIFTLINE_HOME", "--store", "DRIFTLINE_STORE"):
        assert remedy in str(error)
    assert list(wrong_folder.iterdir()) == []


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_home_and_store_are_flags_of_every_command(command: list[str], tmp_path: Path) -> None:
    for flags, named in (
        (["--home", str(tmp_path / "one")], tmp_path / "one" / "driftline.sqlite"),
        (["--store", f"sqlite:///{tmp_path}/two.sqlite"], tmp_path / "two.sqlite"),
    ):
        error = CliRunner().invoke(root, [*command, *flags]).exception
        assert isinstance(error, StoreUnreachable)
        assert f"there is no store at {named}:" in str(error)


def test_the_flags_lead_to_the_store_that_they_name(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    engine = open_engine(f"sqlite:///{home}/driftline.sqlite")
    migrate.upgrade(engine)
    engine.dispose()
    for flags in (["--home", str(home)], ["--store", f"sqlite:///{home}/driftline.sqlite"]):
        told = CliRunner().invoke(root, ["store", "status", *flags])
        assert (told.exit_code, told.output) == (0, "answered 0 = stored 0 + spooled 0 + dropped 0\n")


def test_a_home_that_is_a_file_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = CliRunner().invoke(root, ["monitor", "--home", str(tmp_path / "file")]).exception
    assert isinstance(error, ConfigurationError)
    assert "is a file or lies in one: name a folder with `--home`" in str(error)


def test_a_monitor_that_is_started_first_makes_the_store_and_says_that_it_is_empty(tmp_path: Path) -> None:
    log, home = tmp_path / "log", tmp_path / "home"
    command = [sys.executable, "-m", "driftline.cli", "monitor", "--port", "0", "--home", str(home)]
    with log.open("wb") as output, subprocess.Popen(command, stderr=output, stdout=output) as monitor:
        try:
            servers.wait_until(lambda: "listens on" in log.read_text(), seconds=120)
        finally:
            monitor.terminate()
            monitor.wait(60)
    (line,) = (line for line in log.read_text().splitlines() if "holds no model yet" in line)
    assert f"WARNING driftline.monitor: the store sqlite:///{home}/driftline.sqlite" in line
    assert "`--home`" in line
