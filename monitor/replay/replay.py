"""Score captured requests with another version and compare: the question before a promotion.

Rows are a sample of those that the serving version answered, put to the other version in the form in which MLflow's
server would have handed them over. What was answered then stands beside what is answered now.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.mlflow_link import exact_uri
from driftline.monitor.performance.reference_performance import performance_of, task_of_reference
from driftline.monitor.performance.task import Task
from driftline.monitor.replay.agreement import Agreement, compare_most_probable, compare_output, most_probable
from driftline.monitor.replay.candidate import Candidate, CandidateLost
from driftline.monitor.replay.fit import CannotReplay, Fit, fit
from driftline.monitor.replay.gathering import Gathered, Timing, captured, first_chunk, gather, time_requests
from driftline.monitor.replay.intervals import wilson
from driftline.monitor.replay.labelled import labelled_performance
from driftline.monitor.replay.output_drift import (
    against_recorded,
    against_training,
    drift_document,
    training_reference,
)
from driftline.monitor.replay.verdict import sentence
from driftline.monitor.replay.where import telling_columns
from driftline.monitor.watch import WatchedVersion, find_version
from driftline.store.errors import DriftlineError, MlflowUnreachable, ModelNotFound
from driftline.store.records import Arm, ModelIdentity, invocation_id_text, iso
from driftline.store.references import newest_reference
from driftline.store.sampling import Sample, draw

_CHECKED_ROWS = 500
_SHOWN_ROWS = 20


class Progress(Protocol):
    """Shows how far the rows are: a context manager that gives what is called with rows done."""

    def __call__(self, length: int) -> AbstractContextManager[Callable[[int], object]]: ...


@contextmanager
def silent(length: int) -> Iterator[Callable[[int], object]]:
    """Show nothing."""
    yield lambda rows: None


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What is replayed and how it is compared.

    Attributes:
        window: start (inclusive) and end of the requests, microseconds since the epoch.
        of: whose requests, as ``find_version`` reads it; None: the model of the asked version's name.
        arm: whose answers.
        limit: at most so many rows.
        labelled: only rows that have a label.
        tolerance: numbers that are further apart differ; None: see ``compare_output``.
        timeout_seconds: what a version may take for a batch of at most ``CHUNK_ROWS`` rows.
        check: whether the version that answered is asked again too, to see that it still answers so here.
        show_values: whether request values may be told.
    """

    window: tuple[int, int]
    of: str | None = None
    arm: Arm = Arm.CHAMPION
    limit: int = 10_000
    labelled: bool = False
    tolerance: float | None = None
    timeout_seconds: float = 300.0
    check: bool = True
    show_values: bool = False


@dataclass(frozen=True)
class Replay:
    """One replay.

    Attributes:
        asked: the version that was asked; ``answered_by`` the one whose requests these were.
        content: its JSON, without request values; ``shown`` the same with those that were asked for.
        differing: every row that is answered otherwise, without values.
    """

    asked: ModelIdentity
    answered_by: WatchedVersion
    window: tuple[int, int]
    content: dict[str, Any]
    shown: dict[str, Any]
    differing: list[dict[str, Any]]


