"""How often nothing drifts and a model is called drifted, and how soon drift is found: simulated months.

A model of 20 columns (11 numeric shapes, 9 categorical ones of 2 to 50 values), a reference of 10,000 rows, live rows
from the same distributions: independent ones, or with daily cycles, day effects and an hourly autoregression on half
of the columns (``traffic``). Windows of all spans are judged each hour with the default settings: the product's
statistics, thresholds, past scores and episodes, over windows of many hours at once. An episode of the model is a run
of hours in which the episode of any column is open. Five months share a reference and its calibration.

Beside it two usual rules on windows of an hour: Evidently's default (normed Wasserstein and Jensen-Shannon from 0.1
on) and NannyML's (Wasserstein and Jensen-Shannon beyond mean + 3 standard deviations of chunks of the reference's
distribution); their formulas on the same profiles, not their code.

    python benchmarks/drift/false_alarms.py --months 40 --keep /tmp/months.jsonl
    python benchmarks/drift/false_alarms.py --months 40 --keep /tmp/months.jsonl --varying
    python benchmarks/drift/false_alarms.py --months 20 --rows-per-hour 100 --reference-rows 1000 \
        --months-per-reference 1
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simulated_scores import (
    DRIFTS,
    HOUR,
    LEARNING,
    LONGEST,
    REFERENCE_ROWS,
    SETTINGS,
    SPANS,
    Scores,
    Values,
    simulate,
    trained,
)
from traffic import COLUMNS

from driftline.monitor.drift.calibration import noise, typical_noise
from driftline.monitor.drift.column_judge import statistic_of
from driftline.monitor.drift.episodes import Episode, follow
from driftline.monitor.drift.past_scores import HOURS, past_scores
from driftline.monitor.drift.registry import judged_by_shares
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.drift.thresholds import Chance, threshold
from driftline.monitor.drift.windows import error_rates, natural_rates
from driftline.store.profile.reference import Reference

SEEDS = 0  # the first of the table's; the method was tuned on those from 1000 on
HOUR_US = HOUR * 1_000_000
NAMES = [column.column_name for column in COLUMNS]
LEARNED_DAYS = 21  # before a drift


class Judge:
    """Judges the hours of one model: its thresholds, past scores and open episodes."""

    def __init__(
        self, reference: Reference, rows: int, history: Values | None = None, settings: DriftSettings = SETTINGS
    ) -> None:
        """``history``: scores of the hours before, the last one first, shape (hours, spans, columns)."""
        self._enough = [span for span in SPANS if span // HOUR * rows >= SETTINGS.min_rows]
        budget = self._enough, HOUR, len(COLUMNS), settings.false_alarms_per_month
        self._past_rates, rates = natural_rates(*budget), error_rates(*budget)
        self._chances: dict[tuple[int, str], Chance] = {}
        self._least: dict[str, float] = {}
        for profiled in reference.profiled:
            name, statistic = profiled.column.column_name, statistic_of(profiled, reference, SETTINGS)
            by_shares = judged_by_shares(profiled, reference)
            self._least[name] = SETTINGS.min_category_effect if by_shares else SETTINGS.min_effect
            for span in self._enough:
                simulated = reference, name, statistic, span // HOUR * rows, reference.row_count
                self._chances[span, name] = Chance(noise(*simulated, rates[span]), typical_noise(*simulated))
        self._history = np.full((HOURS, len(SPANS), len(NAMES)), np.nan)
        if history is not None:
            self._history[: len(history)] = self._judged(history)
        self._hour, self.episodes = 10_000, dict[str, Episode]()

    def hour(self, scores: NDArray[np.float32]) -> set[str]:
        """Judge the windows that end with an hour, scores of shape (spans, columns); return the columns in drift."""
        self._hour += 1
        since = [self.episodes[n].opened_at_us // HOUR_US if n in self.episodes else self._hour for n in NAMES]
        past = past_scores(self._history, SPANS, NAMES, self._hour - np.array(since))
        for place, name in enumerate(NAMES):
            ratio = max(
                scores[SPANS.index(span), place]
                / threshold(
                    self._least[name], self._chances[span, name], past.get((span, name)), span, self._past_rates[span]
                )[0]
                for span in self._enough
            )
            episode = follow(self.episodes.pop(name, None), float(ratio), self._hour * HOUR_US, SETTINGS)
            if episode is not None:
                self.episodes[name] = episode
        self._history = np.concatenate([self._judged(scores[None]), self._history[:-1]])
        return set(self.episodes)

    def _judged(self, scores: NDArray[np.floating[Any]]) -> Values:
        places = np.isin(SPANS, self._enough)[:, None]
        return np.where(places, scores, np.nan).astype(np.float64)


@dataclass(frozen=True)
class Month:
    """A month without drift, after two weeks without; and how many rows drifts went unseen, by what was learned."""

    rows: int
    varying: bool
    seed: int
    learning: int  # episodes of the two weeks
    learning_share: float  # of the two weeks' hours, in an episode
    episodes: int
    share: float
    evidently: tuple[int, float]  # episodes, share of hours
    nannyml: tuple[int, float]
    late: dict[str, list[float]]  # by days of history: per kind of drift


def month(reference: Reference, phases: Values | None, rows: int, seed: int) -> Month:
    """Simulate and judge six weeks without drift, and drifts."""
    scores = simulate(reference, phases, rows, seed)
    judge = Judge(reference, rows)
    ours = [bool(judge.hour(hour)) for hour in scores.spans]
    usual = scores.usual[LEARNING:]
    limits = scores.chunks.mean(axis=0) + 3 * scores.chunks.std(axis=0, ddof=1)
    evidently, nannyml = (usual >= 0.1).any(axis=1).tolist(), (usual > limits).any(axis=1).tolist()
    learned = [LEARNED_DAYS] if phases is not None else [0, LEARNED_DAYS]
    return Month(
        rows,
        phases is not None,
        seed,
        runs(ours[:LEARNING]),
        float(np.mean(ours[:LEARNING])),
        runs(ours[LEARNING:]) - (ours[LEARNING - 1] and ours[LEARNING]),
        float(np.mean(ours[LEARNING:])),
        (runs(evidently), float(np.mean(evidently))),
        (runs(nannyml), float(np.mean(nannyml))),
        {str(days): list(delays(reference, scores, rows, days)) for days in learned},
    )


def delays(reference: Reference, scores: Scores, rows: int, days: int) -> Iterator[float]:
    """Yield the rows from the beginning of each kind of drift to its discovery in its column."""
    for kind, drift in enumerate(DRIFTS.values()):
        hours = scores.spans[LEARNING : LEARNING + LONGEST].copy()
        hours[:, :, drift.column] = scores.drifted[kind]
        judge = Judge(reference, rows, scores.spans[len(scores.spans) - 24 * days :][::-1])
        found = (k for k, hour in enumerate(hours, 1) if NAMES[drift.column] in judge.hour(hour))
        yield rows * next(found, np.inf)


def runs(alarmed: list[bool]) -> int:
    """Return how many runs of alarmed hours there are."""
    return sum(now and not before for before, now in pairwise([False, *alarmed]))


def months(options: argparse.Namespace, rows: int) -> list[Month]:
    """Return the months of a rate: those that are kept, and simulate the others."""
    kept = {}
    if options.keep is not None and options.keep.exists():
        for line in options.keep.read_text().splitlines():
            each = Month(**json.loads(line))
            kept[each.rows, each.varying, each.seed] = each
    wanted = range(options.first_seed, options.first_seed + options.months)
    for seed in wanted:
        if (rows, options.varying, seed) in kept:
            continue
        model = trained(seed // options.months_per_reference, varying=options.varying, rows=options.reference_rows)
        each = kept[rows, options.varying, seed] = month(*model, rows, seed)
        if options.keep is not None:
            with options.keep.open("a") as file:
                file.write(json.dumps(asdict(each)) + "\n")
    return [kept[rows, options.varying, seed] for seed in wanted]


def row(found: list[Month]) -> str:
    """Return one line of the table."""
    first = found[0]
    cells = [f"{first.rows:,}", str(len(found))]
    counts = [m.episodes for m in found]
    error = np.std(counts, ddof=1) / np.sqrt(len(counts)) if len(counts) > 1 else np.nan
    cells.append(f"{np.mean([m.learning for m in found]):.2f} ({np.mean([m.learning_share for m in found]):.0%})")
    cells.append(f"{np.mean(counts):.2f} ± {error:.2f} ({np.mean([m.share for m in found]):.1%})")
    for rule in ("evidently", "nannyml"):
        count, share = np.mean([getattr(m, rule) for m in found], axis=0)
        cells.append("always" if share > 0.95 else f"{count:.0f} ({share:.0%})")
    for days in first.late:
        late = np.median([m.late[days] for m in found], axis=0)
        cells += ["not found" if np.isinf(n) else f"{n:,.0f} ({n / first.rows:.0f} h)" for n in late]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Print one line per rate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--months", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=SEEDS)
    parser.add_argument("--rows-per-hour", type=int, nargs="+", default=[20, 100, 1000, 10_000])
    parser.add_argument("--reference-rows", type=int, default=REFERENCE_ROWS)
    parser.add_argument("--months-per-reference", type=int, default=5)
    parser.add_argument("--varying", action="store_true", help="days, cycles and autoregression, not chance alone")
    parser.add_argument("--keep", type=Path, help="a file of finished months of the same references, to go on with")
    options = parser.parse_args()
    learned = [LEARNED_DAYS] if options.varying else [0, LEARNED_DAYS]
    heads = ["rows per hour", "months", "episodes in the first two weeks (share of hours)", "in the month after"]
    heads += ["Evidently's rule", "NannyML's rule"]
    heads += [f"median rows to find {name} after {days} days" for days in learned for name in DRIFTS]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    for rows in options.rows_per_hour:
        print(row(months(options, rows)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
