"""The scoring application in a process that is no server of ours, such as that of a cloud's function.

It has no parent: no loader of its own process, no metrics port, no watch over the registry. What the URI means when it
is opened is served to the end.

Invariants
----------
- Answers and records are those of a worker of ``driftline serve``.
- An answer leaves when its record is in a file (``durability = "power"``), so that ``store_answered`` finds it.
- ``store_answered`` never raises, and waits no longer than it is told: what is not stored then stays in the spool.
"""

import asyncio
import logging
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from driftline.scorer.asgi import ScoringLayer
from driftline.scorer.asgi_types import ASGIApp
from driftline.scorer.door import Door
from driftline.scorer.model_loader import ModelLoader
from driftline.scorer.model_source import resolve
from driftline.scorer.prediction_pool import PredictionPool
from driftline.scorer.route_aliases import RouteAliases
from driftline.scorer.settings import ScorerSettings
from driftline.scorer.start_checks import check_home, check_limits, check_ring, prepare_store
from driftline.scorer.version_book import VersionBook
from driftline.store.engine import open_engine
from driftline.store.errors import ConfigurationError
from driftline.store.failures import cause, is_store_trouble
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.records import Arm, now_us
from driftline.store.redaction import load_redaction
from driftline.store.settings import load_base, load_section
from driftline.store.spool.settings import SpoolSettings
from driftline.store.typed_payload import bodies_may_be_left_out

_ARMS: Final = "a canary or a challenger needs `driftline serve`: leave `scorer.canary` and `scorer.shadow` out here"

_log = logging.getLogger("driftline.scorer")


class InProcessScorer:
    """One model and its spool; made by ``open``, used by one thread.

    Attributes:
        app: the ASGI application. An adapter that runs no lifespan needs none: ``open`` has started it.
    """

    def __init__(self, app: ASGIApp, layer: ScoringLayer, loader: Loader) -> None:
        self.app = app
        self._layer = layer
        self._loader = loader
        self._thread = ThreadPoolExecutor(1, "driftline-loader")
        self._loading: Future[object] | None = None
        self._away = False

    @classmethod
    def open(cls, model_uri: str, loop: asyncio.AbstractEventLoop) -> Self:
        """Load the model and open its spool under the configured home.

        Args:
            model_uri: anything that ``mlflow models serve -m`` takes.
            loop: in which requests will be answered; not running yet.

        Raises:
            DriftlineError: it cannot start; the message says why and what next.
            Exception: whatever MLflow or the model raises.
        """
        base, settings = load_base(), load_section(ScorerSettings, "scorer")
        spool = replace(load_section(SpoolSettings, "spool"), durability="power")
        loading = load_section(LoaderSettings, "loader")
        if settings.canary or settings.shadow:
            raise ConfigurationError(_ARMS)
        check_home(base.home)
        check_ring(spool, workers=1)
        check_limits(settings)
        prepare_store(base.store_url, settings.start_without_store)
        source = resolve(model_uri, Path(tempfile.mkdtemp(prefix="driftline-models-")))
        pool = PredictionPool.open(settings)
        models = ModelLoader(
            pool,
            pool,
            base.spool_folder,
            spool,
            settings.durable_wait_seconds,
            settings.version_headers,
            bodies_may_be_left_out(loading.raw_bodies),
            load_redaction(),
        )
        began = time.perf_counter_ns()
        model = models.load(VersionBook(workers=1).enter(Arm.CHAMPION, source).order(0))
        model.tally.loaded(now_us(), (time.perf_counter_ns() - began) // 1000)
        layer = ScoringLayer(model, pool, Door.open(settings))
        loop.run_until_complete(_install(pool))
        loader = Loader(open_engine(base.store_url, probe=False), base.spool_folder, loading)
        return cls(RouteAliases.parse(settings.aliases).over(layer), layer, loader)

    def store_answered(self, seconds: float) -> bool:
        """Load what was answered into the store; return whether that was done within ``seconds``.

        A load that takes longer goes on beside the next requests, and is waited for at the next call.
        """
        end = time.monotonic() + seconds
        if self._loading is not None and not self._done_by(end):  # an earlier one, which knows not of the last answers
            return False
        self._loading = self._thread.submit(self._loader.load_once)
        return self._done_by(end)

    def _done_by(self, end: float) -> bool:
        """Wait for the load that is under way; return whether it ended well until then."""
        assert self._loading is not None
        if not wait([self._loading], max(0.0, end - time.monotonic())).done:
            self._say("it takes longer than there is time")
            return False
        loading, self._loading = self._loading, None
        try:
            loading.result()
        except Exception as error:
            self._say(cause(error) if is_store_trouble(error) else type(error).__name__)
            return False
        self._away = False
        return True

    def close(self, seconds: float) -> bool:
        """Answer no more, write what is in memory, and store it as ``store_answered`` does."""
        self._layer.champion.tee.close()
        stored = self.store_answered(seconds)
        self._thread.shutdown(wait=stored)
        return stored

    def _say(self, why: str) -> None:
        """Log once that the store is away; what the spool keeps goes with this machine."""
        if not self._away:
            _log.warning("the store does not take rows (%s): the spool keeps them for the next request", why)
        self._away = True


async def _install(pool: PredictionPool) -> None:
    pool.install()
