"""Estimates of a version and arm over windows, judged as realised performance is."""

from collections.abc import Sequence

from sqlalchemy import Connection

from driftline.monitor.performance.metric import METRICS
from driftline.monitor.performance.reference_performance import performance_of
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.verdict import JudgedMetric, judge
from driftline.monitor.performance.without_labels import Estimator, estimator_of
from driftline.monitor.watch import WatchedVersion
from driftline.store.profile.reference import Reference
from driftline.store.reads import window_profile
from driftline.store.records import Arm
from driftline.store.references import newest_reference


def estimate_version(
    connection: Connection, version: WatchedVersion, windows: Sequence[tuple[int, int]], settings: PerformanceSettings
) -> dict[Arm, list[JudgedMetric]]:
    """Return the estimates of a version's arms; none where its reference allows none."""
    in_force = newest_reference(connection, version.id)
    estimator = None if in_force is None else estimator_of(in_force[1])
    if in_force is None or estimator is None:
        return {}
    return {
        arm: estimate_arm(connection, version.id, arm, in_force, estimator, windows, settings) for arm in version.arms
    }


def estimate_arm(
    connection: Connection,
    model_version_id: int,
    arm: int,
    in_force: tuple[int, Reference],
    estimator: Estimator,
    windows: Sequence[tuple[int, int]],
    settings: PerformanceSettings,
) -> list[JudgedMetric]:
    """Return what one arm's windows are expected to show once their labels come; nothing of a window without scores.

    A breach lies beyond tolerance and chance, the spread of the estimate among it: so its interval lies wholly beyond
    the tolerance.

    Args:
        in_force: the newest reference and its id, which ``estimator`` was made of.
        windows: start and end, microseconds since the epoch.
    """
    reference_id, reference = in_force
    known = performance_of(reference)
    judged = []
    for window in windows:
        profile = window_profile(connection, model_version_id, reference_id, reference, arm, *window)
        rows, found = estimator.metrics(profile)
        for name in (name for name in METRICS if name in found):
            metric = JudgedMetric(name, window, rows, 0, found[name], estimated=True)
            judged.append(judge(metric, estimator.task, None, known, settings))
    return judged