def replay(
    context: JobContext,
    uri: str,
    options: ReplayOptions,
    progress: Progress = silent,
    on_step: Callable[[str], object] = lambda step: None,
) -> Replay:
    """Score captured rows with the version at ``uri`` and compare.

    Args:
        on_step: told each step, for people.

    Raises:
        ModelNotFound: no model at the URI, it cannot be loaded here, or the store has no such model.
        CannotReplay: there are no rows, or the version cannot be asked about them.
        CandidateLost: the version took its process along while it was loaded, or does not answer in time.
    """
    asked = context.link.resolve(uri)
    answered_by = _answered_by(context, asked, options)
    fitting = fit(answered_by.stored.columns, answered_by.label, asked, context.redaction)
    sample = _sample(context, answered_by, options)
    on_step(f"loading {exact_uri(asked)}")
    with Candidate(exact_uri(asked), asked.signature, fitting.outputs, options.timeout_seconds) as candidate:
        on_step(f"asking it about {sample.rows:,} rows")
        with progress(sample.rows) as done:
            gathered = gather(context.engine, sample, fitting, candidate, done)
        on_step("timing it")
        timing = _timing(context, sample, fitting, candidate, options) if gathered.rows else None
    on_step("comparing")
    outputs, differing = _agreements(fitting, gathered, options.tolerance)
    magnitude = np.max([a.size for a in outputs], axis=0) if gathered.rows else np.empty(0)
    content: dict[str, Any] = {
        "model": asked.name,
        "version": asked.version,
        "uri": exact_uri(asked),
        "answered_by": {"model": answered_by.stored.name, "version": answered_by.stored.version},
        "arm": options.arm.name.lower(),
        "window": {"start": iso(options.window[0]), "end": iso(options.window[1]), "rows": sample.rows},
        "sample": {"rows": sample.rows, "is_whole": sample.is_whole, "labelled_only": options.labelled},
        "made_at": iso(context.clock()),
        "notes": list(fitting.notes),
        "answered": gathered.rows,
        "failed": dict(gathered.failed.most_common()),
        "disagreement": _disagreement(differing, gathered),
        "outputs": [a.document() for a in outputs],
        "prediction_drift": _drift(context, asked, fitting, gathered),
        "timing": _timing_document(timing),
        **_rows(fitting, gathered, differing, magnitude, show_values=False),
        "performance": labelled_performance(
            answered_by.stored.name,
            fitting.pairs,
            gathered.recorded,
            gathered.asked,
            gathered.labels,
            gathered.ids,
            context.performance,
            _known_task(context, answered_by),
        ),
        "check": _check(context, answered_by, asked, sample, options, on_step) if options.check else None,
    }
    content["verdict"] = sentence(content)
    shown = _rows(fitting, gathered, differing, magnitude, show_values=True) if options.show_values else {}
    rows = [_row(gathered, i, magnitude) for i in np.flatnonzero(differing).tolist()]
    return Replay(asked, answered_by, options.window, content, content | shown, rows)


def _answered_by(context: JobContext, asked: ModelIdentity, options: ReplayOptions) -> WatchedVersion:
    with context.engine.connect() as connection:
        try:
            return find_version(connection, options.of or asked.name, options.window[0])
        except ModelNotFound as error:
            if options.of is not None:
                raise
            raise ModelNotFound(f"{error}, or name the model whose requests are to be replayed by --of") from error


def _known_task(context: JobContext, answered_by: WatchedVersion) -> Task | None:
    """Return the task that the reference of the version that answered tells, where settings do not tell another."""
    with context.engine.connect() as connection:
        in_force = newest_reference(connection, answered_by.id)
    reference = None if in_force is None else performance_of(in_force[1])
    return task_of_reference(answered_by.stored.name, reference, context.performance)


def _sample(context: JobContext, answered_by: WatchedVersion, options: ReplayOptions) -> Sample:
    with context.engine.connect() as connection:
        sample = draw(
            connection, answered_by.stored, options.window, options.arm, options.limit, labelled=options.labelled
        )
    if not sample.rows:
        raise CannotReplay(
            f"{answered_by.label} has no {'labelled ' if options.labelled else ''}rows as {options.arm.name.lower()} "
            f"between {iso(options.window[0])} and {iso(options.window[1])}: choose a wider --since, another --arm, or "
            "another version by --of"
        )
    return sample


def _timing(
    context: JobContext, sample: Sample, fitting: Fit, candidate: Candidate, options: ReplayOptions
) -> Timing | None:
    chunk = first_chunk(context.engine, sample, _CHECKED_ROWS)
    if chunk is None:
        return None
    return time_requests(context.engine, chunk, fitting.inputs, candidate, options.window, options.arm)


def _agreements(fitting: Fit, gathered: Gathered, tolerance: float | None) -> tuple[list[Agreement], NDArray[np.bool_]]:
    """Return the agreement of each output, and per row whether the answer is another.

    Of probabilities of all classes it is the most probable one that counts.
    """
    recorded = [(a, gathered.recorded[a.column_name]) for a, _ in fitting.pairs]
    asked = [(b, gathered.asked[b.column_name]) for _, b in fitting.pairs]
    outputs: list[Agreement] = [compare_output(a, b, tolerance) for a, b in zip(recorded, asked, strict=True)]
    then, now = most_probable(recorded), most_probable(asked)
    if then is not None and now is not None:
        top = compare_most_probable([a.name for a, _ in fitting.pairs], then, now)
        return [top, *outputs], top.differing
    return outputs, np.any([a.differing for a in outputs], axis=0)


def _disagreement(differing: NDArray[np.bool_], gathered: Gathered) -> dict[str, Any]:
    rows, count, failed = gathered.rows, int(differing.sum()), gathered.failed.total()
    return {
        "rows": rows,
        "differing_rows": count,
        "share": count / rows if rows else None,
        "share_interval": wilson(count, rows) if rows else None,
        "failed_rows": failed,
        "share_with_failed": (count + failed) / (rows + failed),
    }


