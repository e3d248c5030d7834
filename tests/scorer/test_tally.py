"""Counters in shared memory, with real processes that are killed."""

import multiprocessing
import os
import signal
import time

import pytest

from driftline.scorer.tally import ROUTES, TallySheet
from driftline.store.errors import DriftlineError

_SPAWN = multiprocessing.get_context("spawn")


def _count(path: object, requests: int, done: object) -> None:
    tally = TallySheet.attach(path).claim()  # type: ignore[arg-type]
    tally.loaded(at_us=5, duration_us=7)
    for i in range(requests):
        tally.started()
        tally.finished(0, 200 if i % 2 else 400, 1_000 * i)
        tally.predicted(3, at_us=i)
    tally.started()
    done.set()  # type: ignore[attr-defined]
    time.sleep(60)


def _run_and_kill(sheet: TallySheet, workers: int, requests: int) -> None:
    events = [_SPAWN.Event() for _ in range(workers)]
    processes = [_SPAWN.Process(target=_count, args=(sheet.path, requests, event)) for event in events]
    for process in processes:
        process.start()
    for event in events:
        assert event.wait(60)
    assert sheet.totals().ready == workers
    assert sheet.totals().in_progress == workers
    for process in processes:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        process.close()


def test_a_count_outlives_the_worker_and_workers_add_up() -> None:
    sheet = TallySheet.create(2)
    _run_and_kill(sheet, workers=2, requests=100)
    _run_and_kill(sheet, workers=1, requests=10)
    totals = sheet.totals()
    assert totals.rows == 3 * 210
    assert sum(totals.requests["/invocations", "200"].counts) == 105
    assert totals.requests["/invocations", "400"].sum_us == 2 * sum(range(0, 100_000, 2_000)) + sum(
        range(0, 10_000, 2_000)
    )


def test_a_dead_worker_is_neither_ready_nor_busy() -> None:
    sheet = TallySheet.create(1)
    _run_and_kill(sheet, workers=1, requests=1)
    assert (sheet.totals().ready, sheet.totals().in_progress) == (0, 0)


def test_one_writer_per_block() -> None:
    sheet = TallySheet.create(1)
    tally = sheet.claim()
    tally.loaded(1, 1)
    context = _SPAWN.Event()
    process = _SPAWN.Process(target=_count, args=(sheet.path, 1, context))
    process.start()
    assert context.wait(60)
    assert sheet.totals().ready == 2
    process.kill()
    process.join()
    process.close()


def test_buckets_hold_their_upper_bound_and_sums_are_exact() -> None:
    sheet = TallySheet.create(1)
    tally = sheet.claim()
    for duration_us in (0, 1_000, 1_001, 60_000_000, 60_000_001):
        tally.started()
        tally.finished(1, 200, duration_us)
    latencies = sheet.totals().requests["/ping", "200"]
    assert latencies.counts == [2, 1, *[0] * 12, 1, 1]
    assert latencies.sum_us == 120_002_002


def test_a_full_table_counts_under_other() -> None:
    sheet = TallySheet.create(1)
    tally = sheet.claim()
    for code in range(100, 400):
        tally.started()
        tally.finished(len(ROUTES) - 1, code, 1)
    requests = sheet.totals().requests
    assert len(requests) == 128
    assert sum(requests["other", "other"].counts) == 300 - 127
    assert sum(sum(latencies.counts) for latencies in requests.values()) == 300


def test_a_request_without_an_answer_is_not_counted_as_answered() -> None:
    sheet = TallySheet.create(1)
    tally = sheet.claim()
    tally.started()
    tally.finished(0, 0, 1)
    assert (sheet.totals().in_progress, sheet.totals().requests) == (0, {})


def test_claiming_a_full_sheet_says_what_next() -> None:
    sheet = TallySheet.create(0)  # two blocks
    held = [_SPAWN.Event() for _ in range(2)]
    processes = [_SPAWN.Process(target=_count, args=(sheet.path, 0, event)) for event in held]
    for process in processes:
        process.start()
    assert all(event.wait(60) for event in held)
    with pytest.raises(DriftlineError, match="restart `driftline serve`"):
        sheet.claim()
    for process in processes:
        process.kill()
        process.join()
        process.close()


def test_stages_and_rows_are_counted_in_buckets_of_their_own() -> None:
    sheet = TallySheet.create(1)
    tally = sheet.claim()
    tally.took("predict", 10)
    tally.took("predict", 70_000_000)
    tally.took("tee", 11)
    tally.predicted(2, at_us=1)
    tally.predicted(1_000_000, at_us=1)
    totals = sheet.totals()
    predict, tee, rows = totals.stages["predict"], totals.stages["tee"], totals.request_rows
    assert (predict.sum, predict.counts[0], predict.counts[-1], sum(predict.counts)) == (70_000_010, 1, 1, 2)
    assert (tee.sum, tee.counts[1], sum(tee.counts)) == (11, 1, 1)
    assert (rows.sum, rows.counts[1], rows.counts[-1], sum(rows.counts)) == (1_000_002, 1, 1, 2)
    assert not sum(totals.stages["parse"].counts)


def test_what_living_workers_do_about_batches_is_counted() -> None:
    sheet = TallySheet.create(1)
    assert sum(sheet.totals().batching.values()) == 0
    tally = sheet.claim()
    assert sheet.totals().batching["off"] == 1
    tally.batching("refused")
    assert sheet.totals().batching == {"off": 0, "on": 0, "refused": 1, "stopped": 0}
