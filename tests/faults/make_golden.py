"""Write the spool of today's format into ``golden/``: run it only when the format's number has been raised.

Old spools must stay readable: a new format is a new folder, and those that are there are never written again.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import orjson
import store_traffic as traffic
from fault_oracle import digest

from driftline.store.records import ModelIdentity
from driftline.store.spool.census import summarise
from driftline.store.spool.compressed import compress_segment
from driftline.store.spool.layout import FORMAT, META_NAME, Meta
from driftline.store.spool.record import Framing
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

GOLDEN = Path(__file__).with_name("golden")


def main() -> None:
    """Leave a spool as a killed worker does: segments, a ring with records, and drops that no segment tells yet.

    The first segment is compressed, the second one counted.
    """
    with tempfile.TemporaryDirectory() as folder:
        home, memory = Path(folder) / "spool", Path(folder) / "memory"
        home.mkdir()
        memory.mkdir()
        spool = Spool.open(home, SpoolSettings(ring_folder=memory, ring_bytes=1 << 16, overflow_bytes=4096,
                                               segment_bytes=2000, min_free_bytes=0, flush_interval_seconds=3600,
                                               segment_seconds=3600))  # fmt: skip
        models = [spool.declare_model(traffic.CLF), spool.declare_model(ModelIdentity("bare", "2", "models:/bare/2"))]
        sent = list(traffic.clf_traffic(20, seed=1))
        kept = {}
        for i, one in enumerate(sent):
            seq = spool.append(models[i % 2], one.pack(), one.received_at_us)
            kept[seq] = one
            if i == 14:
                spool._writer.turn()
                framing = Framing(bytes.fromhex(Meta.read(spool.folder).salt))
                compress_segment(spool.folder, 1, framing)
                summarise(spool.folder, 2, framing)
        for _ in range(3):
            spool.append(models[0], b"x" * 65_000, traffic.START_US)
        target = GOLDEN / f"format-{FORMAT}"
        shutil.copytree(spool.folder, target)
        for name, path in (("ring", spool._buffer._ring.path), ("overflow", spool._buffer._overflow.path)):
            shutil.copy(path, target / name)
        meta = orjson.loads((target / META_NAME).read_bytes())
        (target / META_NAME).write_bytes(orjson.dumps({**meta, "host": "golden", "ring": "", "overflow": ""}))
        expected = [[seq, one.id.hex(), digest(one.request, one.response).hex()] for seq, one in kept.items()]
        (target / "expected.json").write_bytes(orjson.dumps(expected, option=orjson.OPT_INDENT_2))
        spool.close(0)
    print(target, file=sys.stderr)


if __name__ == "__main__":
    main()
