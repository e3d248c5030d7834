"""Whatever comes over HTTP, the servers go on: accounts balance, memory is bounded, nothing stays open or raises."""

import os
import re
import threading

import pytest
import requests
import servers
from event_rig import binary, event
from http_surface_rig import MOST_BYTES, Surface
from raw_requests import Target, Volley, fire
from serve_rig import open_files, resident_bytes
from sqlalchemy import select

from driftline.store import schema
from driftline.store.accounts import accounts
from driftline.store.imports.waiting import event_accounts
from driftline.store.records import invocation_id_text
from driftline.store.verify import verify

pytestmark = pytest.mark.thorough

THREADS = 4
LONG_SECONDS = float(os.environ.get("FUZZ_SECONDS", "600"))
MOST_GROWTH = 160 << 20  # bytes, of all processes of a server together
_DEEP = ("/invocations deep", "/invocations deep object")
_MLFLOWS_OWN = {kind: {"500"} for kind in _DEEP}  # tests/scoring_corpus.py has MLflow's server answer the same
_JSON = {"Content-Type": "application/json"}
_BODY = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0], [1.5, 0.5]]}}'
_LABELS = b'[{"request_id": "no-such-request-1", "row": 0, "label": 1}]'


def targets(surface: Surface) -> list[Target]:
    headers, body = binary(event("request", {"instances": [[1.0, 2.0]]}, "fuzz"))
    return [
        Target(surface.scorer.port, "/invocations", _JSON, _BODY, MOST_BYTES),
        Target(surface.scorer.port, "/invocations", {"Content-Type": "text/csv"}, b"a,b\n1.0,2.0\n", MOST_BYTES),
        Target(surface.proxy.port, "/invocations", _JSON, _BODY, MOST_BYTES),
        Target(surface.monitor_port, "/labels", _JSON, _LABELS, MOST_BYTES),
        Target(
            surface.monitor_port, "/labels", {"Content-Type": "text/csv"}, b"request_id,row,label\nno,0,1\n", MOST_BYTES
        ),
        Target(surface.monitor_port, "/ingest/cloudevents", headers, body, MOST_BYTES),
    ]


def pids(surface: Surface) -> dict[str, list[int]]:
    return {
        "scorer": [surface.scorer.process.pid, *surface.scorer.family()],
        "proxy": [surface.proxy.process.pid, *surface.proxy.family()],
        "monitor": [surface.monitor_pid],
    }


def fuzzed(surface: Surface, seconds: float, seed: int) -> Volley:
    """Fire from several threads, and hold the servers against what they were before."""
    shot_at = targets(surface)
    _use_each(surface, shot_at)
    warm_up = [
        threading.Thread(target=fire, args=(shot_at, seed + 100 + i, min(4.0, seconds / 4), Volley()))
        for i in range(THREADS)
    ]
    _run(warm_up)
    before = pids(surface)
    held = {pid: resident_bytes(pid) for family in before.values() for pid in family}
    files = {name: _open(family) for name, family in before.items()}
    volleys = [Volley() for _ in range(THREADS)]
    _run([threading.Thread(target=fire, args=(shot_at, seed + i, seconds, volley)) for i, volley in enumerate(volleys)])
    assert pids(surface) == before, "a process died"
    servers.wait_until(
        lambda: all(_open(family) <= files[name] + 8 for name, family in before.items()), 30,
        what="the connections are closed",
    )  # fmt: skip
    for name, family in before.items():
        grown = {pid: resident_bytes(pid) - held[pid] for pid in family}
        assert sum(grown.values()) < MOST_GROWTH, f"{name} grew, its processes by {grown} bytes"
    return _together(volleys)


def _use_each(surface: Surface, shot_at: list[Target]) -> None:
    """Have every server import what it imports late: the loader does with its first record."""
    for target in shot_at:
        url = f"http://127.0.0.1:{target.port}{target.path}"
        assert requests.post(url, data=target.body, headers=target.headers, timeout=60).status_code == 200
    folder = surface.scorer.spool_folder
    servers.wait_until(
        lambda: (a := accounts(surface.engine, folder)).stored and not a.spooled, 60, what="all is loaded"
    )


def _run(threads: list[threading.Thread]) -> None:
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def _open(family: list[int]) -> int:
    return sum(open_files(pid) for pid in family)


def _together(volleys: list[Volley]) -> Volley:
    whole = Volley()
    for volley in volleys:
        whole.shots += volley.shots
        whole.ids |= volley.ids
        for name, found in volley.statuses.items():
            whole.statuses.setdefault(name, set()).update(found)
    return whole


def check(surface: Surface, volley: Volley) -> None:
    """Assert that all of it answers as ever, and that every answer is accounted for."""
    assert volley.shots > 100
    wrong = {
        kind: found for kind, found in volley.statuses.items()
        if any(status.startswith("5") for status in found - _MLFLOWS_OWN.get(kind, set()))
    }  # fmt: skip
    assert not wrong, wrong
    for server in (surface.scorer, surface.proxy):
        assert server.ask("GET", "/ping").status == 200
        assert server.score(_BODY).status == 200
    monitor = f"http://127.0.0.1:{surface.monitor_port}"
    assert requests.get(f"{monitor}/healthz", timeout=60).status_code == 200
    assert requests.post(f"{monitor}/labels", data=_LABELS, headers=_JSON, timeout=60).status_code == 200
    folder = surface.scorer.spool_folder
    servers.wait_until(lambda: accounts(surface.engine, folder).spooled == 0, 60, what="all is loaded")
    assert accounts(surface.engine, folder).balanced
    assert all(each.agrees for each in verify(surface.engine))
    proxied = {invocation_id_text(one.id) for one in surface.proxy.invocations()}
    with surface.engine.connect() as connection:
        stored = {invocation_id_text(id_) for id_ in connection.scalars(select(schema.invocation.c.id))}
        events = event_accounts(connection)
    assert volley.ids <= stored | proxied, "answered and not kept"
    assert events.waiting + sum(events.fates.values()) > 0
    raised = set(re.findall(r"(?m)^([\w.]+(?:Error|Exception|Disconnect|Gone))\b", surface.logs()))
    assert raised <= {"RecursionError"}, raised  # MLflow's, of JSON that is too deep


def test_a_short_fuzz_of_the_http_surface_leaves_accounts_balanced_and_memory_bounded(surface: Surface) -> None:
    check(surface, fuzzed(surface, 10, seed=1))


@pytest.mark.slow
def test_a_long_fuzz_of_the_http_surface_leaves_accounts_balanced_and_memory_bounded(surface: Surface) -> None:
    check(surface, fuzzed(surface, LONG_SECONDS, seed=1000))