def _drift(context: JobContext, asked: ModelIdentity, fitting: Fit, gathered: Gathered) -> dict[str, Any]:
    if not gathered.rows:
        return {"against_recorded": [], "against_training": None, "reason": "no row was answered"}
    recorded = against_recorded(fitting, gathered.recorded, gathered.asked, context.drift, context.clock())
    found: dict[str, Any] = {"against_recorded": drift_document(recorded), "against_training": None, "reason": ""}
    try:
        with context.engine.connect() as connection:
            reference = training_reference(connection, context.link, asked)
    except DriftlineError as error:
        return found | {"reason": str(error)}
    if reference is None:
        return found | {"reason": f"no training reference: `driftline reference build {exact_uri(asked)}`"}
    judged = against_training(reference, gathered.asked, context.drift)
    return found | {"against_training": drift_document(judged)}


def _rows(
    fitting: Fit,
    gathered: Gathered,
    differing: NDArray[np.bool_],
    magnitude: NDArray[np.float64],
    *,
    show_values: bool,
) -> dict[str, Any]:
    """Return which rows differ: by the inputs that tell most, and the ones that differ most."""
    inputs = [(c, gathered.inputs[c.column_name]) for c in fitting.inputs if c.column_name in gathered.inputs]
    kept = len(inputs[0][1]) if inputs else 0
    telling = telling_columns(inputs, differing[:kept], show_values=show_values)
    places = np.flatnonzero(differing)
    most = places[np.argsort(-magnitude[places], kind="stable")][:_SHOWN_ROWS].tolist()
    rows = [_row(gathered, i, magnitude) | (_values(gathered, fitting, i) if show_values else {}) for i in most]
    return {"where": [column.document() for column in telling], "most_different": rows}


def _row(gathered: Gathered, i: int, magnitude: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "invocation_id": invocation_id_text(gathered.ids[i]),
        "row": gathered.row_index[i],
        "received_at": iso(gathered.received_at[i]),
        "difference": float(magnitude[i]),
    }


def _values(gathered: Gathered, fitting: Fit, i: int) -> dict[str, Any]:
    values = {
        "recorded": {a.name: _plain(gathered.recorded[a.column_name][i]) for a, _ in fitting.pairs},
        "asked": {b.name: _plain(gathered.asked[b.column_name][i]) for _, b in fitting.pairs},
    }
    if i < len(next(iter(gathered.inputs.values()), [])):
        values["inputs"] = {c.name: _plain(gathered.inputs[c.column_name][i]) for c in fitting.inputs}
    return values


def _plain(cell: Any) -> Any:
    cell = cell.item() if isinstance(cell, np.generic) else cell
    return cell.hex() if isinstance(cell, bytes) else cell


def _timing_document(timing: Timing | None) -> dict[str, Any] | None:
    return None if timing is None else asdict(timing)


def _check(
    context: JobContext,
    answered_by: WatchedVersion,
    asked: ModelIdentity,
    sample: Sample,
    options: ReplayOptions,
    on_step: Callable[[str], object],
) -> dict[str, Any] | None:
    """Ask the version that answered again, about a few of the rows: here it should say the same."""
    identity = answered_by.identity
    if (identity.name, identity.version) == (asked.name, asked.version):
        return None  # the replay is that check
    chunk = first_chunk(context.engine, sample, _CHECKED_ROWS)
    if chunk is None:
        return None
    on_step(f"asking {answered_by.label}, which answered, again")
    try:
        served = context.link.resolve(exact_uri(identity))  # with the columns that redaction keeps out of the store
        again = fit(answered_by.stored.columns, answered_by.label, served, context.redaction)
        with Candidate(exact_uri(served), served.signature, again.outputs, options.timeout_seconds) as version:
            answers = version.answer(captured(chunk, again.inputs))
            timing = time_requests(context.engine, chunk, again.inputs, version, options.window, options.arm)
    except (CannotReplay, ModelNotFound, MlflowUnreachable, CandidateLost) as error:
        return {"rows": 0, "differing_rows": None, "failed_rows": None, "reason": str(error), "timing": None}
    outputs = [
        compare_output((a, chunk.columns[a.column_name][answers.answered]), (b, answers.cells[b.column_name]), 0.0)
        for a, b in again.pairs
    ]
    return {
        "rows": len(chunk),
        "differing_rows": int(np.any([a.differing for a in outputs], axis=0).sum()),
        "failed_rows": len(chunk) - len(answers.answered),
        "reason": "",
        "timing": _timing_document(timing),
    }


def to_json(content: dict[str, Any]) -> bytes:
    """Return a replay's content as JSON; what is no number becomes null."""
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
