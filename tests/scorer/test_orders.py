"""The board between parent and workers, and the pipe back."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from driftline.scorer.load_reports import LoadReport, ReportPipe
from driftline.scorer.orders import ModelOrder, OrderBoard, Orders
from driftline.store.errors import DriftlineError
from driftline.store.records import Arm, ModelIdentity


def order(version: str = "1", arm: Arm = Arm.CHAMPION, attempt: int = 0) -> ModelOrder:
    identity = ModelIdentity("clf", version, "models:/clf@champion", signature={"inputs": "[]"})
    return ModelOrder(arm, Path("/models") / version, identity, Path("/proc/1/fd/9"), attempt)


def test_a_worker_reads_what_was_posted_last() -> None:
    board = OrderBoard.create()
    reader = OrderBoard.attach(board.path)
    assert not reader.has_news()
    board.post(Orders({Arm.CHAMPION: order()}, {}))
    assert reader.has_news()
    longer = Orders({Arm.CHAMPION: order(), Arm.SHADOW: order("7", Arm.SHADOW)}, {Arm.CHAMPION: order("2", attempt=3)})
    board.post(longer)
    assert reader.read() == longer
    assert not reader.has_news()
    shorter = Orders({Arm.CHAMPION: order("2")}, {})
    board.post(shorter)
    assert reader.read() == shorter


def test_a_posting_that_is_written_meanwhile_is_waited_for() -> None:
    board = OrderBoard.create()
    board.post(Orders({Arm.CHAMPION: order()}, {}))
    descriptor = os.open(board.path, os.O_RDWR)
    whole = os.pread(descriptor, 1 << 16, 0)
    os.pwrite(descriptor, whole[:40] + b"x" + whole[41:], 0)
    with pytest.raises(DriftlineError, match="ended while it gave an order"):
        OrderBoard.attach(board.path).read()
    os.pwrite(descriptor, whole, 0)
    os.close(descriptor)
    assert OrderBoard.attach(board.path).read() == Orders({Arm.CHAMPION: order()}, {})


def test_what_is_wanted_counts_before_what_is_proven() -> None:
    orders = Orders({Arm.CHAMPION: order("1")}, {Arm.CHAMPION: order("2", attempt=1)})
    assert orders.wants(order("2"))
    assert not orders.wants(order("1"))
    assert Orders({Arm.CHAMPION: order("1")}, {}).wants(order("1", attempt=5))


def test_one_worker_at_a_time_has_its_turn_and_a_dead_one_gives_it_up() -> None:
    board = OrderBoard.create()
    take = (
        "import sys, pathlib; from driftline.scorer.orders import OrderBoard\n"
        "board = OrderBoard.attach(pathlib.Path(sys.argv[1])); print(board.take_turn(), flush=True); sys.stdin.read()"
    )
    mine = OrderBoard.attach(board.path)
    with subprocess.Popen(
        [sys.executable, "-c", take, str(board.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"True\n"
        assert not mine.take_turn()
        other.kill()
        other.wait()
    assert mine.take_turn()
    mine.end_turn()
    assert OrderBoard.attach(board.path).take_turn()


def test_reports_arrive_whole_and_in_order() -> None:
    pipe = ReportPipe.create()
    writers = [ReportPipe.attach(pipe.path) for _ in range(2)]
    sent = [LoadReport(i, Arm.CANARY, i, "failed", f"reason {i}", 0.5) for i in range(40)]
    for i, report in enumerate(sent):
        writers[i % 2].send(report)
    assert list(pipe.receive(0)) == sent
    assert list(pipe.receive(0)) == []


def test_a_reason_of_any_length_and_alphabet_fits_into_one_write() -> None:
    pipe = ReportPipe.create()
    for reason in ("\\" * 5000, "☃\n\u0000é" * 2000, '"' * 9000):
        report = LoadReport(1, Arm.CHAMPION, 1, "failed", reason)
        assert len(report.to_line()) <= select.PIPE_BUF
        ReportPipe.attach(pipe.path).send(report)
        (found,) = pipe.receive(0)
        assert found.reason
        assert "\n" not in found.reason


def test_a_full_pipe_never_blocks_a_worker() -> None:
    pipe = ReportPipe.create()
    writer = ReportPipe.attach(pipe.path)
    for i in range(5000):
        writer.send(LoadReport(i, Arm.CHAMPION, i, "loading"))
    found = list(pipe.receive(0))
    assert found[0].pid == 0
    assert [report.pid for report in found] == list(range(len(found)))
