"""Random faults, one after another, on the whole way; nothing lost, nothing twice, nothing that grows."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faulty_disks
import pytest
import servers
from fault_oracle import Figures, stored
from scoring_clients import scoring
from scoring_servers import DriftlineServer
from serve_rig import check, loader_of, open_files, resident_bytes, serving, settled, stopped

from driftline.store import migrate
from driftline.store.engine import open_engine

SECONDS = 150
Note = Callable[[Figures], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[faulty_disks.Ext4]:
    with faulty_disks.ext4(tmp_path / "disk", 256) as disk:
        yield disk


def kill_worker(server: DriftlineServer) -> None:
    workers = server.workers()
    os.kill(workers[0], signal.SIGKILL)
    servers.wait_until(lambda: len(set(server.workers()) - {workers[0]}) == 2, 60, what="no new worker")


def kill_loader(server: DriftlineServer) -> None:
    loader = loader_of(server)
    if loader is not None:
        os.kill(loader, signal.SIGKILL)


def stop_loader(server: DriftlineServer) -> None:
    loader = loader_of(server)
    if loader is not None:
        with stopped(loader):
            time.sleep(1)


@pytest.mark.slow
@pytest.mark.postgresql
def test_a_soak_of_random_faults_loses_nothing_and_leaks_nothing(
    models: Path, own_postgresql: servers.PostgreSQL, disk: faulty_disks.Ext4, note: Note
) -> None:
    store = own_postgresql.create_database("soak")
    engine = open_engine(store)
    migrate.upgrade(engine)
    chance = random.Random(22)
    tries, memory, files = 0, [], []

    def crash_database(server: DriftlineServer) -> None:
        engine.dispose()
        own_postgresql.stop("immediate")
        time.sleep(1)
        own_postgresql.start()

    def freeze(server: DriftlineServer) -> None:
        assert disk.freeze(1.0).wait(60) == 0

    faults = [kill_worker, kill_loader, stop_loader, crash_database, freeze]
    with serving(models, disk.folder / "home", store, "-w", "2") as server:
        servers.wait_until(lambda: len(server.workers()) == 2, 60)
        with scoring(server, threads=3, pause_seconds=0.01) as clients:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                chance.choice(faults)(server)
                tries += 1
                time.sleep(chance.uniform(0.5, 2))
                memory.append(resident_bytes(server.process.pid))
                files.append(open_files(server.process.pid))
        found = settled(engine, server, 90)
    assert (found.dropped, found.quarantined, clients.refused) == ({}, 0, 0)
    note(check(engine, clients, set(), tries=tries))
    assert len(stored(engine)) == found.stored
    assert files[-1] <= files[len(files) // 4] + 2
    assert memory[-1] < memory[len(memory) // 4] + (20 << 20)
    engine.dispose()
