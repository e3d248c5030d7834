"""Duplicate rows: the share of a sample's rows whose inputs another row has too, against as many training rows.

The sample is drawn by invocation, so it shows rows that make up a good part of the traffic: a client that is stuck, a
health check that scores, a replay of one file. That each row came twice among millions it cannot show.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from driftline.monitor.drift.missing_share import share_noise
from driftline.monitor.drift.phrases import percent
from driftline.monitor.quality.finding import WHOLE, Kind, QualityFinding, share_finding, unjudged
from driftline.monitor.quality.settings import QualitySettings

if TYPE_CHECKING:
    import pandas as pd

_SEED = 0


def duplicate_share(frame: "pd.DataFrame") -> float:
    """Return the share of rows that equal another one in every column, in [0, 1]; missing cells are equal."""
    from pandas.util import hash_pandas_object

    hashes = hash_pandas_object(frame, index=False).to_numpy()
    _, owners, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    return float((counts[owners] > 1).mean())


def duplicates_finding(
    live: "pd.DataFrame",
    training: "pd.DataFrame | None",
    columns: Sequence[str],
    window: tuple[int, int],
    settings: QualitySettings,
    error_rate: float,
) -> QualityFinding:
    """Judge a sample of live rows.

    Args:
        live: rows of the window by column name.
        training: the sample of the training rows; None where it is not to be had.
        columns: the inputs' column names.
        window: start and end, microseconds since the epoch.
        settings: of the judgement.
        error_rate: the probability of a wrong breach.
    """
    place, rows = (WHOLE, WHOLE), len(live)
    if rows < settings.min_rows:
        said = f"{rows:,} sampled rows, a verdict needs {settings.min_rows:,}"
        return unjudged(Kind.DUPLICATE_ROWS, place, window, rows, None, said)
    known = [name for name in columns if training is None or name in training]
    if not known:
        return unjudged(Kind.DUPLICATE_ROWS, place, window, rows, None, "the training rows' sample holds no input")
    observed = duplicate_share(live[known])
    if training is None or len(training) < settings.min_rows:
        said = f"{percent(observed)} of {rows:,} sampled rows equal another; no sample of the training rows to compare"
        return unjudged(Kind.DUPLICATE_ROWS, place, window, rows, observed, said)
    alike = training if len(training) <= rows else training.sample(rows, random_state=_SEED)
    expected = duplicate_share(alike[known])
    pooled = (expected * len(alike) + observed * rows) / (len(alike) + rows)
    # A row that changes makes and unmakes a duplicate: pairs tell half of what independent rows would.
    chance = share_noise(pooled, max(1, len(alike) // 2), max(1, rows // 2), error_rate)
    threshold = expected + max(chance, settings.min_share)
    said = (
        f"{percent(observed)} of {rows:,} sampled rows equal another one, {percent(expected)} of {len(alike):,} "
        f"training rows; a breach from {percent(threshold)}"
    )
    return share_finding(Kind.DUPLICATE_ROWS, place, window, rows, (observed, expected, threshold), said)
