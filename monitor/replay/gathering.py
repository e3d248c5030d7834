"""Put captured rows to a version, chunk by chunk, and keep what is compared afterwards."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from driftline.monitor.replay.answering import Answers, joined
from driftline.monitor.replay.candidate import Candidate
from driftline.monitor.replay.fit import Fit
from driftline.monitor.replay.served_input import CapturedRows
from driftline.store import schema
from driftline.store.payload.typed_cells import Column
from driftline.store.prediction_columns import PredictionColumn
from driftline.store.sampling import Sample, SampledRows

CHUNK_ROWS = 1_000
KEPT_INPUT_ROWS = 50_000  # of which it is told where versions disagree: enough for shares, and bounded
_TIMED_REQUESTS = 100
_TIMED_SECONDS = 5.0


@dataclass(slots=True)
class Gathered:
    """Rows that the asked version answered, in the order of the sample, and what it failed on.

    Attributes:
        ids, row_index, received_at, labels: see ``SampledRows``; one per answered row.
        recorded, asked: outputs by their own ``column_name``: what was answered then, what is answered now.
        inputs: of the first ``KEPT_INPUT_ROWS`` answered rows, by ``column_name``.
        failed: rows by kind of error.
    """

    ids: list[bytes] = field(default_factory=list)
    row_index: list[int] = field(default_factory=list)
    received_at: list[int] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    recorded: dict[str, Column] = field(default_factory=dict)
    asked: dict[str, Column] = field(default_factory=dict)
    inputs: dict[str, Column] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """Answered rows."""
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long ``predict`` took over the rows of whole requests, in milliseconds.

    Attributes:
        requests: timed.
        median, p95: of the asked version, now and here.
        recorded_median: of the same requests when they were answered, on the machine that did; None where not measured.
    """

    requests: int
    median: float
    p95: float
    recorded_median: float | None


def gather(engine: Engine, sample: Sample, fit: Fit, asked: Candidate, progress: Callable[[int], object]) -> Gathered:
    """Have a version answer the sample.

    Args:
        progress: called with the number of rows put to it since the last call.
    """
    gathered = Gathered()
    parts: dict[str, list[tuple[PredictionColumn, Column]]] = {"recorded": [], "asked": [], "inputs": []}
    given = [c for c, _ in fit.pairs]
    kept = 0
    for chunk in sample.chunks(engine, CHUNK_ROWS):
        answers = asked.answer(captured(chunk, fit.inputs))
        _note(gathered, chunk, answers)
        parts["recorded"] += [(c, chunk.columns[c.column_name][answers.answered]) for c in given]
        parts["asked"] += [(c, answers.cells[c.column_name]) for _, c in fit.pairs]
        if kept < KEPT_INPUT_ROWS:
            parts["inputs"] += [(c, chunk.columns[c.column_name][answers.answered]) for c in fit.inputs]
            kept += len(answers.answered)
        progress(len(chunk))
    gathered.recorded, gathered.asked, gathered.inputs = (_joined(parts[k]) for k in ("recorded", "asked", "inputs"))
    return gathered


def captured(chunk: SampledRows, inputs: Sequence[PredictionColumn]) -> CapturedRows:
    """Return a chunk's rows as they are put to a model."""
    return CapturedRows(inputs, chunk.columns, len(chunk))


def first_chunk(engine: Engine, sample: Sample, rows: int) -> SampledRows | None:
    """Return the first rows of a sample; None where retention took all of them."""
    return next(islice(sample.chunks(engine, rows), 1), None)


def time_requests(engine: Engine, chunk: SampledRows, inputs: Sequence[PredictionColumn], asked: Candidate,
                  window: tuple[int, int], arm: int) -> Timing | None:  # fmt: skip
    """Time a version on whole requests of a chunk, one after the other; None where it answers none.

    At most 100, within 5 s; the first one warms up and does not count.
    """
    starts = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(chunk.ids)) if a != b), len(chunk)]
    spans = list(pairwise(starts))
    spans = spans[:-1] if len(spans) > 1 else spans  # the last one's rows may go on in the next chunk
    rows, taken = captured(chunk, inputs), dict[bytes, float]()
    until = time.monotonic() + _TIMED_SECONDS
    asked.seconds(rows.take(np.arange(*spans[0])))
    for start, end in spans[:_TIMED_REQUESTS]:
        seconds = asked.seconds(rows.take(np.arange(start, end)))
        if seconds is not None:
            taken[chunk.ids[start]] = seconds * 1000
        if time.monotonic() > until:
            break
    if not taken:
        return None
    recorded = _recorded(engine, list(taken), window, arm)
    times = np.array(list(taken.values()))
    then = float(np.median([ms for ms in recorded if ms > 0])) if any(recorded) else None
    return Timing(len(taken), float(np.median(times)), float(np.quantile(times, 0.95)), then)


def _recorded(engine: Engine, ids: list[bytes], window: tuple[int, int], arm: int) -> list[float]:
    i = schema.invocation.c
    query = select(i.predict_us).where(
        i.id.in_(ids), i.arm == arm, i.received_at >= window[0], i.received_at < window[1]
    )
    with engine.connect() as connection:
        return [us / 1000 for us in connection.scalars(query)]


def _note(gathered: Gathered, chunk: SampledRows, answers: Answers) -> None:
    places: NDArray[np.int64] = answers.answered
    gathered.ids += [chunk.ids[i] for i in places.tolist()]
    gathered.row_index += chunk.row_index[places].tolist()
    gathered.received_at += chunk.received_at[places].tolist()
    gathered.labels += [chunk.labels[i] for i in places.tolist()]
    gathered.failed.update({kind: len(rows) for kind, rows in answers.failed.items()})


def _joined(parts: list[tuple[PredictionColumn, Column]]) -> dict[str, Column]:
    found: dict[str, list[Column]] = {}
    for column, cells in parts:
        found.setdefault(column.column_name, []).append(cells)
    return {name: joined(cells) for name, cells in found.items()}
