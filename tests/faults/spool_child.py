"""Appends to a spool and tells each number on standard output once ``append`` has returned; killed by the tests.

Arguments: home, memory, then ``name=value``: settings of the spool, ``pace`` (appends between two short sleeps, 0 for
none), ``count`` (0 for endless) and ``durable`` (1: a number is told when the medium has confirmed it).
"""

import asyncio
import hashlib
import os
import random
import sys
import time
from pathlib import Path

from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool


def payload_of(seq: int) -> bytes:
    """The same as in the tests, which do not believe this process."""
    chance = random.Random(seq)
    return hashlib.sha256(seq.to_bytes(8)).digest() * chance.randrange(40)


def main() -> None:
    home, memory, *rest = sys.argv[1:]
    options = {name: float(value) for name, value in (option.split("=") for option in rest)}
    pace, count, durable = (int(options.pop(name, 0)) for name in ("pace", "count", "durable"))
    settings = {name: value if name.endswith("seconds") else int(value) for name, value in options.items()}
    spool = Spool.open(Path(home), SpoolSettings(ring_folder=Path(memory), **settings))  # type: ignore[arg-type]
    os.write(1, b"ready\n")
    seq = 0
    while not count or seq < count:
        seq = spool.append(0, payload_of(seq + 1), seq)
        if durable and not asyncio.run(spool.wait_durable(seq, 1.0)):
            continue
        os.write(1, seq.to_bytes(8))
        if pace and seq % pace == 0:
            time.sleep(0.001)
    spool.close()


if __name__ == "__main__":
    main()
