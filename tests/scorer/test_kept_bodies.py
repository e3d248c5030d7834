"""When redacted bodies are there, on which thread and whatever ends the request; and what lies within others."""

import asyncio
import io
import json
import threading
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftline.scorer.prediction_pool import PredictionPool
from driftline.scorer.redacted_bodies import Bodies, RedactedBodies, kept_bodies
from driftline.store.payload.body_parser import WITHHELD
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


def parquet(table: pa.Table | None = None) -> Bodies:
    buffer = io.BytesIO()
    pq.write_table(table or pa.table({"email": [SECRET.decode()], "age": [1.5]}), buffer)
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


PERSON = {"age": 40, "contact": {"email": SECRET.decode()}}
OTHER = {"age": 41, "contact": {"email": "another@secret.example"}}


@pytest.mark.parametrize(
    "asked",
    [
        {"dataframe_records": [OTHER, PERSON]},
        {"dataframe_split": {"columns": ["age", "contact"], "data": [list(OTHER.values()), list(PERSON.values())]}},
        {"inputs": {"age": [41, 40], "contact": [OTHER["contact"], PERSON["contact"]]}},
        {"inputs": {"age": [40], "email": ["another@secret.example", SECRET.decode()]}},
        {"dataframe_records": [{"age": 40, "email": [SECRET.decode()]}]},
        {"params": {"email": SECRET.decode()}, "dataframe_records": [{"age": 40}, {"age": 41}]},
    ],
    ids=["records", "split", "inputs", "uneven", "list", "params"],
)
@pytest.mark.parametrize("answers", [1, 2])
def test_an_answer_repeats_no_redacted_value_that_lay_within_another(asked: dict[str, object], answers: int) -> None:
    answer = b'{"predictions": [%b]}' % b", ".join([b'"none"'] * (answers - 1) + [b'"mail to %b"' % SECRET])
    kept = Watched().of(200, b"application/json", json.dumps(asked).encode(), answer)
    assert SECRET not in kept.request + kept.response
    assert b"mail to ***" in kept.response


@pytest.mark.parametrize("rows", [1, 2])
def test_a_redacted_value_that_holds_another_is_starred_whole(rows: int) -> None:
    redacted = RedactedBodies(Redaction({"name": "drop", "email": "drop"}), ModelIdentity("m", "1", "models:/m/1"))
    person = {"name": "planted", "email": SECRET.decode(), "age": 40}
    asked = json.dumps({"dataframe_records": [person] * rows}).encode()
    kept = redacted.of(200, b"application/json", asked, b'{"predictions": ["mail to %b"]}' % SECRET)
    assert kept.response == b'{"predictions":["mail to ***"]}'


def test_tensors_of_unlike_lengths_are_kept() -> None:
    asked = json.dumps({"inputs": {"image": [[0.5, 1.5], [2.5, 3.5]], "scale": [[4.5]]}}).encode()
    kept = Watched().of(200, b"application/json", asked, PREDICTIONS)
    assert (json.loads(kept.request), json.loads(kept.response)) == (json.loads(asked), json.loads(PREDICTIONS))


def test_maps_of_parquet_are_withheld_as_their_keys_are_not_looked_at() -> None:
    contacts = pa.array([[("email", SECRET.decode()), ("city", "Ghent")]], pa.map_(pa.string(), pa.string()))
    assert SECRET not in Watched().of(200, *parquet(pa.table({"contacts": contacts}))).request
    nested = pa.StructArray.from_arrays([contacts], ["contacts"])
    assert Watched().of(200, *parquet(pa.table({"person": nested}))).response == WITHHELD
    dropped = Watched().of(200, *parquet(pa.table({"email": contacts, "age": [1.5]})))
    assert pq.read_table(io.BytesIO(dropped.request)).to_pylist() == [{"age": 1.5}]
