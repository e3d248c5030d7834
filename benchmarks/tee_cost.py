"""What recording every answer costs: on the calling thread, in throughput, in p99, and while the disk is frozen.

    python benchmarks/tee_cost.py [--rounds 5] [path] [throughput] [latency] [freeze]

The same server runs with and without the tee, both at once, measured in turns; the ratios are taken within a round,
and medians over the rounds are printed. It is uvicorn with one worker and no access log over a route of FastAPI that
only reads the body and answers 23 bytes: MLflow's server without MLflow. ``throughput`` also measures MLflow's own, and
an application without any framework, for which there is no goal: 4 us are 14 % of the 25 us that it takes.
``latency`` also measures while the real loader loads that spool into SQLite and PostgreSQL; ``freeze`` needs root.
The exit code is 1 when a goal is missed.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import open_loop
import pytest
import scoring_apps
import tee_rig
from open_loop import percentile

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import faulty_disks
import servers

from driftline.scorer.tally import TallySheet
from driftline.scorer.tee import Tee
from driftline.store.records import Arm, Invocation, new_invocation_id, now_us
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

RATE = 1500.0
PATH_GOALS_US = {1: 4.0, 100: 8.0}
THROUGHPUT_GOAL, LATENCY_GOAL, FREEZE_GOAL_US = 0.92, 1.25, 1000.0
_PACE = 100e6  # bytes a second that any disk keeps up with


def main() -> int:
    parts: dict[str, Callable[[Path, int], bool]] = {
        "path": path, "throughput": throughput, "latency": latency, "freeze": freeze,
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="all of them when none is named")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    reached = True
    for name in options.parts or parts:
        with tempfile.TemporaryDirectory(prefix="driftline-tee-cost-") as folder:
            print(f"{name} (load of the machine {os.getloadavg()[0]:.1f})", flush=True)
            reached &= parts[name](Path(folder), options.rounds)
    return 0 if reached else 1


def path(folder: Path, rounds: int) -> bool:
    """Time on the calling thread: ``Tee.record`` with id, making and packing; beside one write of the same bytes."""
    reached = True
    for rows, goal in PATH_GOALS_US.items():
        body, answer = scoring_apps.body(rows), b'{"predictions": [%s]}' % b", ".join([b"0.25"] * rows)
        spool = Spool.open(tee_rig.made(folder / str(rows)), SpoolSettings(min_free_bytes=0))
        tee = Tee(spool, scoring_apps.identity(), TallySheet.create(1).claim())
        descriptor = os.open(folder / f"{rows}.bytes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        packed = _invocation(body, answer).pack()

        def record(tee: Tee = tee, body: bytes = body, answer: bytes = answer) -> None:
            tee.record(lambda: _invocation(body, answer))

        def write(descriptor: int = descriptor, packed: bytes = packed) -> None:
            os.write(descriptor, packed)

        calls: dict[str, Callable[[], object]] = {
            "record": record, "os.write": write,
            "whole layer": _request_through(scoring_apps.under_tee(
                scoring_apps.answer_plain, folder / f"layer{rows}", SpoolSettings(min_free_bytes=0)), body),
            "no layer": _request_through(scoring_apps.answer_plain, body),
        }  # fmt: skip
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
        for _ in range(2 * rounds):
            for name, call in calls.items():
                took = _timed(call, len(packed), 4000 if rows == 1 else 800)
                found[name].append((percentile(took, 0.5), percentile(took, 0.99)))
        os.close(descriptor)
        spool.close()
        p50 = {name: statistics.median(run[0] for run in runs) for name, runs in found.items()}
        p99 = {name: statistics.median(run[1] for run in runs) for name, runs in found.items()}
        lost = tee_rig.dropped(folder)
        reached &= p50["record"] <= goal and not lost
        print(f"  {rows} x 20, {len(packed)} bytes: record p50 {p50['record']:.2f} us (goal {goal:.0f}), p99 "
              f"{p99['record']:.1f}; os.write p50 {p50['os.write']:.2f}, p99 {p99['os.write']:.1f}; "
              f"whole layer p50 {p50['whole layer'] - p50['no layer']:.2f}; {lost} dropped")  # fmt: skip
    return reached


def throughput(folder: Path, rounds: int) -> bool:
    """Requests per second of 16 connections that always wait for an answer, with and without."""
    body, model = scoring_apps.body(1), folder / "model"
    tee_rig.train(model)
    reached = True
    for app, goal in (("plain", 0.0), ("framework", THROUGHPUT_GOAL), ("model", THROUGHPUT_GOAL)):
        with (
            tee_rig.server(app, folder / app, BENCHMARK_MODEL=str(model)) as without,
            tee_rig.server(f"{app}_with_tee", folder / f"{app}-tee", BENCHMARK_MODEL=str(model)) as with_,
        ):
            rates: dict[int, list[float]] = {without: [], with_: []}
            for turn in range(rounds + 1):  # the first warms up
                for port in rates if turn % 2 else reversed(rates):
                    rates[port].append(tee_rig.saturate(port, body, 3 if turn else 1, folder))
            lost = tee_rig.dropped(folder / f"{app}-tee" / "spool")
        pairs = list(zip(rates[without], rates[with_], strict=True))[1:]
        ratio = statistics.median(teed / bare for bare, teed in pairs)
        reached &= ratio >= goal and not lost
        bare, teed = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
        print(f"  {app}: {teed:.0f} requests/s with tee, {bare:.0f} without, ratio {ratio:.3f} (goal {goal or 'none'}; "
              f"rounds {min(b / a for a, b in pairs):.3f} to {max(b / a for a, b in pairs):.3f}), "
              f"{1e6 / teed - 1e6 / bare:.1f} us a request; {lost} dropped", flush=True)  # fmt: skip
    return reached


def latency(folder: Path, rounds: int) -> bool:
    """The p99 of open-loop requests of one row, with and without, and while the loader works."""
    requests = [open_loop.post("/invocations", scoring_apps.body(1))]
    with ExitStack() as stack:
        ports = {"without": stack.enter_context(tee_rig.server("framework", folder / "bare"))}
        ports["tee"] = stack.enter_context(tee_rig.server("framework_with_tee", folder / "tee"))
        stores = {"sqlite": f"sqlite:///{folder / 'driftline.sqlite'}"}
        stores["postgresql"] = stack.enter_context(servers.postgresql()).create_database("driftline")
        for kind, url in stores.items():
            ports[f"tee, {kind}"] = stack.enter_context(tee_rig.server("framework_with_tee", folder / kind))
            stack.enter_context(tee_rig.loader(url, folder / kind))
        runs: dict[str, list[open_loop.Load]] = {name: [] for name in ports}
        for turn in range(rounds + 1):
            for name, port in ports.items():
                load = open_loop.offer(port, requests, rate=RATE, seconds=4 if turn else 1, seed=turn)
                runs[name] += [load] if turn else []
        for kind, url in stores.items():
            tee_rig.expect_loaded(url, folder / kind / "spool")
        lost = sum(tee_rig.dropped(folder / home / "spool") for home in ("tee", *stores))
    reached = not lost
    for name, loads in runs.items():
        ratio = statistics.median(
            a.percentile(0.99) / b.percentile(0.99) for a, b in zip(loads, runs["without"], strict=True)
        )
        failed = sum(load.failed for load in loads)
        reached &= ratio <= LATENCY_GOAL and not failed
        print(f"  {name}: {_told(loads)}, p99 ratio {ratio:.2f} (goal {LATENCY_GOAL}), {failed} failed")
    return reached


def freeze(folder: Path, rounds: int) -> bool:
    """The p99 of open-loop requests that come while the disk under the spool takes no write."""
    requests = [open_loop.post("/invocations", scoring_apps.body(1))]
    runs: dict[str, list[open_loop.Load]] = {"as usual": [], "frozen": []}
    try:
        with (
            faulty_disks.ext4(folder / "disk", 512) as disk,
            tee_rig.server("framework_with_tee", disk.folder / "home") as port,
        ):
            open_loop.offer(port, requests, rate=RATE, seconds=1)
            for turn in range(rounds):
                for name, loads in runs.items():
                    with tee_rig.frozen(disk.folder) if name == "frozen" else ExitStack():
                        loads.append(open_loop.offer(port, requests, rate=RATE, seconds=1.4, seed=turn))
            lost = tee_rig.dropped(disk.folder / "home" / "spool")
    except pytest.skip.Exception as reason:
        print(f"  not measured: {reason}")
        return True
    more = statistics.median(
        a.percentile(0.99) - b.percentile(0.99) for a, b in zip(runs["frozen"], runs["as usual"], strict=True)
    )
    failed = sum(load.failed for loads in runs.values() for load in loads)
    for name, loads in runs.items():
        print(f"  {name}: {_told(loads)}, slowest {max(max(load.latencies_us) for load in loads) / 1000:.1f} ms")
    print(f"  p99 {more:+.0f} us (goal {FREEZE_GOAL_US:.0f}), {failed} failed, {lost} dropped")
    return more <= FREEZE_GOAL_US and not failed and not lost


def _told(loads: list[open_loop.Load]) -> str:
    p50, p99 = (statistics.median(load.percentile(share) for load in loads) for share in (0.5, 0.99))
    late = statistics.median(percentile(load.lateness_us, 0.99) for load in loads)
    return f"p50 {p50:.0f} us, p99 {p99:.0f} us (generator late by {late:.0f} us at p99)"


def _invocation(body: bytes, answer: bytes) -> Invocation:
    at_us = now_us()
    return Invocation(
        id=new_invocation_id(at_us), received_at_us=at_us, status=200, arm=Arm.CHAMPION, latency_us=250,
        content_type=b"application/json", client_request_id=b"", request=body, response=answer,
    )  # fmt: skip


def _request_through(app: scoring_apps.App, body: bytes) -> Callable[[], None]:
    """Return a call that takes one request through an application whose server never waits."""
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    scope: dict[str, object] = {
        "type": "http",
        "method": "POST",
        "path": "/invocations",
        "root_path": "",
        "headers": headers,
    }

    async def receive() -> scoring_apps.Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: scoring_apps.Message) -> None:
        pass

    async def ask() -> None:
        await app(scope, receive, send)

    def run() -> None:
        try:
            ask().send(None)
        except StopIteration:
            return
        raise AssertionError("the application waits for something")

    return run


def _timed(call: Callable[[], object], size: int, calls: int) -> list[float]:
    """Return the microseconds of each call; a breath every 25 calls keeps them under ``_PACE``."""
    clock, took = time.perf_counter_ns, []
    for i in range(calls):
        begin = clock()
        call()
        took.append((clock() - begin) / 1000)
        if i % 25 == 0:
            time.sleep(25 * size / _PACE)
    return took


if __name__ == "__main__":
    sys.exit(main())
