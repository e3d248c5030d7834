"""A model in a process of its own: one that crashes, prints or hangs takes neither the command nor its output along.

Invariants
----------
- The child ends with its parent, however that ends, even while the model is busy; what it left in the temporary folder,
  the model's files among it, goes with it.
- What the model prints goes to standard error; standard output is the command's.
- A child that dies over some rows is started again and those rows are halved; after ``MOST_DEATHS`` they are given up
  in whole batches, so that a model that always dies costs no hour.
- A child that does not answer in time is killed, and the replay ends: nobody knows how long the next batch would take.
"""

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import numpy as np

from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.replay.answering import Answerer, Answers
from driftline.monitor.replay.served_input import CapturedRows
from driftline.store.errors import DriftlineError, ModelNotFound
from driftline.store.prediction_columns import PredictionColumn

MOST_DEATHS = 5
LOAD_SECONDS = 900.0  # what a version may take to be fetched and loaded
_DIED = "the model's process died"


class CandidateLost(DriftlineError):
    """The model's process ended while it loaded the model, or did not answer in time."""


class Candidate:
    """A loaded model that can be asked; a context manager that ends its process.

    Args:
        uri: of the model.
        signature: its own; ``outputs`` the columns of it.
        timeout_seconds: what it may take for the rows that it is asked about at once.

    Raises:
        ModelNotFound: it cannot be loaded here.
        CandidateLost: it took its process along, or was not there after ``LOAD_SECONDS``.
    """

    def __init__(
        self,
        uri: str,
        signature: Mapping[str, Any] | None,
        outputs: Sequence[PredictionColumn],
        timeout_seconds: float,
    ) -> None:
        self._job = (uri, signature, list(outputs))
        self._outputs = outputs
        self._timeout_seconds = timeout_seconds
        self._deaths = 0
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def answer(self, captured: CapturedRows) -> Answers:
        """Return the model's answers to the rows.

        Raises:
            CandidateLost: they take longer than the model may.
        """
        answers: Answers | None = self._asked("answer", captured)
        if answers is not None:
            return answers
        if captured.rows == 1 or self._deaths > MOST_DEATHS:
            return Answers(np.empty(0, np.int64), self._nothing(), {_DIED: list(range(captured.rows))})
        half = captured.rows // 2
        places = np.arange(captured.rows)
        first, second = (self.answer(captured.take(part)) for part in (places[:half], places[half:]))
        return _both(first, second, half)

    def seconds(self, captured: CapturedRows) -> float | None:
        """Return how long the model takes over the rows of one request; None where it fails."""
        taken: float | None = self._asked("seconds", captured)
        return taken

    def _nothing(self) -> dict[str, Any]:
        return {c.column_name: np.empty(0, np.object_) for c in self._outputs}

    def _asked(self, question: str, captured: CapturedRows) -> Any:
        try:
            self._pipe.send((question, captured))
            if not self._pipe.poll(self._timeout_seconds):
                raise CandidateLost(
                    f"{self._job[0]} did not answer {captured.rows:,} rows within {self._timeout_seconds:g} s: where "
                    "it is only slow, raise --timeout"
                )
            return self._pipe.recv()
        except (EOFError, OSError):
            self._deaths += 1
            self._end()
            self._start()
            return None

    def _start(self) -> None:
        import mlflow

        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        places = (str(mlflow.get_tracking_uri()), str(mlflow.get_registry_uri()))
        self._files = tempfile.TemporaryDirectory(prefix="driftline-replay-", ignore_cleanup_errors=True)
        given = (theirs, self._files.name, places, *self._job)
        self._process = context.Process(target=_serve, args=given, daemon=True)
        self._process.start()
        theirs.close()
        try:
            if not self._pipe.poll(LOAD_SECONDS):
                self._end()
                raise CandidateLost(
                    f"{self._job[0]} was not loaded within {LOAD_SECONDS:g} s: load it in Python with "
                    "`mlflow.pyfunc.load_model` to see why"
                )
            trouble = self._pipe.recv()
        except EOFError:
            self._end()
            raise CandidateLost(
                f"the process that loads {self._job[0]} ended with {self._process.exitcode}: load it in Python with "
                "`mlflow.pyfunc.load_model` to see why"
            ) from None
        if trouble is not None:
            self._end()
            raise ModelNotFound(trouble)

    def _end(self) -> None:
        self._pipe.close()
        self._process.kill()  # it has nothing to save, and may not listen to a gentler word
        self._process.join()
        self._files.cleanup()


def _both(first: Answers, second: Answers, half: int) -> Answers:
    """Join the answers to two parts, the second of which begins at ``half``."""
    parts = [part for part in (first, second) if len(part.answered)] or [first]
    failed = {kind: list(rows) for kind, rows in first.failed.items()}
    for kind, rows in second.failed.items():
        failed[kind] = failed.get(kind, []) + [row + half for row in rows]
    cells = {name: np.concatenate([part.cells[name] for part in parts]) for name in first.cells}
    return Answers(np.concatenate([first.answered, second.answered + half]), cells, failed)


def _serve(
    pipe: Connection,
    files: str,
    places: tuple[str, str],
    uri: str,
    signature: Mapping[str, Any] | None,
    outputs: Sequence[PredictionColumn],
) -> None:
    """Load the model, then answer what is asked until the pipe closes: the child's whole life."""
    import mlflow

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this one
    threading.Thread(target=_end_with_parent, args=(files,), daemon=True).start()
    tempfile.tempdir = os.environ["TMPDIR"] = files  # what is killed removes nothing itself
    os.dup2(sys.stderr.fileno(), 1)
    mlflow.set_tracking_uri(places[0])
    mlflow.set_registry_uri(places[1])
    try:
        answerer = Answerer(MlflowLink().load(uri), signature, outputs)
    except ModelNotFound as error:
        pipe.send(str(error))
        return
    pipe.send(None)
    while True:
        try:
            question, captured = pipe.recv()
        except EOFError:
            return
        pipe.send(answerer.answer(captured) if question == "answer" else answerer.seconds(captured))


def _end_with_parent(files: str) -> None:
    """Wait for the end of the parent, which a busy model would not see by its pipe."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        shutil.rmtree(files, ignore_errors=True)
        os._exit(1)
