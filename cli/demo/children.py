"""The demo's child processes.

Invariants
----------
- Whatever was started is stopped when the block ends, in reverse order, with all that it started itself; SIGKILL after
  a grace time.
- One signal ends the block, as ``KeyboardInterrupt``; those that come after it, or while something is being started or
  stopped, change nothing.
- A child that fails ends the demo with one line that names its log.
"""

import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

import click

from driftline.cli.demo import session
from driftline.store.errors import DriftlineError

_READY_SECONDS = 120
_GRACE_SECONDS = 30.0
_ORPHANS_SECONDS = 2.0  # for what a child started, once it has ended itself


class Children:
    """Run commands of this Python's environment with one set of variables; their output goes to ``logs/``."""

    def __init__(self, folder: Path, environment: dict[str, str], grace_seconds: float = _GRACE_SECONDS) -> None:
        self._folder = folder
        self._grace_seconds = grace_seconds
        self._environment = environment | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")]),
        }
        self._started: list[subprocess.Popen[bytes]] = []
        self._servers: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._interruptible = False
        self._interrupted = False

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under `nohup`
                signal.signal(number, self._interrupt)
        self._interruptible = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interruptible = False
        if isinstance(error, KeyboardInterrupt):
            with suppress(OSError):  # the terminal may be gone
                click.echo("\nstopping", err=True)
        for child in reversed(self._started):
            self._stop(child)

    def start(self, name: str, command: list[str], ready: str) -> None:
        """Start a server and wait until the URL ``ready`` answers 200."""
        click.echo(f"  $ {' '.join(command)}")
        with open(self._log(name), "wb") as log:
            child = self._start(command, log, subprocess.STDOUT)
        self._servers.append((name, child))
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
            child = self._start(command, subprocess.PIPE, log)
            output, _ = child.communicate()
            log.write(output)
        if child.returncode:
            raise DriftlineError(f"`{' '.join(command[:2])}` failed: see {self._log(name)}")
        self._started.remove(child)
        printed = output.decode()
        if show:
            click.echo(textwrap.indent(printed, "    "), nl=False)
        return printed

    def stay(self) -> None:
        """Stay until a signal raises ``KeyboardInterrupt``; raise an error when a server ends by itself."""
        while True:
            self._check_alive()
            time.sleep(0.5)

    def _start(self, command: list[str], output: IO[bytes] | int, errors: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Start a session of its own: signals of the terminal come through this process alone."""
        self._interruptible = False  # between the start and its note the child would be forgotten
        child = subprocess.Popen(
            command, cwd=self._folder, env=self._environment, stdout=output, stderr=errors, start_new_session=True
        )
        self._started.append(child)
        self._interruptible = True
        if self._interrupted:
            self._interruptible = False
            raise KeyboardInterrupt
        return child

    def _stop(self, child: subprocess.Popen[bytes]) -> None:
        child.terminate()
        try:
            child.wait(self._grace_seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        session.end(child.pid, _ORPHANS_SECONDS)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True
        if self._interruptible:
            self._interruptible = False
            raise KeyboardInterrupt

    def _check_alive(self) -> None:
        for name, child in self._servers:
            if child.poll() is not None:
                raise DriftlineError(f"{name} ended by itself: see {self._log(name)}")

    def _log(self, name: str) -> Path:
        return self._folder / "logs" / f"{name}.log"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback listener
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
