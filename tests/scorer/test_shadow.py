"""The challenger's room: what fits is scored and recorded under the invocation's id, what does not is counted."""

import asyncio
import dataclasses
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from scoring_servers import spooled_invocations

from driftline.scorer import shadow as shadow_module
from driftline.scorer.asgi_types import Receive, Scope, Send
from driftline.scorer.prediction_pool import PredictionPool
from driftline.scorer.redacted_bodies import Bodies, RedactedBodies
from driftline.scorer.served_model import ServedModel
from driftline.scorer.shadow import Shadow
from driftline.scorer.tally import TallySheet
from driftline.scorer.tee import Tee
from driftline.store.records import Arm, Invocation, ModelIdentity, new_invocation_id, now_us
from driftline.store.redaction import Redaction
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

SCOPE = {"type": "http", "method": "POST", "path": "/invocations", "headers": [(b"x-request-id", b"mine")]}


class Challenger:
    """A shadow over an application that waits for ``go``, then answers or does what it is told."""

    def __init__(self, folder: Path, queued: int) -> None:
        self.go = threading.Event()
        self.act: Callable[[], None] = lambda: None
        self.folder = folder
        self.sheet = TallySheet.create(1)
        tally = self.sheet.claim()
        spool = Spool.open(folder, SpoolSettings(ring_bytes=1 << 20))
        self.tee = Tee(spool, ModelIdentity("clf", "9", "models:/clf@challenger"), tally)
        pool = PredictionPool(1, queued)
        self.model = ServedModel(Arm.SHADOW, object(), self._app, None, self.tee, tally, pool, 60.0)
        self.shadow = Shadow(self.model, pool, queued)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert "app" not in scope
        await receive()
        await asyncio.to_thread(self._predict)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"predictions": [1]}'})

    def _predict(self) -> None:
        self.go.wait(60)
        self.act()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Shadow]:
        self.shadow.start()
        yield self.shadow
        self.go.set()
        await self.shadow.close()

    def recorded(self) -> list[Invocation]:
        self.tee.close()
        return spooled_invocations(self.folder)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[int], Challenger]]:
    made: list[Challenger] = []

    def make_one(queued: int) -> Challenger:
        made.append(Challenger(tmp_path, queued))
        return made[-1]

    yield make_one
    for each in made:
        each.go.set()
        each.tee.close()


def run(action: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(action, 60))


def test_a_record_has_the_id_that_was_answered_its_own_arm_and_a_later_time(make: Callable[[int], Challenger]) -> None:
    challenger = make(10)
    answered_at = now_us()
    id_ = new_invocation_id(answered_at)

    async def offer() -> None:
        async with challenger.running() as shadow:
            shadow.offer({**SCOPE, "app": "the champion's"}, b"body", id_)

    run(offer())
    (found,) = challenger.recorded()
    assert (found.id, found.arm, found.status) == (id_, Arm.SHADOW, 200)
    assert (found.request, found.client_request_id) == (b"body", b"mine")
    assert found.received_at_us > answered_at
    assert challenger.sheet.totals().requests == {}


def test_what_does_not_fit_is_skipped_at_once_and_counted(make: Callable[[int], Challenger]) -> None:
    challenger = make(2)

    async def flood() -> None:
        async with challenger.running() as shadow:
            for _ in range(10):
                shadow.offer(SCOPE, b"body", new_invocation_id(now_us()))
            assert challenger.sheet.totals().skipped == 7

    run(flood())
    assert len(challenger.recorded()) == 3


def test_room_comes_back_when_requests_end(make: Callable[[int], Challenger]) -> None:
    challenger = make(0)
    challenger.go.set()

    async def one_after_another() -> None:
        async with challenger.running() as shadow:
            for count in range(1, 6):
                shadow.offer(SCOPE, b"body", new_invocation_id(now_us()))
                while challenger.sheet.totals().enqueued < count or shadow._requests:
                    await asyncio.sleep(0.005)

    run(one_after_another())
    assert len(challenger.recorded()) == 5
    assert challenger.sheet.totals().skipped == 0


def test_the_bodies_that_wait_are_bounded_in_bytes(
    make: Callable[[int], Challenger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow_module, "_MOST_BYTES", 1000)
    challenger = make(100)

    async def flood() -> None:
        async with challenger.running() as shadow:
            for _ in range(4):
                shadow.offer(SCOPE, bytes(400), new_invocation_id(now_us()))

    run(flood())
    assert len(challenger.recorded()) == 2
    assert challenger.sheet.totals().skipped == 2


def test_a_challenger_that_ends_its_process_ends_its_own_request_only(make: Callable[[int], Challenger]) -> None:
    challenger = make(10)
    challenger.go.set()

    def leave() -> None:
        raise SystemExit(3)

    async def offer() -> None:
        async with challenger.running() as shadow:
            challenger.act = leave
            shadow.offer(SCOPE, b"first", new_invocation_id(now_us()))
            while challenger.sheet.totals().enqueued < 1:
                await asyncio.sleep(0.005)
            challenger.act = lambda: None
            shadow.offer(SCOPE, b"second", new_invocation_id(now_us()))

    run(offer())
    assert {(i.request, i.status) for i in challenger.recorded()} == {(b"first", 500), (b"second", 200)}


def test_closing_waits_for_what_is_under_way_but_not_for_ever(
    make: Callable[[int], Challenger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow_module, "_FAREWELL_SECONDS", 0.2)
    challenger = make(10)

    async def close() -> None:
        challenger.shadow.start()
        challenger.shadow.offer(SCOPE, b"body", new_invocation_id(now_us()))
        await challenger.shadow.close()
        challenger.shadow.offer(SCOPE, b"late", new_invocation_id(now_us()))

    run(close())
    assert challenger.sheet.totals().skipped == 1


class Held(RedactedBodies):
    """Redacts nothing before ``go``, and notes which threads did."""

    def __init__(self) -> None:
        super().__init__(Redaction({"email": "drop"}), ModelIdentity("clf", "9", "models:/clf@challenger"))
        self.go = threading.Event()
        self.threads: list[str] = []

    def of(self, status: int, content_type: bytes, request: bytes, response: bytes) -> Bodies:
        self.threads.append(threading.current_thread().name)
        self.go.wait(30)
        return super().of(status, content_type, request, response)


def test_the_end_of_the_process_waits_for_no_redaction_that_has_not_begun(
    make: Callable[[int], Challenger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow_module, "_FAREWELL_SECONDS", 0.2)
    challenger, held = make(10), Held()
    challenger.go.set()
    challenger.shadow.model = dataclasses.replace(challenger.model, redacted=held)

    async def close() -> None:
        challenger.shadow.start()
        for _ in range(3):
            challenger.shadow.offer(SCOPE, bytes(1 << 17), new_invocation_id(now_us()))
        while not held.threads:
            await asyncio.sleep(0.005)
        await challenger.shadow.close()
        held.go.set()
        while challenger.sheet.totals().enqueued < 3:
            await asyncio.sleep(0.005)

    run(close())
    assert sorted(held.threads) == ["driftline-redaction_0", "shadow", "shadow"]
