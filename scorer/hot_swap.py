"""Put another model version into service in a running worker.

Invariants
----------
- The event loop goes on while a version is loaded and tried: that happens in a thread beside it.
- The change is one assignment: a request that came before is answered by the old version, one that comes after by the
  new, and none by none.
- Whatever a new version does wrong leaves the old one in service.
- One worker of a server holds two copies of a model at a time: it gives its turn up when the old one is released.
- An old version is released when its last request has been answered.
"""

import asyncio
import functools
import gc
import logging
import os
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from driftline.scorer.asgi import ScoringLayer
from driftline.scorer.load_reports import LoadReport, ReportPipe, State
from driftline.scorer.model_code import forget_code, own_code
from driftline.scorer.orders import ModelOrder, OrderBoard
from driftline.scorer.served_model import ServedModel
from driftline.scorer.tally import Tally
from driftline.scorer.warm_up import warm_up
from driftline.store.errors import DriftlineError
from driftline.store.records import Arm, now_us

_LOOK_SECONDS = 0.2
_RELEASE_PAUSES_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_LONGEST_REASON = 300
_PATIENCE_SECONDS = 300.0  # with a load that may never end, once the registry points elsewhere
_WEB_FRAMEWORK = ("fastapi", "starlette")

T = TypeVar("T")
Load = Callable[[ModelOrder], ServedModel]

_log = logging.getLogger("driftline.scorer")


