"""Blocks of the documentation run as they stand.

A block is one shell, as if typed into a new terminal. A command that stays (``driftline serve`` and its like) is
started, waited for until it answers, and stopped at the end of its block (of the tutorial: of the page), or where
another one wants its port or its place.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import servers
from doc_blocks import Block
from scoring_servers import BIN

# Commands that stay: pattern, whose place it takes, the port that it has where none is typed.
_STAYING = (
    (re.compile(r"^(?:driftline serve|driftline proxy)\b(?!.*--help)"), "scorer", 5000),
    (re.compile(r"^driftline monitor\b(?!.*--(?:once|help))"), "monitor", 9109),
    (re.compile(r"^prometheus\b"), "prometheus", 9090),
    (re.compile(r"^mlflow (?:models serve|server|ui)\b(?!.*--help)"), "mlflow", 5000),
)
_KINDS = ("scorer", "mlflow", "monitor", "prometheus")
# What pages name and is elsewhere here; ports, the PostgreSQL and an invocation's id come from the scene.
_STANDS_FOR = (
    (r"models:/(?:visits|any-visit)/", "models:/churn/"),
    (r"\b(drift|performance) visits\b", r"\1 churn"),
    (r"--labels visits\b", "--labels churned"),
    (r"http://\.\.\.", "sqlite:///mlflow.db"),
    (r"/backups/", "./"),
    (r"store backup FILE\b", "store backup copy.sqlite"),
)
_SHELL = r"""
set -euo pipefail
alive() { grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null; }
stop_server() {
    local pid; pid=$(<"$1"); rm "$1"
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 300); do alive "$pid" || break; sleep 0.1; done
    kill -KILL -- "-$pid" 2>/dev/null || true # MLflow's server outlives the command that started it
}
start_server() { # KIND PORT COMMAND...: whoever has that place or that port goes first
    local file kind=$1 port=$2; shift 2
    for file in "$SERVERS/$kind".* "$SERVERS"/*."$port"; do [ ! -e "$file" ] || stop_server "$file"; done
    setsid "$@" </dev/null &
    echo $! >"$SERVERS/$kind.$port"
    for _ in $(seq 900); do
        curl --silent --output /dev/null --max-time 2 "http://127.0.0.1:$port/" && return 0
        alive $! || { echo "ended before it answered: $*"; return 1; }
        sleep 0.1
    done
    echo "does not answer on port $port: $*"; return 1
}
"""


@dataclass
class Scene:
    """``ports`` says which port stands for one that pages name."""

    folder: Path
    postgresql: str
    ports: dict[int, int]
    invocation: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of a shell: that of a reader whose ports are taken."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("DRIFTLINE_", "MLFLOW_"))}
        return {
            **mine,
            "PATH": f"{BIN}{os.pathsep}{mine['PATH']}",
            "SERVERS": str(self.folder / "servers"),
            "MLFLOW_PORT": str(self.ports[5000]),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # which starts slowly
            "DRIFTLINE_SCORER_METRICS_PORT": str(self.ports[9107]),
            "DRIFTLINE_MONITOR_PORT": str(self.ports[9109]),
            "DRIFTLINE_REPORT_SAMPLE_ROWS": "200",
            "DRIFTLINE_REPORT_EVIDENTLY_COLUMNS": "2",
            "DRIFTLINE_SPOOL_RING_BYTES": str(1 << 20),
            "DRIFTLINE_SPOOL_MIN_FREE_BYTES": "0",
            "PYTHONWARNINGS": "ignore",
        }

    def told(self, text: str) -> str:
        """Return a page's commands with this scene's ports, database and id in the place of the page's."""
        for pattern, stands in _STANDS_FOR:
            text = re.sub(pattern, stands, text)
        text = re.sub(r"--request-id ID\b", f"--request-id {self.invocation}", text)
        text = re.sub(r"postgresql(?:\+psycopg)?://user@host/(?:db|crm)", self.postgresql, text)
        text = re.sub(r"\bpsql (.*)-d driftline\b", rf"psql \1-d {self.postgresql}", text)
        return re.sub(r"\b(5000|5001|9090|9107|9108)\b", lambda found: str(self.ports[int(found[1])]), text)

    def script(self, text: str) -> str:
        """Return a block as a script, in which commands that stay are started and waited for."""
        lines, ends = [], ""
        for line in re.sub(r"\\\n\s*", "", text).splitlines():
            within = bool(ends)
            if within:
                ends = "" if line == ends else ends
            elif found := re.search(r"<<'?(\w+)'?", line):
                ends = found[1]
            lines.append(line if within or ends else self._started(line))
        return "\n".join([_SHELL, *lines, ""])

    def _started(self, line: str) -> str:
        for pattern, kind, port in _STAYING:
            if pattern.match(line):
                typed = re.search(r"(?:-p |--port[ =]|--web.listen-address=127.0.0.1:)(\d+)", line)
                return f"start_server {kind} {typed[1] if typed else self.ports[port]} {line.rstrip('& ')}"
        return line

    def run(self, text: str, place: str, seconds: float = 600) -> str:
        """Run a block in the scene's folder and return what it printed; a command that fails fails the test."""
        log = self.folder / "logs" / f"{place.replace('/', '-')}.log"
        with log.open("wb") as output, _agreeing() as answers:
            done = subprocess.run(
                ["bash", "-c", self.script(self.told(text))], cwd=self.folder, env=self.environment, timeout=seconds,
                stdin=answers, stdout=output, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
        printed = log.read_text(errors="replace")
        assert done.returncode == 0, f"{place} ended with {done.returncode}:\n{text}\n{printed[-4000:]}"
        return printed

    def run_page(self, page: list[Block], *, one_session: bool = False) -> None:
        """Run the blocks of a page that are not excused; in one session what stays does so until the end."""
        try:
            for block in page:
                if not block.excuse:
                    self.run(block.text, block.place)
                    if not one_session:
                        self.stop(*_KINDS)
        finally:
            self.stop(*_KINDS)

    def stop(self, *kinds: str) -> None:
        for kind in kinds:
            stopping = f'{_SHELL}\nfor file in "$SERVERS"/{kind}.*; do [ ! -e "$file" ] || stop_server "$file"; done'
            subprocess.run(["bash", "-c", stopping], env=self.environment, check=True, timeout=120)


@contextmanager
def _agreeing() -> Iterator[IO[str]]:
    """Open a standard input that answers each question with yes."""
    with tempfile.TemporaryFile("w+") as answers:
        answers.write("y\n" * 100)
        answers.seek(0)
        yield answers


def empty_scene(folder: Path, postgresql: str) -> Scene:
    """Make a scene in which nothing was done yet."""
    for name in ("servers", "logs"):
        (folder / name).mkdir(parents=True)
    return Scene(folder, postgresql, {port: servers.free_port() for port in (5000, 5001, 9090, 9107, 9108, 9109)})


def require_tools() -> None:
    """Skip, or fail in CI, where a program that the pages call is missing."""
    for program in ("curl", "jq", "openssl", "psql", "pg_dump", "setsid", "sqlite3", "zstd"):
        servers.require(program)
