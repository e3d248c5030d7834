"""The scores of all windows of simulated months: everything that does not depend on thresholds."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from traffic import COLUMNS, VARYING, Drift, Traffic

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.column_judge import statistic_of
from driftline.monitor.drift.distribution_gap import StackedCounts
from driftline.monitor.drift.registry import DISTRIBUTION_STATISTICS, SHARE_STATISTICS, share_counts
from driftline.monitor.drift.settings import DriftSettings
from driftline.store.profile.columns import ProfiledColumn
from driftline.store.profile.reference import Reference, build_reference

MONTH, WEEK, HOUR = 720, 168, 3600
LEARNING = 14 * 24
LONGEST = 200  # hours that a drift lasts
REFERENCE_ROWS = 10_000
DRIFTS = {
    "0.3 sd": Drift(0, shift=0.3),
    "spread x1.3": Drift(0, spread=1.3),
    "10 % of a category": Drift(17, move=0.1),
}
SETTINGS = DriftSettings()
SPANS = SETTINGS.spans()
_CHUNK = 64
CHUNKS = 100  # for NannyML's rule
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Scores of two weeks and a month.

    Attributes:
        spans: hour after hour, shape (LEARNING + MONTH, spans, columns).
        drifted: per kind of drift those of its column from hour LEARNING on, shape (kinds, LONGEST, spans).
        usual: of the last hour alone, as Evidently's and NannyML's defaults take them, shape (hours, columns).
        chunks: the same of hours like those, by which NannyML's default sets its limits, shape (chunks, columns).
    """

    spans: Values
    drifted: Values
    usual: Values
    chunks: Values


@lru_cache(maxsize=16)
def trained(seed: int, *, varying: bool, rows: int = REFERENCE_ROWS) -> tuple[Reference, Values | None]:
    """Train on rows of four weeks; return the reference and the phases of its traffic."""
    rng = np.random.default_rng([930_000, seed, int(varying)])
    phases = rng.uniform(0, 2 * np.pi, len(VARYING)) if varying else None
    data = Traffic(rng, 28 * 24, phases).training(rows)
    return calibrate(build_reference(COLUMNS, data, source="simulated", made_at_us=0, seed=seed)), phases


def simulate(reference: Reference, phases: Values | None, rows: int, seed: int) -> Scores:
    """Score every window of two weeks and a month that ends with an hour, and the drifts that begin after two weeks."""
    live = Traffic(np.random.default_rng([940_000, rows, seed]), WEEK + LEARNING + MONTH, phases)
    settled = Traffic(np.random.default_rng([950_000, rows, seed]), CHUNKS, phases)
    spans = np.empty((LEARNING + MONTH, len(SPANS), len(COLUMNS)), np.float32)
    usual, chunks = np.empty((LEARNING + MONTH, len(COLUMNS)), np.float32), np.empty((CHUNKS, len(COLUMNS)), np.float32)
    drifted = np.empty((len(DRIFTS), LONGEST, len(SPANS)), np.float32)
    for place, profiled in enumerate(reference.profiled):
        column = Column(reference, profiled, place, rows)
        hours = column.hours(live, range(WEEK + LEARNING + MONTH))
        spans[:, :, place] = column.windows(hours)
        usual[:, place] = column.usual_scores(hours)[WEEK:]
        chunks[:, place] = column.usual_scores(column.hours(settled, range(CHUNKS)))
        before = _parts(hours, slice(LEARNING, WEEK + LEARNING))
        for kind, drift in enumerate(DRIFTS.values()):
            if drift.column == place:
                begin = WEEK + LEARNING
                after = column.hours(live, range(begin, begin + LONGEST), drift)
                drifted[kind] = column.windows([np.concatenate(p) for p in zip(before, after, strict=True)])
    return Scores(spans, drifted, usual, chunks)


class Column:
    """One column: its hours as arrays of rows per bin or category, and for numbers what ``StackedCounts`` adds."""

    def __init__(self, reference: Reference, profiled: ProfiledColumn, place: int, rows: int) -> None:
        self._reference, self._profiled, self._place, self._rows = reference, profiled, place, rows
        self._name = profiled.column.column_name
        self._statistic = statistic_of(profiled, reference, SETTINGS)
        self._order = [int(name[1:]) for name in profiled.categories or ()]

    def hours(self, traffic: Traffic, hours: range, drift: Drift | None = None) -> list[Values]:
        if self._profiled.bins is not None:
            found = traffic.numbers(self._place, self._profiled.bins, self._rows, hours, drift)
            return [found.counts, found.offset_sums, found.least, found.greatest]
        drawn = traffic.categories(self._place, self._rows, hours, drift)
        named = drawn[:, self._order]
        return [np.column_stack([named, self._rows - named.sum(axis=1)])]

    def windows(self, hours: list[Values]) -> Values:
        """Return the scores of the windows of all spans that end with each hour after the first week."""
        found, sums = [], [np.cumsum(np.pad(part, ((1, 0), (0, 0))), axis=0) for part in hours if part.ndim > 1]
        for span in (seconds // HOUR for seconds in SPANS):
            window = [total[WEEK + 1 :] - total[WEEK + 1 - span : -span] for total in sums]
            for part, extreme in zip(hours[2:], (np.min, np.max), strict=False):
                window.append(extreme(sliding_window_view(part, span), axis=1)[WEEK + 1 - span :])
            found.append(self._score(self._statistic, window))
        return np.stack(found, axis=1)

    def scores(self, traffic: Traffic, hours: range) -> Values:
        """Return the scores of single hours by the column's own statistic."""
        return self._score(self._statistic, self.hours(traffic, hours))

    def usual_scores(self, hours: list[Values]) -> Values:
        return self._score("jensen_shannon" if self._profiled.bins is None else "wasserstein", hours)

    def _score(self, statistic: str, windows: list[Values]) -> Values:
        if statistic in SHARE_STATISTICS:
            own = share_counts(self._profiled, self._reference.profile, self._reference.profile)
            return SHARE_STATISTICS[statistic](own, windows[0])
        own, bins, scores = self._reference.profile.numeric(self._name), self._profiled.bins, []
        for start in range(0, len(windows[0]), _CHUNK):
            parts = _parts(windows, slice(start, start + _CHUNK))
            scores.append(DISTRIBUTION_STATISTICS[statistic](own, StackedCounts(bins, *parts)))
        return np.concatenate(scores)


def _parts(arrays: list[Values], chosen: slice) -> list[Values]:
    return [array[chosen] for array in arrays]