class _NotLoaded(Exception):
    """Why a version was not loaded, in one line; holds nothing of what was loaded halfway."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """The same of one try; ``is_told`` where the error says all there is to know, and the next try would end alike."""

    reason: str
    is_told: bool


@dataclass(frozen=True, slots=True)
class _Retired:
    """What is left to know of a version that was replaced; it keeps nothing of it alive."""

    model: "weakref.ref[object]"
    tally: Tally
    path: Path
    version: str


class HotSwap:
    """Carries out the orders on the board, one at a time.

    Args:
        layer: which serves.
        serving: what it serves now, by arm.
        board, reports: the worker's ends of them.
        load: makes a served model of an order; called in a thread.
    """

    def __init__(
        self,
        layer: ScoringLayer,
        serving: Mapping[Arm, ModelOrder],
        board: OrderBoard,
        reports: ReportPipe,
        load: Load,
    ) -> None:
        self._layer = layer
        self._serving = dict(serving)
        self._board = board
        self._reports = reports
        self._load = load
        self._orders = board.read()
        self._tried = dict.fromkeys(self._serving, -1)

    async def follow(self) -> None:
        """Look at the board until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.look()
            except Exception:  # the next look may go better
                _log.exception("following the orders failed")

    async def look(self) -> None:
        """Carry out the next order, where there is one and it is this worker's turn."""
        self._renew()
        order = self._next()
        if order is None or not self._board.take_turn():
            return
        try:
            self._renew()  # what another worker found out may have changed it
            order = self._next()
            if order is not None:
                await self._carry_out(order)
        finally:
            self._board.end_turn()

    def _renew(self) -> None:
        if self._board.has_news():
            self._orders = self._board.read()

    def _next(self) -> ModelOrder | None:
        for arm, serving in self._serving.items():
            order = self._orders.wanted.get(arm) or self._orders.proven.get(arm)
            if order is not None and not order.same_model(serving) and order.attempt != self._tried[arm]:
                return order
        return None

    async def _carry_out(self, order: ModelOrder) -> None:
        begin = time.monotonic()
        self._tried[order.arm] = order.attempt
        self._say(order, "loading", begin)
        loading = asyncio.ensure_future(_in_thread(lambda: self._load_beside(order)))
        if not await self._is_worth_waiting(loading, order, begin):
            loading.cancel()
            _log.error("version %s is not loaded after %.0f s: left behind", order.identity.version, _PATIENCE_SECONDS)
            return
        try:
            loaded = loading.result()
        except _NotLoaded as error:
            _log.error("version %s is not served: %s", order.identity.version, error)
            self._say(order, "failed", begin, str(error))
            loaded = None
        del loading
        if loaded is None:
            await _in_thread(_collect)
            return
        self._renew()
        if not self._orders.wants(order):  # withdrawn meanwhile
            retired = self._retire(loaded, order)
        else:
            retired = self._swap(loaded, order, time.monotonic() - begin)
            self._say(order, "serving", begin)
        del loaded
        await self._release(retired)

    async def _is_worth_waiting(self, loading: "asyncio.Future[ServedModel]", order: ModelOrder, begin: float) -> bool:
        """Return when the load has ended; False where it takes long and nobody wants it any more."""
        while not loading.done():
            await asyncio.wait({loading}, timeout=_LOOK_SECONDS)
            self._renew()
            late = time.monotonic() - begin > _PATIENCE_SECONDS
            if late and not loading.done() and not self._orders.wants(order):
                return False
        return True

    def _load_beside(self, order: ModelOrder) -> ServedModel:
        """Load and try the version, in a thread; once more where an error may be no fault of the version's.

        Raises:
            _NotLoaded: it cannot serve.
        """
        loaded = self._load_once(order)
        if isinstance(loaded, _Failure) and not loaded.is_told:
            _log.warning("version %s is loaded once more at once", order.identity.version)
            _collect()  # there is room for one
            loaded = self._load_once(order)
        if isinstance(loaded, _Failure):
            raise _NotLoaded(loaded.reason)
        gc.freeze()  # as at the start: collections pass it over
        return loaded

    def _load_once(self, order: ModelOrder) -> ServedModel | _Failure:
        """Return what was loaded, or why nothing was; the error itself holds what was loaded halfway, and goes."""
        try:
            return self._load_and_try(order)
        except (DriftlineError, SystemExit) as error:  # a model that ends the process ends its loading only
            return _Failure(_one_line(error), is_told=True)
        except BaseException as error:
            _log.error("version %s was not loaded\n%s", order.identity.version, traceback.format_exc().rstrip())
            return _Failure(_one_line(error), is_told=False)

    def _load_and_try(self, order: ModelOrder) -> ServedModel:
        beside = {serving.path for serving in self._serving.values()} - {order.path}
        with own_code(order.path, beside):
            loaded = self._load(order)
            warm_up(loaded.app, order.path, order.identity, self._layer.model(order.arm).app)
        return loaded

    def _swap(self, loaded: ServedModel, order: ModelOrder, seconds: float) -> _Retired:
        before = self._layer.model(order.arm)
        serving = self._serving[order.arm]
        if order.identity.fingerprint != serving.identity.fingerprint:
            _log.warning(
                "version %s has another signature than version %s: clients may have to send something else",
                order.identity.version, serving.identity.version,
            )  # fmt: skip
        self._layer.serve(loaded)
        self._serving[order.arm] = order
        before.tally.shut_down()
        loaded.tally.loaded(now_us(), round(seconds * 1e6))
        return self._retire(before, serving)

    def _retire(self, model: ServedModel, order: ModelOrder) -> _Retired:
        return _Retired(weakref.ref(model.model), model.tally, order.path, order.identity.version)

    async def _release(self, retired: _Retired) -> None:
        """Wait for the last request of the old version and free its memory."""
        for pause in _RELEASE_PAUSES_SECONDS:
            await asyncio.sleep(pause)
            if retired.tally.in_progress:
                continue
            if not any(serving.path == retired.path for serving in self._serving.values()):
                forget_code(retired.path)
            await _in_thread(_collect)
            if retired.model() is None:
                return
        _log.warning("version %s is still in memory: something holds it", retired.version)

    def _say(self, order: ModelOrder, state: State, begin: float, reason: str = "") -> None:
        seconds = time.monotonic() - begin
        self._reports.send(LoadReport(os.getpid(), order.arm, order.attempt, state, reason, seconds))


def _collect() -> None:
    """Collect everything, once: what was frozen at the start is a part of it, and the old version lies in there."""
    _forget_endpoints()
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _forget_endpoints() -> None:
    """Empty FastAPI's caches of functions: they hold the last thousands of endpoints, and these their models."""
    for name, module in sys.modules.copy().items():
        if name.partition(".")[0] in _WEB_FRAMEWORK:
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()


async def _in_thread(function: Callable[[], T]) -> T:
    """Return what ``function`` returns, from a thread that the end of the process does not wait for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failure = None, None
        try:
            result = function()
        except Exception as error:
            failure = error
        try:
            loop.call_soon_threadsafe(tell, result, failure)
        except RuntimeError:  # the loop has ended
            return

    threading.Thread(target=run, name="hot-swap", daemon=True).start()
    return await future


def _one_line(error: BaseException) -> str:
    text = next(iter(str(error).strip().splitlines()), "")[:_LONGEST_REASON]
    if isinstance(error, DriftlineError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
