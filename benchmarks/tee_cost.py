"""What recording every answer costs: on the calling thread, in throughput, in p99, and while the disk is frozen.

    python benchmarks/tee_cost.py [--rounds 5] [path] [served] [throughput] [latency] [freeze]

The same server runs with and without the tee, both at once, measured in turns; the ratios are taken within a round,
and medians over the rounds are printed. "Without" is the same layer, which keeps no record. In ``served`` it serves a
linear regression as a worker of ``driftline serve`` does, one by one and in batches, and one process does both, in
turns. Elsewhere it stands in uvicorn with one worker and no access log around a route of FastAPI that only reads the
body and answers 23 bytes: MLflow's server without MLflow. ``throughput`` also measures MLflow's own, and an application
without a framework, for which there is no goal: 4 us are a tenth of its 40. It prints the bare application too, without
any layer. ``latency`` also measures while the real loader loads that spool into SQLite and PostgreSQL; ``freeze`` needs
root.
The exit code is 1 when a goal is missed.
"""

import argparse
import os
import signal
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
from driftline.store.records import Arm, InvocationFields, new_invocation_id, now_us, pack_invocation
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

RATE = 1500.0
PATH_GOALS_US = {1: 4.0, 100: 8.0}
SERVED_GOAL, SERVED_P50_GOAL_US = 0.95, 30.0
THROUGHPUT_GOAL, LATENCY_GOAL, FREEZE_GOAL_US = 0.92, 1.25, 1000.0
_TURNS = 3  # of each kind in each order, per start
_ORDERS = (scoring_apps.RECORD, scoring_apps.RECORD_NOT)
_PACE = 100e6  # bytes a second that any disk keeps up with


def main() -> int:
    parts: dict[str, Callable[[Path, int], bool]] = {
        "path": path, "served": served, "throughput": throughput, "latency": latency, "freeze": freeze,
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
        packed = pack_invocation(*_invocation(body, answer))

        def record(tee: Tee = tee, body: bytes = body, answer: bytes = answer) -> None:
            tee.record(_invocation(body, answer))

        def write(descriptor: int = descriptor, packed: bytes = packed) -> None:
            os.write(descriptor, packed)

        calls: dict[str, Callable[[], object]] = {"record": record, "os.write": write}
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
              f"{lost} dropped")  # fmt: skip
    return reached


def served(folder: Path, rounds: int) -> bool:
    """Our own server over a real model, with and without: requests per second, and p50 of a single connection.

    One process does both, in turns: two differ by more than the tee. Each round starts it anew.
    """
    body, model = scoring_apps.body(1), folder / "model"
    tee_rig.train(model)
    reached = True
    for app, loads in (("fast", (1, 16)), ("batches", (64,))):
        runs: dict[tuple[int, signal.Signals], list[tee_rig.Run]] = {
            (connections, order): [] for connections in loads for order in _ORDERS
        }
        for number in range(rounds):
            home = folder / app / str(number)
            with tee_rig.server(app, "switched", home, BENCHMARK_MODEL=str(model)) as worker:
                for connections in loads:
                    for turn in range(2 * _TURNS + 1):  # the first warms up
                        for order in _ORDERS if turn % 2 else reversed(_ORDERS):
                            os.kill(worker.pid, order)
                            run = tee_rig.saturate(worker, body, 1, folder, connections)
                            runs[connections, order] += [run] if turn else []
            reached &= not tee_rig.dropped(home)
        for connections in loads:
            tee, layer = (runs[connections, order] for order in _ORDERS)
            reached &= _judge_served(f"{app}, {connections} connections", tee, layer, connections)
    return reached


def _judge_served(what: str, tee: list[tee_rig.Run], layer: list[tee_rig.Run], connections: int) -> bool:
    ratio = _ratio([run.rate for run in tee], [run.rate for run in layer])
    more_us = statistics.median(a.p50_us - b.p50_us for a, b in zip(tee, layer, strict=True))
    p50_goal = SERVED_P50_GOAL_US if connections == 1 else float("inf")
    print(f"  {what}: ratio {ratio:.3f} (goal {SERVED_GOAL}), p50 {more_us:+.0f} us (goal {p50_goal:.0f})")
    for name, runs in (("with", tee), ("without", layer)):
        rate, loop_us, p50_us = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"    {name}: {rate:.0f} requests/s, p50 {p50_us:.0f} us, {loop_us:.1f} us of the event loop a request")
    return ratio >= SERVED_GOAL and more_us <= p50_goal


