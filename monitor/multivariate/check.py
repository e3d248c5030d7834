"""Draw live and training rows, have them told apart, and say what was found."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from driftline.monitor.child_process import run_child
from driftline.monitor.drift.verdict import Verdict
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.multivariate import domain_classifier
from driftline.monitor.multivariate.domain_classifier import Separation
from driftline.monitor.multivariate.features import Feature, features_of, matrix
from driftline.monitor.multivariate.settings import MultivariateSettings
from driftline.monitor.training.reference_sample import read_sample
from driftline.monitor.watch import WatchedVersion
from driftline.store.errors import DriftlineError
from driftline.store.profile.reference import Reference
from driftline.store.reads import sample_rows
from driftline.store.records import Arm

if TYPE_CHECKING:
    import pandas as pd

_SEED = 0


class ClassifierFailed(DriftlineError):
    """The classifier's process ended without a result."""


@dataclass(frozen=True, slots=True)
class MultivariateDrift:
    """What one check found.

    Attributes:
        window: that live rows were drawn from, microseconds since the epoch.
        window_rows, training_rows: compared.
        auc, z: None without a verdict; see ``domain_classifier``.
        columns: signature names of the inputs that tell live from training rows, with the AUC that each carries, the
            most first; empty without drift.
        verdict: see ``Verdict``.
        reason: one sentence for an operator.
    """

    window: tuple[int, int]
    window_rows: int
    training_rows: int
    auc: float | None
    z: float | None
    columns: dict[str, float]
    verdict: Verdict
    reason: str


def check(
    context: JobContext, version: WatchedVersion, arm: Arm, reference: Reference, window: tuple[int, int]
) -> MultivariateDrift:
    """Compare a window's rows with the training rows, all inputs together.

    Raises:
        ClassifierFailed: the process failed or took too long.
        MlflowUnreachable: the sample of the training rows lies in MLflow, which does not answer.
    """
    settings = context.multivariate
    with context.engine.connect() as connection:
        live = sample_rows(connection, version.stored, *window, settings.sample_rows, arm)
    live.columns = [c.column_name for c in version.stored.columns]
    if len(live) < settings.min_rows:
        return _refused(window, len(live), 0, f"{len(live):,} rows, a verdict needs {settings.min_rows:,}")
    training = read_sample(context.home, context.link, version.identity, reference)
    if training is None:
        return _refused(window, len(live), 0, "no sample of the training rows, neither here nor in MLflow")
    if len(training) > settings.sample_rows:
        training = training.sample(settings.sample_rows, random_state=_SEED)
    features, left_out = _features(settings, reference, training, window)
    if not features or len(training) < settings.min_rows:
        said = f"{len(training):,} training rows with {len(features)} inputs to compare, a verdict needs more"
        return _refused(window, len(live), len(training), said)
    found = _separated(settings, features, live, training)
    return _told(settings, window, (len(live), len(training)), features, found, left_out)


def _features(
    settings: MultivariateSettings, reference: Reference, training: "pd.DataFrame", window: tuple[int, int]
) -> tuple[list[Feature], int]:
    """Return what is compared, and how many inputs are left out this time."""
    ignored = settings.ignored()
    inputs = [
        p
        for p in reference.profiled
        if p.column.side == "input" and p.column.column_name in training
        and not {p.column.name, p.column.column_name} & ignored
    ]  # fmt: skip
    left_out = max(0, len(inputs) - settings.max_columns)
    if left_out:
        drawn = np.random.default_rng([_SEED, window[1]]).choice(len(inputs), settings.max_columns, replace=False)
        inputs = [inputs[i] for i in np.sort(drawn)]
    return features_of(inputs), left_out


def _separated(
    settings: MultivariateSettings, features: Sequence[Feature], live: "pd.DataFrame", training: "pd.DataFrame"
) -> Separation:
    with tempfile.TemporaryDirectory(prefix="driftline-") as place:
        folder = Path(place)
        np.savez(
            folder / "rows.npz",
            live=matrix(features, live),
            training=matrix(features, training),
            categorical=np.array([f.categorical for f in features]),
            named_from=np.array([settings.auc_threshold, settings.z_threshold]),
        )
        _run_child(folder, settings.timeout_seconds)
        found = json.loads((folder / "found.json").read_bytes())
    return Separation(found["auc"], found["z"], dict(found["importances"]))


def _run_child(folder: Path, timeout_seconds: float) -> None:
    failure = run_child(domain_classifier.__name__, folder, timeout_seconds, OMP_NUM_THREADS="1")
    if failure is None:
        return
    if failure.exit_code is None:
        raise ClassifierFailed(
            f"the multivariate check took more than {timeout_seconds:.0f} s: lower sample_rows or max_columns, or "
            "raise timeout_seconds in [multivariate]"
        )
    if failure.lacks_a_package:
        raise ClassifierFailed("scikit-learn is not installed here: `pip install 'driftline[monitor]'`")
    raise ClassifierFailed(
        f"the multivariate check ended with {failure.exit_code} ({failure.said}): lower sample_rows in "
        "[multivariate], or set enabled = false there"
    )


def _told(
    settings: MultivariateSettings,
    window: tuple[int, int],
    rows: tuple[int, int],
    features: Sequence[Feature],
    found: Separation,
    left_out: int,
) -> MultivariateDrift:
    drifted = found.auc >= settings.auc_threshold and found.z >= settings.z_threshold
    columns: dict[str, float] = {}
    for place, lost in found.importances.items():  # a text column has two features
        name = features[place].profiled.column.name
        columns[name] = columns.get(name, 0.0) + lost
    said = f"AUC {found.auc:.3f} of telling {rows[0]:,} live rows from {rows[1]:,} training rows (z {found.z:.1f})"
    limit = f"drift from AUC {settings.auc_threshold:g} and z {settings.z_threshold:g}"
    reason = f"{said}; {limit}"
    if drifted:
        reason = f"{said}, by {', '.join(columns) if columns else 'many inputs, each a little'}; {limit}"
    if left_out:
        reason += f"; {left_out} inputs were left out this time"
    verdict = Verdict.DRIFT if drifted else Verdict.NO_DRIFT
    return MultivariateDrift(window, *rows, found.auc, found.z, columns if drifted else {}, verdict, reason)


def _refused(window: tuple[int, int], rows: int, training_rows: int, reason: str) -> MultivariateDrift:
    return MultivariateDrift(window, rows, training_rows, None, None, {}, Verdict.INSUFFICIENT_DATA, reason)
