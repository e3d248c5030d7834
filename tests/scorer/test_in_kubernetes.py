"""The job's and the scorer's container of deploy/kubernetes as processes of this machine, with their own arguments,
variables and mounts. What a cluster does around them (scheduling, volumes, policies) is not here.
"""

import subprocess
import threading
import time
from pathlib import Path

import pytest
import servers
from fault_oracle import balanced, stored
from kubernetes_rig import as_process, overlay, pods, probes, rendered, write_config
from scoring_servers import DriftlineServer, environment, running

from driftline.store.engine import open_engine

BODY = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[0.5, 1.5]]}}'


@pytest.mark.thorough
@pytest.mark.postgresql
def test_a_scorers_pod_answers_its_probes_and_has_loaded_all_that_it_answered_when_it_stops(
    models: Path, postgresql_url: str, tmp_path: Path
) -> None:
    tracking = environment(models)["MLFLOW_TRACKING_URI"]
    (tmp_path / "overlay").mkdir()
    resources = rendered(
        overlay(tmp_path / "overlay", MODEL_URI="models:/linear@champion", MLFLOW_TRACKING_URI=tracking)
    )
    job, folder = tmp_path / "job", tmp_path / "scorer"
    for place in (job, folder):
        write_config(place, postgresql_url)
    command, variables = as_process(resources, "driftline-store-upgrade", job, {})
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    scoring, metrics = servers.free_port(), servers.free_port()
    command, variables = as_process(resources, "driftline-scorer", folder, {5000: scoring, 9107: metrics})
    scorer = DriftlineServer(command, scoring, tmp_path / "scorer.log", variables, folder / "home", metrics)
    stop, statuses = threading.Event(), []

    def client() -> None:
        while not stop.is_set():
            try:
                statuses.append(scorer.score(BODY).status)
            except OSError:  # nobody listens any more
                return

    clients = [threading.Thread(target=client) for _ in range(2)]
    with running(scorer):
        assert {path: scorer.ask("GET", path).status for path in probes(resources, "driftline-scorer")} == {
            "/ping": 200
        }
        assert list((folder / "ring").iterdir()), "the ring lies where it is mounted"
        for each in clients:
            each.start()
        servers.wait_until(lambda: len(statuses) > 50, what="requests are answered")
        grace = pods(resources)["driftline-scorer"]["spec"]["terminationGracePeriodSeconds"]
        began = time.monotonic()
        assert scorer.stop(grace) == 0
        print(f"stopped under load within {time.monotonic() - began:.1f} s of {grace} s")
        stop.set()
        for each in clients:
            each.join(60)
    assert set(statuses) == {200}
    engine = open_engine(postgresql_url)
    account = balanced(engine, scorer.spool_folder)
    assert (account.spooled, sum(account.dropped.values())) == (0, 0), account
    assert len(stored(engine)) >= len(statuses)
    engine.dispose()
