"""Export a store and die at the Nth table that is handed to a writer: `python killed_export.py URL DIR N`."""

import os
import signal
import sys
from pathlib import Path

from driftline.store.engine import open_engine
from driftline.store.export.export import day_files, export
from driftline.store.records import now_us


def main() -> None:
    engine, left = open_engine(sys.argv[1]), int(sys.argv[3])

    def die_in_time(_: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    export(engine, Path(sys.argv[2]), day_files(engine, None, None, now_us()), die_in_time)


main()
