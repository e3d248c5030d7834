"""Samples of a window, drawn by the random end of the invocations' ids."""

from pathlib import Path

import store_traffic as traffic
from sqlalchemy import Engine

from driftline.store.labels.loading import load_labels
from driftline.store.labels.record import Fields
from driftline.store.labels.settings import LabelSettings
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.reads import count_rows, model_versions
from driftline.store.records import Arm, invocation_id_text
from driftline.store.sampling import Sample, SampledRows, draw


def places(engine: Engine, sample: Sample, chunk_rows: int) -> list[tuple[bytes, int]]:
    return [
        place
        for chunk in sample.chunks(engine, chunk_rows)
        for place in zip(chunk.ids, chunk.row_index.tolist(), strict=True)
    ]


def test_a_sample_is_bounded_in_the_order_of_hashes_and_the_same_in_chunks_of_any_size(
    engine: Engine, tmp_path: Path
) -> None:
    made = list(traffic.clf_traffic(2_000))
    traffic.fill(tmp_path / "spool", made)
    Loader(engine, tmp_path / "spool", LoaderSettings()).load_once()
    labelled = [one for one in made if one.status == 200 and one.arm is Arm.CHAMPION][:30]
    records = [{"request_id": invocation_id_text(one.id), "row": 0, "label": 1} for one in labelled]
    load_labels(engine, LabelSettings(), records, Fields(), "")
    window = (traffic.START_US, traffic.START_US + 10**12)
    with engine.connect() as connection:
        (version,) = model_versions(connection)
        rows = count_rows(connection, version, *window, Arm.CHAMPION)
        few = draw(connection, version, window, Arm.CHAMPION, 500)
        whole = draw(connection, version, window, Arm.CHAMPION, rows)
        true = draw(connection, version, window, Arm.CHAMPION, 5_000, labelled=True)
        late = draw(connection, version, (window[1], None), Arm.CHAMPION, 500)
    taken = places(engine, few, 64)
    assert taken == sorted(taken, key=lambda place: (place[0][12:], place[0], place[1]))
    assert len(set(taken)) == len(taken) == few.rows == 500
    assert taken == places(engine, few, 999) == places(engine, whole, 1_000)[:500]
    assert (whole.rows, whole.is_whole, few.is_whole) == (rows, True, False)
    chunk: SampledRows
    (chunk,) = true.chunks(engine, 1_000)
    assert (set(chunk.ids), set(chunk.labels)) == ({one.id for one in labelled}, {"1"})
    assert (late.rows, list(late.chunks(engine, 10))) == (0, [])
