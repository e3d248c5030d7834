"""The folder of fetched models: gone with its server, however that ended."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.scorer.fetch_folder import FetchFolder

_OWNER = """
import sys
from driftline.scorer.fetch_folder import FetchFolder
folder = FetchFolder()
(folder.path / "model").mkdir()
(folder.path / "model" / "MLmodel").write_text("flavors: {}")
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has a folder here."""
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER], env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield process
        process.kill()


def test_a_folder_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_is_not(
    owner: subprocess.Popen[str], temporary: Path
) -> None:
    assert owner.stdout is not None
    others = Path(owner.stdout.readline().strip())
    with FetchFolder() as folder:
        assert sorted(temporary.iterdir()) == sorted([others, folder.path])
    assert (others / "model" / "MLmodel").exists()
    owner.send_signal(signal.SIGKILL)
    owner.wait(60)
    with FetchFolder() as folder:
        assert list(temporary.iterdir()) == [folder.path]
    assert list(temporary.iterdir()) == []


def test_what_is_not_known_to_be_a_dead_servers_stays(temporary: Path) -> None:
    without_lock = temporary / "driftline-models-of-an-older-release"
    without_lock.mkdir()
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "LOCK").touch()
    (temporary / "driftline-models-link").symlink_to(elsewhere)
    with FetchFolder():
        pass
    assert sorted(path.name for path in temporary.iterdir()) == [
        "driftline-models-link", "driftline-models-of-an-older-release", "elsewhere",
    ]  # fmt: skip
    assert (elsewhere / "LOCK").exists()
