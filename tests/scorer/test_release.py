"""What a swap leaves in memory, and what is tried before it; one worker's part, in this process."""

import asyncio
import gc
import inspect
import json
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from scaled_models import ScaledModels

from driftline.scorer import hot_swap
from driftline.scorer.asgi import ScoringLayer
from driftline.scorer.asgi_types import Message
from driftline.scorer.hot_swap import HotSwap
from driftline.scorer.load_reports import LoadReport, ReportPipe
from driftline.scorer.model_loader import ModelLoader
from driftline.scorer.model_source import ModelSource, resolve
from driftline.scorer.orders import ModelOrder, OrderBoard, Orders
from driftline.scorer.prediction_pool import BatchLimits, PredictionPool
from driftline.scorer.served_model import ServedModel
from driftline.scorer.version_book import VersionBook
from driftline.scorer.warm_up import WarmUpFailed, warm_up
from driftline.store.records import Arm
from driftline.store.spool.settings import SpoolSettings

pytestmark = [pytest.mark.thorough, pytest.mark.filterwarnings("ignore::UserWarning")]  # of MLflow itself


class Worker:
    """A worker's swapping, with a board that the test posts on."""

    def __init__(self, scaled: ScaledModels, folder: Path) -> None:
        self._scaled = scaled
        self._book = VersionBook(1)
        self.board, self.reports = OrderBoard.create(), ReportPipe.create()
        pool = PredictionPool(batches=BatchLimits(8, 0.001, 1e-9))
        spool = SpoolSettings(ring_bytes=1 << 20)
        self.loader = ModelLoader(pool, pool, folder, spool, 1.0, version_headers=True, typed_rows=False)
        first = self.order("first")
        self.board.post(Orders({Arm.CHAMPION: first}, {}))
        self.layer = ScoringLayer(self.loader.load(first), pool)
        self.loads: list[str] = []
        self.gate = threading.Event()  # before each load
        self.gate.set()
        self.disturbed = 0  # so many loads fail for no fault of the model's
        board = OrderBoard.attach(self.board.path)
        self.swap = HotSwap(self.layer, {Arm.CHAMPION: first}, board, self.reports, self._load)
        gc.collect()
        gc.freeze()

    def order(self, name: str, attempt: int = 0) -> ModelOrder:
        version = self._scaled.client.get_model_version("scaled", self._scaled.versions[name])
        source: ModelSource = resolve(f"models:/scaled/{version.version}")
        return self._book.enter(Arm.CHAMPION, source).order(attempt)

    def _load(self, order: ModelOrder) -> ServedModel:
        self.loads.append(order.identity.version)
        assert self.gate.wait(60)
        if len(self.loads) <= self.disturbed:
            raise RuntimeError("dictionary changed size during iteration")
        return self.loader.load(order)

    def want(self, name: str, attempt: int) -> None:
        self.board.post(Orders({Arm.CHAMPION: self.order("first")}, {Arm.CHAMPION: self.order(name, attempt)}))

    def heard(self) -> list[LoadReport]:
        return list(self.reports.receive(0))


