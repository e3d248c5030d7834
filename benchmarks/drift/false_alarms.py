"""How often nothing drifts and a model is called drifted, and how soon drift is found: simulated months.

A model of 20 columns (11 numeric shapes, 9 categorical ones of 2 to 50 values), a reference of 10,000 rows, live rows
from the same distributions: independent ones, or with daily cycles, day effects and an hourly autoregression on half
of the columns (``traffic``). Windows of all spans are judged each hour with the default settings. An episode of the
model is a run of hours in which the episode of any column is open. Beside it two usual rules on windows of an hour:
Evidently's default (normed Wasserstein and Jensen-Shannon from 0.1 on) and NannyML's (Wasserstein and Jensen-Shannon
beyond mean + 3 standard deviations of the reference's own chunks); their formulas on the same profiles, not their code.

    python benchmarks/drift/false_alarms.py --months 40
    python benchmarks/drift/false_alarms.py --months 40 --varying
"""

import argparse
import copy
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from traffic import COLUMNS, NOTHING, Drift, Rng, Traffic

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.compare import compare_windows
from driftline.monitor.drift.episodes import Episode, follow
from driftline.monitor.drift.past_scores import HOURS, past_scores
from driftline.monitor.drift.registry import judged_by_shares, score
from driftline.monitor.drift.settings import DriftSettings
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference, build_reference

MONTH, WEEK, HOUR = 720, 168, 3600
HOUR_US = HOUR * 1_000_000
LEARNING = 14 * 24
LONGEST = 200  # hours that a drift lasts
REFERENCE_ROWS = 10_000
DRIFTS = {
    "0.3 sd": ("c0", Drift(shift=0.3)),
    "spread x1.3": ("c0", Drift(spread=1.3)),
    "10 % of a category": ("c17", Drift(move=0.1)),
}
SETTINGS = DriftSettings()
SPANS = SETTINGS.spans()


