"""Have a loaded model answer captured rows, whatever it raises on some of them."""

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.child_process import place_of
from driftline.monitor.frames import TrainingDataMismatch, answer_columns
from driftline.monitor.replay.served_input import CapturedRows, alike, served_input
from driftline.store.payload.typed_cells import Column
from driftline.store.prediction_columns import PredictionColumn


@dataclass(slots=True)
class Answers:
    """What a model said to some rows.

    Attributes:
        answered: places of the rows it answered, ascending.
        cells: its outputs for those, by ``column_name``.
        failed: by kind of error, the places of the rows it failed on. A kind names a class and a line of code, never
            a value.
    """

    answered: NDArray[np.int64]
    cells: dict[str, Column]
    failed: dict[str, list[int]] = field(default_factory=dict)


class Answerer:
    """Asks one model.

    Args:
        model: as ``mlflow.pyfunc.load_model`` gives it.
        signature: its own; ``outputs`` the columns of it.
    """

    def __init__(self, model: Any, signature: Mapping[str, Any] | None, outputs: Sequence[PredictionColumn]) -> None:
        self._model = model
        self._signature = None if signature is None else dict(signature)
        self._outputs = outputs

    def answer(self, captured: CapturedRows) -> Answers:
        """Return its answers; a batch that it fails on is halved until the rows are found that it fails on."""
        places: list[NDArray[np.int64]] = []
        parts: list[dict[str, Column]] = []
        failed: dict[str, list[int]] = {}
        waiting = list(alike(captured))[::-1]
        while waiting:
            chosen = waiting.pop()
            try:
                part = self._ask(captured.take(chosen))
            except Exception as error:  # whatever the model's code raises
                if len(chosen) == 1:
                    failed.setdefault(_kind(error), []).append(int(chosen[0]))
                else:
                    half = len(chosen) // 2
                    waiting += [chosen[half:], chosen[:half]]
                continue
            places.append(chosen)
            parts.append(part)
        answered = np.concatenate(places) if places else np.empty(0, np.int64)
        order = np.argsort(answered)
        cells = {c.column_name: joined([part[c.column_name] for part in parts])[order] for c in self._outputs}
        return Answers(answered[order], cells, failed)

    def seconds(self, captured: CapturedRows) -> float | None:
        """Return how long ``predict`` takes over the rows of one request; None where it fails."""
        try:
            given = served_input(captured, self._signature)
            began = time.perf_counter()
            self._model.predict(given)
        except Exception:  # counted where rows are answered
            return None
        return time.perf_counter() - began

    def _ask(self, captured: CapturedRows) -> dict[str, Column]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the model's libraries, to nobody who could act on them here
            answer = self._model.predict(served_input(captured, self._signature))
            return answer_columns(self._signature, self._outputs, answer, captured.rows)


def joined(parts: list[Column]) -> Column:
    """Return the cells of one column in one array; with None in any of them it is one of objects."""
    parts = [part for part in parts if len(part)] or parts[:1] or [np.empty(0, np.object_)]
    if any(part.dtype == np.object_ for part in parts):
        parts = [part.astype(np.object_) for part in parts]
    return np.concatenate(parts)


def _kind(error: Exception) -> str:
    if isinstance(error, TrainingDataMismatch):
        return "the answer is not what the signature says"
    return place_of(error)
