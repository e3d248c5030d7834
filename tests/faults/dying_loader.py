"""Loads spools and dies one step later each time, until a loader lives to the end.

A step is a statement's begin or end, a begin, a commit's begin or end, and every change of a name on the disk. Each
loader is a fork of this process, which holds no connection. First one spool is loaded by loaders that all die, so that
also the making of the model's tables is killed at each step; then each loader that dies has a spool of its own, which
the next one finishes.

Arguments: spool folder, store URL, a file of packed invocations, by how many steps each lives longer. Prints a JSON
object: how many died and how many invocations were used; on standard error, the names of the last steps.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import store_traffic as traffic
from sqlalchemy import Engine, event

from driftline.store.engine import open_engine
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.payload import mlflow_rows  # noqa: F401 - so that no fork has to import it
from driftline.store.records import Invocation
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

PER_SPOOL = 7
BATCH_RECORDS = 5
LIVES = 4  # how many segments a spool has varies, and so does the number of steps
_ON_DISK = ("os.remove", "os.rename", "os.rmdir", "os.truncate")
_IN_SQL = ("begin", "before_cursor_execute", "after_cursor_execute", "savepoint", "release_savepoint")
_SPOOL = SpoolSettings(ring_bytes=1 << 16, min_free_bytes=0, segment_bytes=700, flush_interval_seconds=0.001)


class Countdown:
    """Kills this process at step number ``steps`` and tells its name on standard error."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def step(self, name: str) -> None:
        self._left -= 1
        if self._left == 0:
            os.write(2, f"{name}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name in _ON_DISK:
            self.step(name)

    def watch(self, engine: Engine) -> None:
        for name in _IN_SQL:
            event.listen(engine, name, lambda *_, name=name: self.step(name))
        commit = engine.dialect.do_commit

        def committed(connection: Any) -> None:
            self.step("before commit")
            commit(connection)
            self.step("after commit")

        engine.dialect.do_commit = committed  # type: ignore[method-assign]
        sys.addaudithook(self.audit)


def load(folder: Path, url: str, steps: int = 0) -> bool:
    """Load in a fork that dies at the step; return whether it lived."""
    child = os.fork()
    if child == 0:
        engine = open_engine(url)
        if steps:
            Countdown(steps).watch(engine)
        Loader(engine, folder, LoaderSettings(batch_records=BATCH_RECORDS, raw_bodies="all")).load_once()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(os.WEXITSTATUS(status))
    return os.WIFEXITED(status)


def fill(folder: Path, packed: Iterator[bytes]) -> None:
    spool = Spool.open(folder, _SPOOL)
    model = spool.declare_model(traffic.CLF)
    for _ in range(PER_SPOOL):
        raw = next(packed)
        spool.append(model, raw, Invocation.unpack(raw).received_at_us)
    spool.close()


def main() -> None:
    folder, url = Path(sys.argv[1]), sys.argv[2]
    packed = iter([bytes.fromhex(one) for one in orjson.loads(Path(sys.argv[3]).read_bytes())])
    fill(folder, packed)
    steps = died = 1
    while not load(folder, url, steps):
        steps, died = steps + 1, died + 1
    spools, step, stride, lived = 1, 1, int(sys.argv[4]), 0
    while lived < LIVES:
        fill(folder, packed)
        spools += 1
        if load(folder, url, step):
            lived += 1
        else:
            died += 1
            assert load(folder, url)
        step += stride
    print(json.dumps({"died": died - 1, "sent": spools * PER_SPOOL}))


if __name__ == "__main__":
    main()
