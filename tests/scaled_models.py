"""A registry whose aliases tests move, over the versions that ``scorer/models/train_scaled.py`` logs."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import servers
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _use_tracking_uri
from scoring_servers import Answer, DriftlineServer

BODY = '{"dataframe_records": [{"x": %s}]}'


class ScaledModels:
    """Version n of the model ``scaled`` multiplies by n; ``versions`` has the numbers by name."""

    def __init__(self, folder: Path, server: str | None = None) -> None:
        train = Path(__file__).parent / "scorer" / "models" / "train_scaled.py"
        arguments = [sys.executable, train, folder, *([server] if server else [])]
        subprocess.run(arguments, check=True, capture_output=True, cwd=folder)
        self.folder = folder
        self.versions: dict[str, str] = json.loads((folder / "versions.json").read_text())
        self.uri = server or f"sqlite:///{folder / 'mlflow.db'}"
        self.client = MlflowClient(self.uri, self.uri)

    def point(self, name: str, alias: str = "champion") -> str:
        """Let the alias mean the version of this name; return its number."""
        self.client.set_registered_model_alias("scaled", alias, self.versions[name])
        return self.versions[name]

    def copy(self, name: str) -> str:
        """Register the version of this name once more; return the new number."""
        copied = self.client.get_model_version("scaled", self.versions[name])
        with _use_tracking_uri(self.uri):  # by which the client looks the source up, whatever its own says
            return str(self.client.create_model_version("scaled", copied.source, copied.run_id).version)

    def remove_code(self, name: str) -> None:
        """Take the file away without which the version cannot be loaded."""
        source = self.client.get_model_version("scaled", self.versions[name]).source
        model_id = source.rpartition("/")[2]
        path = next(self.folder.glob(f"artifacts/**/{model_id}/artifacts/scaled.py"))
        shutil.move(path, path.with_suffix(".gone"))


def serves(server: DriftlineServer, version: str) -> bool:
    """Return whether all workers serve the version and nothing else."""
    info = "driftline_scorer_model_info"
    return server.metric(info) == server.metric(info, model_version=version) == 1 and in_sync(server)


def in_sync(server: DriftlineServer) -> bool:
    return server.metric("driftline_scorer_model_in_sync") == 1


def wait_serves(server: DriftlineServer, version: str) -> None:
    servers.wait_until(lambda: serves(server, version), 60, what=f"version {version}: {server.log.read_text()}")


def product(answer: Answer) -> float:
    """Return the number that the model answered to one row."""
    assert answer.status == 200, (answer.status, answer.body)
    (found,) = json.loads(answer.body)["predictions"]
    return float(found if isinstance(found, int | float) else next(iter(found.values())))


class Clients:
    """Threads that send numbers and keep every answer with the number that was sent."""

    def __init__(self, server: DriftlineServer) -> None:
        self._server = server
        self._stop = threading.Event()
        self.answers: list[tuple[int, Answer]] = []
        self.failures: list[str] = []

    @contextmanager
    def sending(self, threads: int = 4) -> Iterator["Clients"]:
        running = [threading.Thread(target=self._send, args=(i, threads)) for i in range(threads)]
        for thread in running:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in running:
                thread.join()

    def _send(self, first: int, step: int) -> None:
        number = first + 1
        while not self._stop.is_set():
            try:
                self.answers.append((number, self._server.score((BODY % number).encode())))
            except OSError as error:
                self.failures.append(repr(error))
            number += step
            time.sleep(0.002)  # the machine has to load models meanwhile
