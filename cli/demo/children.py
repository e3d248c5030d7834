"""The demo's child processes.

Invariants
----------
- Whatever was started is stopped when the block ends, in reverse order, by its own pid; SIGKILL after a grace time.
- A child that fails ends the demo with one line that names its log.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from driftline.store.errors import DriftlineError

_READY_SECONDS = 120
_GRACE_SECONDS = 30


class Children:
    """Run commands of this Python's environment with one set of variables; their output goes to ``logs/``."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")]),
        }
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, _as_interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, child in reversed(self._running):
            child.terminate()
            try:
                child.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def start(self, name: str, command: list[str], ready: str) -> None:
        """Start a server and wait until the URL ``ready`` answers 200."""
        click.echo(f"  $ {' '.join(command)}")
        with open(self._log(name), "wb") as log:
            child = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append((name, child))
        end = time.monotonic() + _READY_SECONDS
        while not _answers(ready):
            if child.poll() is not None or time.monotonic() > end:
                raise DriftlineError(f"`{command[0]} {command[1]}` did not come up: see {self._log(name)}")
            time.sleep(0.1)
        self._check_alive()

    def run(self, name: str, command: list[str], says: str = "", show: bool = False, quiet: bool = False) -> str:
        """Run a command to its end and return what it printed; ``show`` prints that, ``quiet`` prints nothing."""
        self._check_alive()  # another program may have taken the port and answer in its place
        if not quiet:
            click.echo(f"  $ {' '.join(command)}{f'    # {says}' if says else ''}")
        with open(self._log(name), "ab") as log:
            done = subprocess.run(
                command, cwd=self._folder, env=self._environment, stdout=subprocess.PIPE, stderr=log, check=False
            )
            log.write(done.stdout)
        if done.returncode:
            raise DriftlineError(f"`{' '.join(command[:2])}` failed: see {self._log(name)}")
        printed = done.stdout.decode()
        if show:
            click.echo("".join(f"    {line}\n" for line in printed.splitlines()), nl=False)
        return printed

    def stay(self) -> None:
        """Return at Ctrl-C; raise when a server ends by itself."""
        try:
            while True:
                self._check_alive()
                time.sleep(0.5)
        except KeyboardInterrupt:
            click.echo("\nstopping")

    def _check_alive(self) -> None:
        for name, child in self._running:
            if child.poll() is not None:
                raise DriftlineError(f"{name} ended by itself: see {self._log(name)}")

    def _log(self, name: str) -> Path:
        return self._folder / "logs" / f"{name}.log"


def _as_interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback listener
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
