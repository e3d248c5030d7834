"""What one ``Spool.append`` costs, against one ``os.write`` of the same bytes to a file on the same disk.

    python benchmarks/spool_append.py [folder]

Both run in this process, in turns, at a pace that the disk keeps up with; the writer thread works meanwhile, as it
does under a server. Nothing may be dropped. Goals: 1 row <= 4 us, 100 rows <= 8 us at the median.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from driftline.store.spool.inspect import inspect
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

SIZES = {"1 row x 20": 1_000, "100 rows x 20": 40_000}
GOALS_US = {"1 row x 20": 4.0, "100 rows x 20": 8.0}
ROUNDS = 12
PACE = 100e6
CALLS = {1_000: 5_000, 40_000: 1_000}


def timed(call: Callable[[], object], size: int) -> list[int]:
    """Return the nanoseconds of each call; a breath every 25 calls keeps them under ``PACE`` bytes a second."""
    clock, durations = time.perf_counter_ns, []
    for i in range(CALLS[size]):
        begin = clock()
        call()
        durations.append(clock() - begin)
        if i % 25 == 0:
            time.sleep(25 * size / PACE)
    return durations


def percentile(values: list[int], share: float) -> float:
    return sorted(values)[int(len(values) * share)] / 1000


def main() -> int:
    parent = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    missed = 0
    print(f"{'payload':<15}{'append p50':>12}{'p99':>9}{'os.write p50':>14}{'p99':>9}{'ratio p50':>11}{'goal':>9}  us")
    for name, size in SIZES.items():
        payload = os.urandom(size)
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            spool = Spool.open(Path(folder), SpoolSettings(min_free_bytes=0))
            descriptor = os.open(Path(folder) / "file", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            appends: list[list[int]] = []
            writes: list[list[int]] = []
            for _ in range(ROUNDS):
                appends.append(timed(lambda s=spool, p=payload: s.append(0, p, 1), size))
                writes.append(timed(lambda d=descriptor, p=payload: os.write(d, p), size))
            os.close(descriptor)
            spool.close()
            dropped = sum(inspect(spool.folder).dropped.values())
        append, write = (statistics.median(percentile(r, 0.5) for r in runs) for runs in (appends, writes))
        append99, write99 = (statistics.median(percentile(r, 0.99) for r in runs) for runs in (appends, writes))
        missed += append > GOALS_US[name] or dropped > 0
        print(f"{name:<15}{append:>12.2f}{append99:>9.1f}{write:>14.2f}{write99:>9.1f}{append / write:>11.2f}"
              f"{GOALS_US[name]:>9.1f}" + (f"  {dropped} dropped" if dropped else ""))  # fmt: skip
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