def throughput(folder: Path, rounds: int) -> bool:
    """Requests per second of 16 connections that always wait for an answer: bare, under the layer, with the tee."""
    body, model = scoring_apps.body(1), folder / "model"
    tee_rig.train(model)
    reached = True
    for app, goal in (("plain", 0.0), ("framework", THROUGHPUT_GOAL), ("model", THROUGHPUT_GOAL)):
        with ExitStack() as stack:
            workers = {
                layer: stack.enter_context(tee_rig.server(app, layer, folder / app / layer, BENCHMARK_MODEL=str(model)))
                for layer in ("bare", "layer", "tee")
            }
            runs: dict[str, list[tee_rig.Run]] = {layer: [] for layer in workers}
            for turn in range(rounds + 1):  # the first warms up
                for layer in workers if turn % 2 else reversed(workers):
                    run = tee_rig.saturate(workers[layer], body, 2 if turn else 1, folder)
                    runs[layer] += [run] if turn else []
            lost = tee_rig.dropped(folder / app / "tee")
        rates, loop_us = ({layer: [run[i] for run in each] for layer, each in runs.items()} for i in range(2))
        ratio = _ratio(rates["tee"], rates["layer"])
        reached &= ratio >= goal and not lost
        print(f"  {app}: ratio {ratio:.3f} (goal {goal or 'none'}), to the bare application "
              f"{_ratio(rates['tee'], rates['bare']):.3f}; {lost} dropped")  # fmt: skip
        for layer, each in rates.items():
            took = statistics.median(loop_us[layer])
            print(f"    {layer}: {statistics.median(each):.0f} requests/s, {took:.1f} us of the event loop a request")
    return reached


def latency(folder: Path, rounds: int) -> bool:
    """The p99 of open-loop requests of one row, with and without, and while the loader works."""
    requests = [open_loop.post("/invocations", scoring_apps.body(1))]
    with ExitStack() as stack:
        workers = {"without": stack.enter_context(tee_rig.server("framework", "layer", folder / "without"))}
        workers["tee"] = stack.enter_context(tee_rig.server("framework", "tee", folder / "tee"))
        stores = {"sqlite": f"sqlite:///{folder / 'driftline.sqlite'}"}
        stores["postgresql"] = stack.enter_context(servers.postgresql()).create_database("driftline")
        for kind, url in stores.items():
            workers[f"tee, {kind}"] = stack.enter_context(tee_rig.server("framework", "tee", folder / kind))
            stack.enter_context(tee_rig.loader(url, folder / kind))
        runs: dict[str, list[open_loop.Load]] = {name: [] for name in workers}
        for turn in range(rounds + 1):
            for name, worker in workers.items():
                load = open_loop.offer(worker.port, requests, rate=RATE, seconds=4 if turn else 1, seed=turn)
                runs[name] += [load] if turn else []
        for kind, url in stores.items():
            tee_rig.expect_loaded(url, folder / kind / "spool")
        lost = sum(tee_rig.dropped(folder / home / "spool") for home in ("tee", *stores))
    reached = not lost
    for name, loads in runs.items():
        ratio = _ratio(*([load.percentile(0.99) for load in each] for each in (loads, runs["without"])))
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
            tee_rig.server("framework", "tee", disk.folder / "home") as worker,
        ):
            open_loop.offer(worker.port, requests, rate=RATE, seconds=1)
            for turn in range(rounds):
                for name, loads in runs.items():
                    with tee_rig.frozen(disk.folder) if name == "frozen" else ExitStack():
                        loads.append(open_loop.offer(worker.port, requests, rate=RATE, seconds=1.4, seed=turn))
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


def _ratio(values: list[float], others: list[float]) -> float:
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


def _told(loads: list[open_loop.Load]) -> str:
    p50, p99 = (statistics.median(load.percentile(share) for load in loads) for share in (0.5, 0.99))
    late = statistics.median(percentile(load.lateness_us, 0.99) for load in loads)
    return f"p50 {p50:.0f} us, p99 {p99:.0f} us (generator late by {late:.0f} us at p99)"


def _invocation(body: bytes, answer: bytes) -> InvocationFields:
    at_us = now_us()
    return (
        new_invocation_id(at_us), at_us, 200, Arm.CHAMPION, 250, b"application/json", b"", body, answer, 20, 200, 10,
    )  # fmt: skip


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
