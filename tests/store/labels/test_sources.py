"""Files and databases that labels come from: what is broken in them is one line."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import create_engine

from driftline.store.labels.formats import UnreadableLabels
from driftline.store.labels.sources import open_file, open_query


def test_a_parquet_file_that_is_damaged_inside_is_told_with_the_rows_before_it(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    table = pa.table({"request_id": [f"request {n}" for n in range(20_000)], "label": [n % 2 for n in range(20_000)]})
    parquet.write_table(table, path, row_group_size=5_000, compression="snappy", use_dictionary=False)
    raw = bytearray(path.read_bytes())
    raw[len(raw) * 6 // 10 : len(raw) * 7 // 10] = b"\xff" * (len(raw) * 7 // 10 - len(raw) * 6 // 10)
    path.write_bytes(raw)
    with open_file(path, "label") as source, pytest.raises(UnreadableLabels, match="is damaged after 10,000 rows"):
        list(source.records)


def test_a_name_in_a_query_that_nobody_gives_is_one_line(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'crm.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE outcome (request_id TEXT, label INTEGER)")
    engine.dispose()
    query = "SELECT * FROM outcome WHERE request_id > :since"
    with (
        pytest.raises(UnreadableLabels, match="correct the URL or --query"),
        open_query(f"sqlite:///{tmp_path / 'crm.db'}", query) as source,
    ):
        list(source.records)
