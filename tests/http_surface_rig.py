"""A scorer, a proxy in front of it, and a monitor on one store: what other machines can reach of us."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import servers
from proxy_rig import proxy_server
from scoring_servers import BIN, DriftlineServer, environment, running
from serve_rig import serving
from sqlalchemy import Engine

from driftline.store.engine import open_engine

MOST_BYTES = 1 << 18  # of a body, wherever one is posted


@dataclass(frozen=True)
class Surface:
    """The servers, and the log of the monitor."""

    scorer: DriftlineServer
    proxy: DriftlineServer
    monitor_port: int
    monitor_pid: int
    monitor_log: Path
    engine: Engine

    def logs(self) -> str:
        """Return what all of them said."""
        return "\n".join(
            path.read_text("utf-8", "replace") for path in (self.scorer.log, self.proxy.log, self.monitor_log)
        )


@pytest.fixture(scope="session")
def surface(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surface]:
    """All of it, over the model ``linear``, on SQLite."""
    models = tmp_path_factory.mktemp("models")
    train = Path(__file__).parent / "scorer" / "models" / "train.py"
    subprocess.run([sys.executable, train, models], check=True, capture_output=True, cwd=models)
    home = models / "home"
    store = f"sqlite:///{models / 'driftline.sqlite'}"
    limits = {"DRIFTLINE_SCORER_MAX_BODY_BYTES": str(MOST_BYTES)}
    with serving(models, home, store, **limits) as scorer:
        proxy = proxy_server(
            models, f"http://127.0.0.1:{scorer.port}", "proxy", "--model", "models:/linear/1", **limits
        )
        with running(proxy):
            yield from _with_monitor(models, home, store, scorer, proxy)


def _with_monitor(
    models: Path, home: Path, store: str, scorer: DriftlineServer, proxy: DriftlineServer
) -> Iterator[Surface]:
    port, log = servers.free_port(), models / "monitor.log"
    settings = environment(
        models, DRIFTLINE_HOME=str(home), DRIFTLINE_STORE=store, DRIFTLINE_LABELS_MAX_BODY_BYTES=str(MOST_BYTES),
        DRIFTLINE_IMPORTS_MAX_BODY_BYTES=str(MOST_BYTES), DRIFTLINE_IMPORTS_MODELS="iris=models:/linear/1",
        DRIFTLINE_IMPORTS_INTERVAL_SECONDS="2",
    )  # fmt: skip
    with log.open("wb") as output:
        command = [str(BIN / "driftline"), "monitor", "--port", str(port)]
        child = subprocess.Popen(command, env=settings, stdout=output, stderr=subprocess.STDOUT, cwd=models)
    engine = open_engine(store)
    try:
        servers.wait_until(lambda: servers.listens(port), 60, what="the monitor listens")
        yield Surface(scorer, proxy, port, child.pid, log, engine)
    finally:
        engine.dispose()
        child.terminate()
        child.wait(60)
