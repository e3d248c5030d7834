"""The loader's process: ``python -m driftline.store.loader.process``, started and watched by ``driftline serve``.

Its one argument, where it has one, is the memory in which it counts its batches (``meter``).

Invariants
----------
- One loader per spool folder: it holds ``flock`` on ``LOADER.lock`` there, and waits for it while another lives.
- SIGTERM and SIGINT let it load what is left for at most ``drain_seconds``; a second one ends it at once, which costs
  nothing but time: what is not committed is read again.
"""

import fcntl
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from driftline.store.engine import open_engine
from driftline.store.errors import DriftlineError, SpoolError
from driftline.store.loader.loader import Loader
from driftline.store.loader.meter import LoaderMeter
from driftline.store.loader.settings import LoaderSettings
from driftline.store.settings import load_base, load_section
from driftline.store.spool.file_system import refuse_network
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.upkeep import Upkeep

_log = logging.getLogger("driftline.loader")
_LOCK_NAME = "LOADER.lock"
_LOCK_POLL_SECONDS = 0.2
_NICENESS = 5  # scoring comes first


def main() -> int:
    """Load until told to stop; return the process's exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # the loader speaks to the store alone
    for noisy in ("mlflow", "alembic"):  # MLflow names the extra inputs of requests
        logging.getLogger(noisy).setLevel(logging.ERROR)
    stop = _stop_at_signals()
    try:
        base = load_base()
        settings = load_section(LoaderSettings, "loader")
        lock = lock_folder(base.spool_folder, stop)
        if lock is None:
            return 0
        os.nice(_NICENESS)
        upkeep = Upkeep(base.spool_folder, load_section(SpoolSettings, "spool"))
        with lock, upkeep.running():
            engine = open_engine(base.store_url, probe=False)
            meter = LoaderMeter.attach(Path(sys.argv[1])) if len(sys.argv) > 1 else None
            Loader(engine, base.spool_folder, settings, meter).run(stop)
            engine.dispose()
    except DriftlineError as error:
        _log.error("%s", error)
        return error.exit_code
    return 0


def lock_folder(folder: Path, stop: threading.Event) -> IO[str] | None:
    """Return the held lock of a spool folder, which is made when missing; None when ``stop`` came first.

    Raises:
        SpoolError: the folder is not writable, or lies on a network.
    """
    refuse_network(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK_NAME).open("w")
    except OSError as error:
        raise SpoolError(
            f"the spool folder {folder} is not writable ({error.strerror}): correct its owner or DRIFTLINE_HOME"
        ) from error
    waited = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waited:
                _log.info("another loader works on %s: waiting until it ends", folder)
            waited = True
            if stop.is_set():
                lock.close()
                return None
            time.sleep(_LOCK_POLL_SECONDS)
        else:
            return lock


def _stop_at_signals() -> threading.Event:
    """Return what the first SIGTERM or SIGINT sets; a second one ends the process.

    A thread does both. A handler runs within whatever the main thread does: within ``stop.wait`` it would wait for the
    lock that the main thread holds, for ever.
    """
    stop = threading.Event()
    came: SimpleQueue[int] = SimpleQueue()  # one that a handler may put into, whatever it interrupts

    def obey() -> None:
        came.get()
        stop.set()
        os._exit(128 + came.get())

    threading.Thread(target=obey, name="driftline-signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: came.put(number))
    return stop


if __name__ == "__main__":
    sys.exit(main())
