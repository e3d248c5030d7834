"""Appends invocations and tells each id on standard output once the medium has confirmed it; stopped by the tests.

Arguments: home, memory.
"""

import asyncio
import os
import sys
from pathlib import Path

import store_traffic as traffic

from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool


async def main() -> None:
    settings = SpoolSettings(ring_folder=Path(sys.argv[2]), ring_bytes=1 << 20, segment_bytes=1 << 12, min_free_bytes=0,
                             durability="power")  # fmt: skip
    spool = Spool.open(Path(sys.argv[1]), settings)
    model = spool.declare_model(traffic.CLF)
    os.write(1, b"ready\n")
    for one in traffic.clf_traffic(100_000):
        seq = spool.append(model, one.pack(), one.received_at_us)
        if await spool.wait_durable(seq, 1.0):
            os.write(1, one.id)
    spool.close()


if __name__ == "__main__":
    asyncio.run(main())