@pytest.fixture
def worker(scaled: ScaledModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", scaled.uri)
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", scaled.uri)
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")  # MLflow sets it for good
    worker = Worker(scaled, tmp_path)
    yield worker
    worker.layer.champion.tee.close()
    gc.unfreeze()


def model_of(layer: ScoringLayer) -> object:
    """Return the user's own object under the application that serves."""
    endpoint = next(route.endpoint for route in layer.champion.app.routes if route.path == "/ping")  # type: ignore[attr-defined]
    return inspect.getclosurevars(endpoint).nonlocals["model"].unwrap_python_model()


def run(action: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(action(), 60))  # type: ignore[arg-type]


async def score(layer: ScoringLayer, number: float) -> float:
    """Have one request answered, as the server would."""
    answer: list[bytes] = []
    body = b'{"dataframe_records": [{"x": %f}]}' % number

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        answer.append(message.get("body", b""))

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": headers, "query_string": b""}
    await layer(scope, receive, send)
    (found,) = json.loads(b"".join(answer))["predictions"]
    return float(found if isinstance(found, float) else next(iter(found.values())))


def test_the_memory_of_a_version_that_was_replaced_is_released_although_it_was_frozen(worker: Worker) -> None:
    assert worker.layer.champion.predictor is not None
    old = weakref.ref(model_of(worker.layer))

    async def answer_and_swap() -> None:
        many = await asyncio.gather(*(score(worker.layer, number) for number in range(50)))
        assert many == [float(number) for number in range(50)]
        worker.want("second", 1)
        await worker.swap.look()
        assert await score(worker.layer, 7) == 14.0

    assert old() is not None
    run(answer_and_swap)
    assert old() is None
    assert [report.state for report in worker.heard()] == ["loading", "serving"]


def test_a_version_is_not_released_before_its_last_request(worker: Worker) -> None:
    counts = worker.layer.champion.tally
    old = weakref.ref(model_of(worker.layer))
    counts.started()

    async def swap_and_answer() -> None:
        swapping = asyncio.create_task(worker.swap.look())
        while worker.layer.champion.tally is counts:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert old() is not None
        assert not swapping.done()
        counts.finished(0, 200, 1)
        await swapping

    worker.want("second", 1)
    run(swap_and_answer)
    assert old() is None


def test_an_order_that_is_withdrawn_while_it_is_carried_out_changes_nothing(worker: Worker) -> None:
    before = worker.layer.champion

    async def withdraw() -> None:
        swapping = asyncio.create_task(worker.swap.look())
        await asyncio.sleep(0)
        worker.board.post(Orders({Arm.CHAMPION: worker.order("first")}, {}))
        await swapping

    worker.want("second", 1)
    run(withdraw)
    assert worker.layer.champion is before
    assert [report.state for report in worker.heard()] == ["loading"]


def test_an_order_that_failed_is_not_tried_again_before_its_next_attempt(worker: Worker) -> None:
    for attempt in (1, 1, 2):
        worker.want("torn", attempt)
        run(worker.swap.look)
    assert [(report.state, report.attempt) for report in worker.heard()] == [
        ("loading", 1), ("failed", 1), ("loading", 2), ("failed", 2),
    ]  # fmt: skip


def test_a_load_that_another_thread_disturbed_is_tried_once_more_at_once(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.disturbed = 1
    worker.want("second", 1)
    run(worker.swap.look)
    assert [report.state for report in worker.heard()] == ["loading", "serving"]
    assert "RuntimeError: dictionary changed size during iteration" in caplog.text
    assert 'raise RuntimeError("dictionary changed size during iteration")' in caplog.text, "its traceback"


@pytest.mark.parametrize(("name", "loads", "told"), [("torn", 2, 2), ("unwilling", 1, 0), ("leaving", 1, 0)])
def test_a_version_that_cannot_serve_is_loaded_twice_at_most_and_tracebacks_are_logged_where_they_say_more(
    worker: Worker, scaled: ScaledModels, caplog: pytest.LogCaptureFixture, name: str, loads: int, told: int
) -> None:
    worker.want(name, 1)
    run(worker.swap.look)
    assert [report.state for report in worker.heard()] == ["loading", "failed"]
    assert worker.loads == [scaled.versions[name]] * loads
    assert caplog.text.count("Traceback") == told


def test_a_load_that_never_ends_is_left_behind_when_nobody_wants_it(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_swap, "_PATIENCE_SECONDS", 0.3)

    async def move_on() -> None:
        swapping = asyncio.create_task(worker.swap.look())
        await asyncio.sleep(1)
        assert not swapping.done(), "it is waited for as long as it is wanted"
        worker.want("second", 2)
        await swapping
        await worker.swap.look()
        assert await score(worker.layer, 7) == 14.0

    worker.want("lingering", 1)
    run(move_on)
    assert [(report.state, report.attempt) for report in worker.heard()] == [
        ("loading", 1), ("loading", 2), ("serving", 2),
    ]  # fmt: skip


def test_the_event_loop_goes_on_while_a_version_is_loaded(worker: Worker) -> None:
    worker.gate.clear()

    async def turn() -> None:
        swapping = asyncio.create_task(worker.swap.look())
        while not worker.loads:
            await asyncio.sleep(0.005)
        assert await score(worker.layer, 7) == 7.0
        assert not swapping.done()
        worker.gate.set()
        await swapping
        assert await score(worker.layer, 7) == 14.0

    worker.want("second", 1)
    run(turn)


def test_made_up_rows_count_only_where_the_version_that_serves_answers_them(
    worker: Worker, scaled: ScaledModels
) -> None:
    unwilling = worker.order("unwilling")
    app = worker.loader.load(unwilling).app
    with pytest.raises(WarmUpFailed, match="400"):
        warm_up(app, unwilling.path, unwilling.identity, worker.layer.champion.app)
    warm_up(app, unwilling.path, unwilling.identity, app)
    warm_up(app, unwilling.path, unwilling.identity)


def test_an_input_example_has_to_be_answered(worker: Worker, tmp_path: Path) -> None:
    unwilling = worker.order("unwilling")
    app = worker.loader.load(unwilling).app
    example = scaled_with_example(unwilling.path, tmp_path)
    with pytest.raises(WarmUpFailed, match="its own input example is answered with 400"):
        warm_up(app, example, unwilling.identity)


def scaled_with_example(path: Path, folder: Path) -> Path:
    """Return a folder with the model's metadata and an example to be served."""
    example = folder / "example"
    example.mkdir()
    metadata = (path / "MLmodel").read_text()
    told = (
        "saved_input_example_info:\n  artifact_path: in.json\n  serving_input_path: serving.json\n  type: dataframe\n"
    )
    (example / "MLmodel").write_text(metadata + told)
    (example / "serving.json").write_text('{"dataframe_records": [{"x": 1.0}]}')
    return example