@dataclass
class Model:
    """One simulated model: its live hours, episodes and past scores."""

    reference: Reference
    traffic: Traffic
    rows: int
    hour: int = 0
    hours: list[Profile] = field(default_factory=list)  # of the last week
    episodes: dict[str, Episode] = field(default_factory=dict)
    history: NDArray[np.float64] = field(default_factory=lambda: np.full((HOURS, len(SPANS), len(COLUMNS)), np.nan))

    @classmethod
    def made(cls, rows: int, seed: int, *, varying: bool) -> "Model":
        """Train on 10,000 rows and serve a week that is not judged."""
        rng = np.random.default_rng([920_000, rows, seed, int(varying)])
        traffic = Traffic(rng, 3 * MONTH, varying=varying)
        training = traffic.training(REFERENCE_ROWS)
        reference = build_reference(COLUMNS, training, source="simulated", made_at_us=0, seed=seed)
        model = cls(calibrate(reference), traffic, rows)
        model.hours = [model.served(NOTHING) for _ in range(WEEK)]
        return model

    def served(self, drift: Drift) -> Profile:
        """Return the profile of the next hour."""
        profile = self.reference.empty_profile()
        profile.add(self.traffic.hour(self.rows, drift), self.rows)
        return profile

    def judge(self, drift: Drift = NOTHING) -> set[str]:
        """Serve an hour, judge all windows, and return the columns whose episode is open."""
        self.hour += 1
        self.hours = [*self.hours[1 - WEEK :], self.served(drift)]
        names = [column.column_name for column in COLUMNS]
        since = [self.episodes[n].opened_at_us // HOUR_US if n in self.episodes else self.hour for n in names]
        past = past_scores(self.history, SPANS, names, self.hour - np.array(since))
        compared = compare_windows(self.reference, self._windows(), SETTINGS, past=past)
        found = [[compared.scores.get(span, {}).get(name, np.nan) for name in names] for span in SPANS]
        self.history = np.concatenate([[found], self.history[:-1]])
        for column in compared.columns:
            name = column.column_name
            episode = follow(self.episodes.pop(name, None), column.ratio, self.hour * HOUR_US, SETTINGS)
            if episode is not None:
                self.episodes[name] = episode
        return set(self.episodes)

    def _windows(self) -> dict[int, Profile]:
        windows, total, taken = {}, self.reference.empty_profile(), 0
        for span in SPANS:
            for hour in self.hours[-span // HOUR : len(self.hours) - taken]:
                total += hour
            taken = span // HOUR
            windows[span] = total + self.reference.empty_profile()
        return windows


@dataclass(frozen=True)
class Month:
    """Alarms without drift; ``learning`` are the episodes of the two weeks before, of varying traffic."""

    episodes: int
    learning: int
    evidently: tuple[int, float]  # episodes, share of hours
    nannyml: tuple[int, float]


def month(rows: int, varying: bool, seed: int) -> Month:
    """Count the alarm episodes of a month without drift, after two weeks of history where traffic varies."""
    model = Model.made(rows, seed, varying=varying)
    limits = chunk_limits(model, np.random.default_rng(seed))
    learning = [bool(model.judge()) for _ in range(LEARNING if varying else 0)]
    ours, evidently, nannyml = [], [], []
    for _ in range(MONTH):
        ours.append(bool(model.judge()))
        found = usual_scores(model.reference, model.hours[-1])
        evidently.append(bool((found >= 0.1).any()))
        nannyml.append(bool((found > limits).any()))
    carried = bool(learning and learning[-1] and ours[0])
    return Month(
        runs(ours) - carried,
        runs(learning),
        (runs(evidently), float(np.mean(evidently))),
        (runs(nannyml), float(np.mean(nannyml))),
    )


def delays(rows: int, varying: bool, seed: int) -> list[int]:
    """Return the rows from the beginning of each kind of drift to its discovery in its column."""
    model = Model.made(rows, 1000 + seed, varying=varying)
    for _ in range(LEARNING if varying else 0):
        model.judge()
    model.episodes.clear()
    found = []
    for column, drift in DRIFTS.values():
        one = copy.deepcopy(model)
        found.append(rows * next((hour for hour in range(1, LONGEST) if column in one.judge(drift)), LONGEST))
    return found


def usual_scores(reference: Reference, window: Profile) -> NDArray[np.float64]:
    """Return normed Wasserstein and Jensen-Shannon scores, Evidently's default choice for such columns."""
    return np.array([
        score("jensen_shannon" if judged_by_shares(p, reference) else "wasserstein", p, reference.profile, window)
        for p in reference.profiled
    ])  # fmt: skip


def chunk_limits(model: Model, rng: Rng) -> NDArray[np.float64]:
    """Return mean + 3 standard deviations of the scores of the reference's own chunks of an hour's rows."""
    chunks = []
    for _ in range(max(10, min(100, REFERENCE_ROWS // model.rows))):
        chunk = model.reference.empty_profile()
        chunk.add(model.traffic.training(model.rows), model.rows)
        chunks.append(usual_scores(model.reference, chunk))
    return np.mean(chunks, axis=0) + 3 * np.std(chunks, axis=0, ddof=1)


def runs(alarmed: list[bool]) -> int:
    """Return how many runs of alarmed hours there are."""
    return sum(now and not before for before, now in pairwise([False, *alarmed]))


def row(options: argparse.Namespace, rows: int, pool: ProcessPoolExecutor) -> str:
    """Return one line of the table."""
    months = list(pool.map(partial(month, rows, options.varying), range(options.months)))
    cells = [f"{rows:,}", str(options.months)]
    if options.varying:
        cells.append(f"{np.mean([m.learning for m in months]):.2f}")
    episodes = [m.episodes for m in months]
    error = np.std(episodes, ddof=1) / np.sqrt(len(episodes)) if len(episodes) > 1 else np.nan
    cells.append(f"{np.mean(episodes):.2f} ± {error:.2f}")
    for rule in ("evidently", "nannyml"):
        count, share = np.mean([getattr(m, rule) for m in months], axis=0)
        cells.append("always" if share > 0.95 else f"{count:.0f} ({100 * share:.0f} % of hours)")
    late = list(pool.map(partial(delays, rows, options.varying), range(options.drifts)))
    for median in np.median(late, axis=0):
        cells.append("not found" if median >= LONGEST * rows else f"{median:,.0f} ({median / rows:.0f} h)")
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Print one line per rate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--months", type=int, default=2)
    parser.add_argument("--drifts", type=int, default=9, help="of each kind, to find")
    parser.add_argument("--rows-per-hour", type=int, nargs="+", default=[20, 100, 1000, 10_000])
    parser.add_argument(
        "--varying", action="store_true", help="days, cycles and autoregression instead of chance alone"
    )
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    heads = ["rows per hour", "months", "episodes per month", "Evidently's rule", "NannyML's rule"]
    if options.varying:
        heads.insert(2, "in the first two weeks")
    heads += [f"median rows to find {name}" for name in DRIFTS]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    with ProcessPoolExecutor(options.processes) as pool:
        for rows in options.rows_per_hour:
            print(row(options, rows, pool), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
