"""Spools that earlier driftlines wrote, as they were left by a killed worker, are read whole by this one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from fault_oracle import Figures, balanced, letters, stored
from sqlalchemy import Engine, text

from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.spool.adoption import adopt_orphans, spools
from driftline.store.spool.layout import FORMAT, META_NAME
from driftline.store.spool.reader import SpoolReader

GOLDEN = sorted(Path(__file__).with_name("golden").glob("format-*"))
LAST_KEPT, DROPPED = 21, (22, 23)  # number 21 is no invocation and lay in the overflow


def put_back(golden: Path, folder: Path) -> list[tuple[int, bytes, bytes]]:
    """Lay the spool, its ring and its overflow where its META.json says; return numbers, ids and digests."""
    meta = orjson.loads((golden / META_NAME).read_bytes())
    spool = folder / meta["uuid"]
    shutil.copytree(golden, spool)
    for name in ("ring", "overflow"):
        meta[name] = str(folder / f".{name}")
        (spool / name).rename(meta[name])
    (spool / META_NAME).write_bytes(orjson.dumps(meta))
    expected = orjson.loads((spool / "expected.json").read_bytes())
    (spool / "expected.json").unlink()
    return [(seq, bytes.fromhex(id_), bytes.fromhex(hashed)) for seq, id_, hashed in expected]


def test_todays_format_is_among_them() -> None:
    assert f"format-{FORMAT}" in [golden.name for golden in GOLDEN]


def test_a_compressed_segment_and_the_counts_of_one_are_among_them() -> None:
    assert {"format-2/0000000001.seg.zst", "format-2/0000000002.sum"} <= {
        f"{path.parent.name}/{path.name}" for golden in GOLDEN for path in golden.iterdir()
    }


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_segments_ring_overflow_and_drops_are_read(golden: Path, folder: Path) -> None:
    expected = put_back(golden, folder)
    adopt_orphans(folder)
    reader = SpoolReader(spools(folder)[0])
    batch = reader.read()
    assert [record.seq for record in batch.records] == [*(seq for seq, _, _ in expected), LAST_KEPT]
    assert [record.payload[:16] for record in batch.records[:-1]] == [id_ for _, id_, _ in expected]
    assert batch.records[-1].payload == b"x" * 65_000
    assert [(gap.first_seq, gap.last_seq, gap.reason) for gap in batch.gaps] == [(*DROPPED, "ring_full")]
    assert [(reader.model(i).name, reader.model(i).version) for i in range(2)] == [("clf", "1"), ("bare", "2")]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_they_are_loaded_whole(golden: Path, engine: Engine, folder: Path, note: Callable[[Figures], None]) -> None:
    expected = put_back(golden, folder)
    Loader(engine, folder, LoaderSettings(raw_bodies="all")).load_once()
    assert stored(engine) == {id_: hashed for _, id_, hashed in expected}
    assert letters(engine) == [b"x" * 65_000]
    assert balanced(engine, folder).dropped == {"ring_full": 2}
    assert list(folder.iterdir()) == []
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM model_version")).scalar_one() == 2
    note(Figures(1, LAST_KEPT + 2, dropped=2, quarantined=1))
