"""What the parent decides: whom it orders, when it tries again, what it tells; the workers are played."""

import dataclasses
import subprocess
from pathlib import Path

import pytest

from driftline.scorer.load_reports import LoadReport
from driftline.scorer.model_source import ModelSource
from driftline.scorer.rollout import Rollout, Swaps
from driftline.scorer.tally import Tally
from driftline.scorer.version_book import BookedVersion, VersionBook
from driftline.store.errors import ModelNotFound
from driftline.store.events import Event
from driftline.store.records import Arm, ModelIdentity

FIRST_PAUSE = 10.0
URI = "models:/clf@champion"


def source(version: str) -> ModelSource:
    return ModelSource(Path("/models") / version, ModelIdentity("clf", version, URI, alias="champion"))


class Stage:
    """A rollout whose registry and workers the test plays."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.fetched: list[str] = []
        self.unfetchable: set[str] = set()
        self.book = VersionBook(2)
        self.rollout = Rollout(
            Arm.CHAMPION, URI, source("1"), self.book, self.events.append, FIRST_PAUSE, lambda uri: self.fetch()
        )
        self._tallies: dict[int, Tally] = {}
        self.points_to = "1"

    def fetch(self) -> ModelSource:
        self.fetched.append(self.points_to)
        if self.points_to in self.unfetchable:
            raise ModelNotFound(f"no files of version {self.points_to}")
        return source(self.points_to)

    def point(self, version: str, now: float = 0.0) -> bool:
        self.points_to = version
        self.rollout.point(version)
        return self.rollout.advance(now)

    def serve(self, version: BookedVersion | None, now: float = 0.0) -> bool:
        """Let the worker answer with this version from now on."""
        assert version is not None
        for each in self._tallies.values():
            each.shut_down()
        key = id(version.sheet)
        self._tallies.setdefault(key, version.sheet.claim()).loaded(1_000_000, 500_000)
        return self.rollout.advance(now)

    def report(self, state: str, pid: int = 1, reason: str = "", now: float = 0.0, attempt: int | None = None) -> bool:
        number = self.rollout.proven_order.attempt if attempt is None else attempt
        self.rollout.take(LoadReport(pid, Arm.CHAMPION, number, state, reason), now)  # type: ignore[arg-type]
        return self.rollout.advance(now)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture
def stage() -> Stage:
    """A server whose worker answers with version 1."""
    stage = Stage()
    stage.serve(stage.rollout.proven)
    return stage


def test_what_the_server_starts_with_is_told_once_it_serves() -> None:
    stage = Stage()
    stage.rollout.advance(0)
    assert (stage.kinds, stage.rollout.in_sync) == ([], False)
    stage.serve(stage.rollout.proven)
    assert (stage.kinds, stage.rollout.in_sync) == (["model loaded"], True)
    assert stage.rollout.swaps == Swaps()


def test_a_version_is_proven_when_a_worker_serves_it_and_told_when_all_do(stage: Stage) -> None:
    assert stage.point("2")
    assert stage.rollout.wanted is not None
    assert stage.rollout.wanted_order == dataclasses.replace(stage.rollout.wanted.order(1), attempt=1)
    assert (stage.rollout.proven.version, stage.rollout.in_sync) == ("1", False)
    assert not stage.rollout.advance(1)
    slow = Tally(stage.rollout.proven.sheet._block(1))  # a second worker
    slow.loaded(1, 1)
    stage.serve(stage.rollout.wanted)
    assert (stage.rollout.proven.version, stage.rollout.wanted, stage.rollout.in_sync) == ("2", None, False)
    slow.shut_down()
    stage.rollout.advance(2)
    assert stage.rollout.in_sync
    assert stage.kinds == ["model loaded", "alias moved", "model loaded"]
    assert stage.events[-1].detail["from"] == "1"
    assert stage.rollout.swaps == Swaps(success=1)


def test_a_version_that_fails_is_tried_again_after_pauses_that_double(stage: Stage) -> None:
    stage.point("2")
    tries = []
    now = 0.0
    for _ in range(4):
        assert stage.report("failed", reason="torn", now=now)
        assert (stage.rollout.wanted, stage.rollout.proven.version) == (None, "1")
        begin = now
        while not stage.rollout.advance(now):
            now += 1
        tries.append(now - begin)
    assert tries == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert stage.rollout.swaps == Swaps(error=4)
    assert stage.kinds.count("model failed") == 4
    assert stage.events[-1].detail["reason"] == "torn"


def test_a_registry_that_points_elsewhere_is_followed_at_once(stage: Stage) -> None:
    stage.point("2")
    stage.report("failed", reason="torn")
    assert stage.point("3", now=1)
    assert stage.rollout.wanted is not None
    assert stage.rollout.wanted.version == "3"


def test_an_order_is_withdrawn_when_the_registry_points_back(stage: Stage) -> None:
    stage.point("2")
    late = stage.rollout.proven_order.attempt
    assert stage.point("1")
    assert stage.rollout.wanted is None
    stage.report("failed", reason="of the order that was withdrawn", attempt=late)
    assert (stage.rollout.swaps, stage.rollout.in_sync) == (Swaps(), True)


def test_files_that_do_not_come_leave_the_version_that_serves(stage: Stage) -> None:
    stage.unfetchable = {"2"}
    stage.point("2")
    assert (stage.rollout.wanted, stage.rollout.swaps) == (None, Swaps(error=1))
    assert not stage.rollout.in_sync
    stage.unfetchable = set()
    stage.rollout.advance(FIRST_PAUSE - 1)
    assert stage.fetched == ["2"]
    stage.rollout.advance(FIRST_PAUSE)
    assert stage.fetched == ["2", "2"]
    assert stage.rollout.wanted is not None


def test_a_worker_that_could_not_follow_the_others_is_asked_again(stage: Stage) -> None:
    stage.point("2")
    stage.serve(stage.rollout.wanted)
    first = stage.rollout.proven_order.attempt
    stage.report("failed", reason="no memory", now=0)
    assert stage.rollout.proven.version == "2"
    assert not stage.rollout.advance(FIRST_PAUSE - 1)
    assert stage.rollout.advance(FIRST_PAUSE)
    assert stage.rollout.proven_order.attempt > first


def test_the_second_worker_that_dies_while_it_loads_is_a_failure(stage: Stage) -> None:
    stage.point("2")
    for deaths in (1, 2):
        with subprocess.Popen(["sleep", "60"]) as worker:
            assert not stage.report("loading", pid=worker.pid)
            worker.kill()
        assert stage.rollout.advance(0)
        assert stage.rollout.swaps == Swaps(error=deaths - 1)
    assert stage.rollout.wanted is None
    assert "is there memory" in str(stage.events[-1].detail["reason"])
    assert not stage.rollout.advance(2 * FIRST_PAUSE), "each try may end another worker"


def test_a_version_that_comes_back_keeps_its_counters(stage: Stage) -> None:
    first = stage.rollout.proven.sheet
    stage.point("2")
    stage.serve(stage.rollout.wanted)
    stage.point("1")
    assert stage.rollout.wanted is not None
    assert stage.rollout.wanted.sheet is first


def test_files_that_were_fetched_stay_while_they_may_be_read_and_go_then(stage: Stage, tmp_path: Path) -> None:
    def fetch() -> ModelSource:
        folder = tmp_path / f"{stage.points_to}-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return dataclasses.replace(source(stage.points_to), path=folder, fetched=folder)

    def kept() -> set[str]:
        return {path.name[0] for path in tmp_path.iterdir()}

    stage.fetch = fetch  # type: ignore[method-assign]
    stage.point("2")
    stage.report("failed", reason="torn")
    stage.point("3")
    assert kept() == {"3"}, "what failed goes when the next is fetched"
    stage.serve(stage.rollout.wanted)
    stage.point("4")
    stage.serve(stage.rollout.wanted)
    assert kept() == {"3", "4"}, "the last requests of version 3 may still be under way"
    stage.point("5")
    stage.serve(stage.rollout.wanted)
    assert kept() == {"4", "5"}
