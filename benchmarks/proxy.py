"""What ``driftline proxy`` adds: p50 and requests per second beside the server behind, and beside a plain pass-through.

    python benchmarks/proxy.py [--rounds 5] [--seconds 2]

The server behind is uvicorn around a route of FastAPI that reads the body and answers 23 bytes: MLflow's server without
MLflow, so that what is added is not lost in the model's time. The plain pass-through is the same proxy, which copies
and records nothing. All three run at once and are measured in turns by wrk; medians over the rounds are printed. One
row of 20 doubles, one worker each, no access log, spool on the disk of the temporary folder.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import scoring_apps
import tee_rig
from tee_rig import Run, Server, made, running, saturate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers

from driftline.scorer.door import Door
from driftline.scorer.proxy.layer import ProxyLayer
from driftline.scorer.proxy.passage import Passage
from driftline.scorer.proxy.recorder import Counter, ProxiedModel
from driftline.scorer.proxy.settings import ProxySettings
from driftline.scorer.proxy.upstream import Upstream
from driftline.scorer.request_count import RequestCount
from driftline.scorer.tally import TallySheet
from driftline.scorer.tee import Tee
from driftline.store.settings import load_base, load_section
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

CONNECTIONS = (1, 16)


class PlainProxy(ProxyLayer):
    """The proxy without its tee."""

    async def _pass(self, scope: Any, receive: Any, send: Any, is_invocation: bool, count: RequestCount) -> None:
        await Passage(scope, receive, send, self._upstream, Counter(self._model, count)).run()


def create_app() -> ProxyLayer:
    """Return the proxy that ``BENCHMARK_PROXY`` names, ``plain`` or ``tee``; for ``uvicorn --factory``."""
    tally = TallySheet.create(1).claim()
    folder = made(load_base().spool_folder)
    tee = Tee(Spool.open(folder, load_section(SpoolSettings, "spool")), scoring_apps.identity(), tally)
    proxy = load_section(ProxySettings, "proxy")
    kind = PlainProxy if os.environ["BENCHMARK_PROXY"] == "plain" else ProxyLayer
    return kind(ProxiedModel(tee, tally, (), proxy.kept_body_bytes), Upstream(proxy), Door())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="driftline-proxy-") as name, ExitStack() as stack:
        folder, body = Path(name), scoring_apps.body(1)
        behind = stack.enter_context(tee_rig.server("framework", "bare", folder / "behind"))
        doors = {"direct": behind}
        for kind in ("plain", "tee"):
            doors[kind] = stack.enter_context(_proxy(kind, behind.port, folder / kind))
        print(f"load of the machine {os.getloadavg()[0]:.1f}")
        for connections in CONNECTIONS:
            runs: dict[str, list[Run]] = {kind: [] for kind in doors}
            for turn in range(options.rounds + 1):  # the first warms up
                for kind in doors if turn % 2 else reversed(doors):
                    run = saturate(doors[kind], body, options.seconds, folder, connections)
                    runs[kind] += [run] if turn else []
            _tell(connections, runs)
        print(f"dropped: {tee_rig.dropped(folder)}")


def _tell(connections: int, runs: dict[str, list[Run]]) -> None:
    direct = runs["direct"]
    for kind, own in runs.items():
        ratio = statistics.median(one.rate / other.rate for one, other in zip(own, direct, strict=True))
        added = statistics.median(one.p50_us - other.p50_us for one, other in zip(own, direct, strict=True))
        rate, loop, p50 = (statistics.median(each) for each in zip(*own, strict=True))
        print(f"{connections:>3} connections, {kind:<6}: {rate:7.0f} requests/s ({ratio:.2f} of direct), "
              f"p50 {p50:6.0f} us ({added:+.0f}), event loop {loop:4.0f} us")  # fmt: skip


@contextmanager
def _proxy(kind: str, behind: int, home: Path) -> Iterator[Server]:
    port = servers.free_port()
    command: list[str | Path] = [
        sys.executable, "-m", "uvicorn", "--factory", "proxy:create_app", "--app-dir", Path(__file__).parent,
        "--port", str(port), "--no-access-log", "--log-level", "warning", "--no-server-header", "--no-date-header",
    ]  # fmt: skip
    environment = {
        **os.environ, "DRIFTLINE_HOME": str(home), "BENCHMARK_PROXY": kind, "DRIFTLINE_SPOOL_MIN_FREE_BYTES": "0",
        "DRIFTLINE_PROXY_UPSTREAM": f"http://127.0.0.1:{behind}",
        "UVICORN_HTTP": "driftline.scorer.joined_writes:JoinedWrites",
    }  # fmt: skip
    with running(command, environment, made(home)) as process:
        servers.wait_until(lambda: servers.listens(port), 60)
        yield Server(port, process.pid)


if __name__ == "__main__":
    main()
