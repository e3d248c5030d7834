"""Prune to two days and die after the Nth transaction of a delete: `python killed_prune.py URL N`."""

import os
import signal
import sys

from driftline.store.engine import open_engine
from driftline.store.records import now_us
from driftline.store.retention.bounded_deletes import Pace
from driftline.store.retention.prune import prune
from driftline.store.retention.settings import RetentionSettings


def main() -> None:
    left = int(sys.argv[2])

    def die_in_time(pace: Pace, _: float) -> None:
        nonlocal left
        pace.rows, left = 50, left - 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    Pace.took = die_in_time  # type: ignore[method-assign]
    prune(open_engine(sys.argv[1]), RetentionSettings(keep_days=2), now_us())


main()
