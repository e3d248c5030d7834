"""The parent's care for the loader, with real processes in the loader's place."""

import logging
import sys
import time
from pathlib import Path

import pytest
import servers

from driftline.scorer import loader_child
from driftline.scorer.loader_child import LoaderChild

# A program that takes SIGTERM in its own way and makes a file once it does.
_UP = "import pathlib, signal, sys, time; signal.signal(15, {}); pathlib.Path({!r}).touch(); time.sleep(60)"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_child, "_FIRST_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(loader_child, "_GRACE_SECONDS", 0.2)


def _program(monkeypatch: pytest.MonkeyPatch, code: str) -> LoaderChild:
    monkeypatch.setattr(loader_child, "_PROGRAM", (sys.executable, "-c", code))
    return LoaderChild({})


def test_a_dead_loader_is_started_again_later_and_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    child = _program(monkeypatch, "raise SystemExit(7)")

    def tended(times: int) -> bool:
        child.tend()
        return len(caplog.records) >= times

    begin = time.monotonic()
    with caplog.at_level(logging.WARNING):
        servers.wait_until(lambda: tended(3), 60)
    assert time.monotonic() - begin > 0.2 + 0.4
    assert all("ended with code 7" in record.message for record in caplog.records)


def test_tending_says_when_to_look_again(monkeypatch: pytest.MonkeyPatch) -> None:
    child = _program(monkeypatch, "raise SystemExit(7)")
    child.tend()
    servers.wait_until(lambda: child.tend() <= 0.2, 60)


def test_a_loader_that_does_not_drain_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deaf = tmp_path / "deaf"
    child = _program(monkeypatch, _UP.format("signal.SIG_IGN", str(deaf)))
    child.tend()
    servers.wait_until(deaf.exists)
    begin = time.monotonic()
    child.drain(0.2)
    assert 0.2 < time.monotonic() - begin < 30
    assert "did not end" in caplog.text


def test_a_loader_that_drains_is_not_ended_early(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = tmp_path / "slow"
    child = _program(monkeypatch, _UP.format("lambda *_: (time.sleep(0.3), sys.exit(0))", str(slow)))
    child.tend()
    servers.wait_until(slow.exists)
    child.drain(30)
    assert caplog.text == ""


def test_draining_without_a_loader_does_nothing() -> None:
    LoaderChild({}).drain(5)
