"""Cells that MLflow converts without a word, from the request to the finding."""

import json

import pandas as pd
from monitor_rig import TinyModel, load, rows, save_reference, send
from sqlalchemy import select

from driftline.monitor.jobs import quality_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.quality.finding import Kind
from driftline.monitor.rows.quality_rows import newest_findings
from driftline.monitor.watch import find_version
from driftline.store import schema
from driftline.store.records import Arm, Invocation, new_invocation_id, now_us
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool


def send_as_text(context: JobContext, tiny: TinyModel, frame: pd.DataFrame) -> None:
    """Have rows answered whose age was sent as text."""
    spool = Spool.open(context.home / "spool", SpoolSettings(ring_bytes=1 << 20, overflow_bytes=1 << 20))
    index = spool.declare_model(tiny.built.identity)
    for start in range(0, len(frame), 10):
        part, received = frame[start : start + 10], now_us()
        split = part.assign(age=part["age"].map(str)).to_dict(orient="split", index=False)
        invocation = Invocation(
            id=new_invocation_id(received), received_at_us=received, status=200, arm=Arm.CHAMPION, latency_us=1000,
            content_type=b"application/json", client_request_id=b"",
            request=json.dumps({"dataframe_split": split}).encode(),
            response=json.dumps({"predictions": [0.0] * len(part)}).encode(),
        )  # fmt: skip
        spool.append(index, invocation.pack(), received)
    spool.close()
    load(context)


def test_a_client_that_sends_texts_for_numbers_is_found(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(950, seed=2))
    for seed in (3, 4):  # two batches of one loader, or two hours
        send_as_text(context, tiny, rows(25, seed=seed))
    t = schema.coerced_cells.c
    with context.engine.connect() as connection:
        counted = connection.execute(select(t.column_name, t.coercion, t.cells)).all()
    assert {row[:2] for row in counted} == {("in_age", "texts for a number")}
    assert sum(row.cells for row in counted) == 50
    quality_job.run(context)
    with context.engine.connect() as connection:
        found = newest_findings(connection, find_version(connection, "tiny", 0).id, Arm.CHAMPION)
    (coerced,) = [f for f in found if f.kind is Kind.COERCED]
    assert (coerced.name, coerced.verdict, coerced.observed, coerced.window_rows) == ("age", "breach", 0.05, 1_000)
    assert "5 % of the cells were texts for a number, which MLflow converts without a word" in coerced.reason
    assert not [f for f in found if f.kind is Kind.MISSING and f.verdict == "breach"]


def test_converted_cells_among_too_few_rows_get_no_verdict(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send_as_text(sqlite_context, tiny, rows(20, seed=3))
    quality_job.run(sqlite_context)
    with sqlite_context.engine.connect() as connection:
        found = newest_findings(connection, find_version(connection, "tiny", 0).id, Arm.CHAMPION)
    (coerced,) = [f for f in found if f.kind is Kind.COERCED]
    assert (coerced.verdict, coerced.observed, coerced.threshold) == ("insufficient data", 1.0, None)
