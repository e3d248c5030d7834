"""Work that is kept out of the monitor's process: it may need much memory, crash, or never end.

The parent gives the child a folder with its input, and finds there what the child wrote.
"""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ChildFailure:
    """Why a child has no result.

    Attributes:
        exit_code: negative for a signal; None where its time was over and it was killed.
        said: its last line on standard error.
    """

    exit_code: int | None
    said: str

    @property
    def lacks_a_package(self) -> bool:
        """Whether something that the child imports is not installed."""
        return self.said.startswith(ModuleNotFoundError.__name__)


def run_child(module: str, folder: Path, timeout_seconds: float, **variables: str) -> ChildFailure | None:
    """Run ``python -m module folder`` with these variables in addition; None where it succeeded."""
    command = [sys.executable, "-W", "ignore", "-m", module, str(folder)]
    try:
        done = subprocess.run(
            command, env=os.environ | variables, capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return ChildFailure(None, "")
    if not done.returncode:
        return None
    return ChildFailure(done.returncode, (done.stderr.strip().splitlines() or ["it said nothing"])[-1])


def child_main(work: Callable[[Path], None]) -> None:
    """Do the work in the folder that the command names; say only where it failed, never with which value."""
    try:
        work(Path(sys.argv[1]))
    except Exception as error:
        sys.exit(place_of(error))


def place_of(error: Exception) -> str:
    """Return the kind of an error and where it was raised."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
