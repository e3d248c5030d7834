"""``driftline serve`` for the fault suite: started on a home of its own, its processes found, its accounts settled."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import servers
from fault_oracle import Figures, balanced, stored
from scoring_clients import Clients
from scoring_servers import DriftlineServer, driftline_server, running
from sqlalchemy import Engine

from driftline.store.accounts import Accounts, accounts

SETTINGS = {
    "DRIFTLINE_SPOOL_MIN_FREE_BYTES": "0", "DRIFTLINE_SPOOL_RING_BYTES": str(1 << 20),
    "DRIFTLINE_LOADER_DRAIN_SECONDS": "20", "DRIFTLINE_LOADER_RAW_BODIES": "all",
}  # fmt: skip


@contextmanager
def serving(models: Path, home: Path, store: str, *flags: str, **settings: str) -> Iterator[DriftlineServer]:
    """Run a server over the model ``linear`` whose home is ``home``; a test may stop it itself."""
    home.mkdir()
    variables = {**SETTINGS, **settings}
    server = driftline_server(models, "models:/linear/1", home.name, "--store", store, *flags, **variables)
    server.command = [str(home) if part == str(server.home) else part for part in server.command]
    server.home = home
    with running(server):
        yield server


def loader_of(server: DriftlineServer) -> int | None:
    """Return the loader's process id; None while none runs."""
    for pid in server.family():
        try:
            if b"driftline.store.loader.process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        except FileNotFoundError:
            continue
    return None


def settled(engine: Engine, server: DriftlineServer, seconds: float = 30) -> Accounts:
    """Wait until nothing is pending and return the accounts."""
    folder = server.spool_folder
    servers.wait_until(lambda: accounts(engine, folder).spooled == 0, seconds, what="the spool is not empty")
    return balanced(engine, folder)


def check(engine: Engine, clients: Clients, before: set[bytes], tries: int = 1) -> Figures:
    """Assert that what was answered is stored once and unaltered, and little else."""
    found = stored(engine)
    assert clients.answered.keys() <= found.keys(), "answered and lost"
    assert all(found[id_] in (None, hashed) for id_, hashed in clients.answered.items()), "altered"
    assert len(found.keys() - clients.answered.keys() - before) <= clients.failed, "stored and never sent"
    return Figures(tries, len(clients.answered))


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process for the length of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def kill_with_connections(pid: int, port: int) -> set[int]:
    """Kill a worker; return the clients' ports of the connections to ``port`` that it held."""
    os.kill(pid, signal.SIGSTOP)  # it accepts none between the look and its end
    held = {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    connections = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    os.kill(pid, signal.SIGKILL)
    return {
        int(remote.partition(":")[2], 16)
        for _, local, remote, *_, inode in (line[:10] for line in connections)
        if int(local.partition(":")[2], 16) == port and f"socket:[{inode}]" in held
    }


def open_files(pid: int) -> int:
    """Return how many files a process holds."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_bytes(pid: int) -> int:
    """Return the memory that a process occupies."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
