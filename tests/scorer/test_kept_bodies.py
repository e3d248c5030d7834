"""When redacted bodies are there: on another thread, whatever else waits, and whatever ends the request."""

import asyncio
import io
import threading
import time

import pandas as pd
import pytest

from driftline.scorer.prediction_pool import PredictionPool
from driftline.scorer.redacted_bodies import Bodies, RedactedBodies, kept_bodies
from driftline.store.records import ModelIdentity
from driftline.store.redaction import Redaction

SECRET = b"planted@secret.example"
PREDICTIONS = b'{"predictions": [1]}'


class Watched(RedactedBodies):
    """Notes the thread that redacts, and takes its time."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(Redaction({"email": "drop"}), ModelIdentity("m", "1", "models:/m/1"))
        self.seconds = seconds
        self.threads: list[str] = []

    def of(self, status: int, content_type: bytes, request: bytes, response: bytes) -> Bodies:
        self.threads.append(threading.current_thread().name)
        time.sleep(self.seconds if len(self.threads) == 1 else 0)
        return super().of(status, content_type, request, response)


def parquet() -> Bodies:
    buffer = io.BytesIO()
    pd.DataFrame({"email": [SECRET.decode()], "age": [1.5]}).to_parquet(buffer)
    return Bodies(b"application/vnd.apache.parquet", buffer.getvalue(), PREDICTIONS)


def records(rows: int) -> Bodies:
    row = b'{"email": "%b", "age": 1.5}' % SECRET
    return Bodies(b"application/json", b'{"dataframe_records": [%b]}' % b", ".join([row] * rows), PREDICTIONS)


@pytest.mark.parametrize(
    ("came", "elsewhere"),
    [(parquet(), True), (records(2_000), True), (records(1), False)],
    ids=["parquet", "large", "row"],
)
def test_what_takes_long_is_redacted_on_another_thread(came: Bodies, elsewhere: bool) -> None:
    redacted = Watched()
    kept = asyncio.run(kept_bodies(redacted, 200, came))
    assert kept.request
    assert SECRET not in kept.request
    assert [name.startswith("driftline-redaction") for name in redacted.threads] == [elsewhere]


def test_an_answer_that_is_ready_waits_for_no_prediction() -> None:
    async def main() -> int:
        pool = PredictionPool(threads=2)
        pool.install()
        go_on = threading.Event()
        predictions = [pool.start(go_on.wait, 30) for _ in range(20)]
        await kept_bodies(Watched(), 200, parquet())
        waiting = sum(not future.done() for future in predictions)
        go_on.set()
        await asyncio.gather(*predictions)
        return waiting

    assert asyncio.run(main()) == 20


def test_an_answer_that_is_ready_waits_for_no_redaction_of_a_challenger() -> None:
    champion, challenger = Watched(), Watched(seconds=1.0)
    behind = threading.Thread(target=lambda: asyncio.run(kept_bodies(challenger, 200, parquet())))
    behind.start()
    while not challenger.threads:
        time.sleep(0.01)
    asyncio.run(kept_bodies(champion, 200, parquet()))
    waiting = behind.is_alive()
    behind.join()
    assert waiting


def test_where_no_thread_can_be_started_no_body_waits_for_one() -> None:
    async def main() -> list[str]:
        redacted = Watched()
        ordinary = threading.stack_size(1 << 46)  # more than there are addresses
        for _ in range(3):
            assert (await kept_bodies(redacted, 200, parquet())).request
        threading.stack_size(ordinary)
        await kept_bodies(redacted, 200, parquet())
        return redacted.threads

    assert asyncio.run(main()) == ["MainThread"] * 3 + ["driftline-redaction_0"]


def test_the_thread_ends_with_its_model() -> None:
    redacted = Watched()
    asyncio.run(kept_bodies(redacted, 200, parquet()))
    (thread,) = redacted._thread._threads
    del redacted
    thread.join(30)
    assert not thread.is_alive()


def test_a_request_that_is_cancelled_while_its_bodies_are_redacted_is_recorded_all_the_same() -> None:
    async def main() -> Bodies:
        redacted = Watched(seconds=0.5)
        keeping = asyncio.create_task(kept_bodies(redacted, 200, parquet()))
        while not redacted.threads:
            await asyncio.sleep(0.01)
        keeping.cancel()
        return await keeping

    kept = asyncio.run(main())
    assert kept.request
    assert SECRET not in kept.request
