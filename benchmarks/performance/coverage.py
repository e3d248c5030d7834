"""How often the intervals of performance on labelled rows hold the truth, and how often nothing is called a breach.

    python benchmarks/performance/coverage.py

Windows are drawn from populations whose metrics are known: a binary model that is a little too sure of itself, one of
an event that 7 rows in 100 have, and a regression with skewed errors that grow with the prediction. Each window is
summed from hours, as the monitor does. 200 windows a line, against 20 references of 5,000 held-out rows of the same
population: whatever is called a breach is a false alarm. Ends with 1 when an interval of a window of 1,000 rows or
more holds the truth less than 88 times in 100, or more than 1 verdict in 100 is a false breach.
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from driftline.monitor.performance.number_metrics import SAMPLE_ROWS
from driftline.monitor.performance.realised import judge_window
from driftline.monitor.performance.reference_performance import ReferencePerformance, add_sums, metrics_of
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.performance.sums import HOUR_SAMPLE_ROWS, Sums, sums_of
from driftline.monitor.performance.task import Task, TaskKind
from driftline.monitor.performance.verdict import JudgedMetric

SEED = 43
ROWS = (100, 1_000, 10_000)
HOURS = {100: 1, 1_000: 12, 10_000: 24}
WINDOWS, REFERENCES, REFERENCE_ROWS = 200, 20, 5_000
KNOWN_ROWS = 2_000_000  # of the population, that its metrics are taken from
LEAST_COVERAGE, MOST_FALSE = 0.88, 0.01

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], tuple[Floats, Floats]]  # answers and labels


@dataclass(frozen=True)
class Population:
    """Where rows come from, and the true metrics of all of it."""

    name: str
    task: Task
    draw: Draw
    truth: dict[str, float]


def of_scores(name: str, a: float, b: float) -> Population:
    """Return a binary population whose scores are Beta distributed and whose model is too sure of itself."""

    def came_true(scores: Floats) -> Floats:
        odds = 0.8 * np.log(scores / (1 - scores))
        return 1 / (1 + np.exp(-odds))

    def draw(rng: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
        scores = np.clip(rng.beta(a, b, rows), 1e-6, 1 - 1e-6)
        return scores, (rng.random(rows) < came_true(scores)).astype(float)

    scores = np.clip(beta.ppf((np.arange(KNOWN_ROWS) + 0.5) / KNOWN_ROWS, a, b), 1e-6, 1 - 1e-6)  # rising
    task = Task(TaskKind.BINARY, probabilities=("p",), classes=("0", "1"))
    return Population(name, task, draw, _binary_truth(scores, came_true(scores)))


def _binary_truth(scores: Floats, came: Floats) -> dict[str, float]:
    """Return the metrics of rising scores that come true with the chances ``came``."""
    predicted = scores >= 0.5
    hits, positive = came[predicted].sum(), came.sum()
    failed = 1 - came
    before = np.cumsum(failed) - failed / 2
    tenths = np.minimum((scores * 10).astype(int), 9)
    rows = np.bincount(tenths, minlength=10)
    gaps = np.bincount(tenths, came - scores, 10) / np.maximum(rows, 1)
    return {
        "accuracy": (hits + failed[~predicted].sum()) / scores.size,
        "precision": hits / predicted.sum(),
        "recall": hits / positive,
        "f1": 2 * hits / (predicted.sum() + positive),
        "roc_auc": (came * before).sum() / (positive * failed.sum()),
        "log_loss": -(came * np.log(scores) + failed * np.log1p(-scores)).mean(),
        "brier": (came * (1 - scores) ** 2 + failed * scores**2).mean(),
        "calibration_error": float(np.sqrt((rows * gaps**2).sum() / scores.size)),
    }


def of_numbers(name: str) -> Population:
    """Return a regression whose errors are skewed, and larger where the prediction is."""

    def draw(rng: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
        predicted = rng.gamma(4, 2, rows)
        errors = (rng.lognormal(0, 0.8, rows) - np.exp(0.32)) * (0.5 + predicted / 8)
        return predicted, predicted + errors

    predicted, truth = draw(np.random.default_rng(SEED), KNOWN_ROWS)
    errors = predicted - truth
    known = {
        "mae": np.abs(errors).mean(),
        "rmse": np.sqrt((errors**2).mean()),
        "r2": 1 - (errors**2).mean() / truth.var(),
        "bias": 0.0,  # what is skewed has its mean taken off
    }
    return Population(name, Task(TaskKind.REGRESSION, prediction="y"), draw, known)


def sums(rng: np.random.Generator, population: Population, rows: int, sample_rows: int = HOUR_SAMPLE_ROWS) -> Sums:
    """Return the sums of drawn rows, as of one hour."""
    answers, labels = population.draw(rng, rows)
    column = population.task.columns[0]
    return sums_of(population.task, {column: answers}, labels.tolist(), int(rng.integers(2**31)), sample_rows)


def window(rng: np.random.Generator, population: Population, rows: int) -> Sums:
    """Return the sums of a window, over hours of unequal traffic."""
    hours = rng.multinomial(rows, rng.dirichlet(np.full(HOURS[rows], 3.0)))
    total = sums(rng, population, int(hours[0]))
    for hour in hours[1:]:
        add_sums(total, sums(rng, population, int(hour)))
    return total


def reference(rng: np.random.Generator, population: Population) -> ReferencePerformance:
    """Return what a reference of held-out rows knows."""
    found = sums(rng, population, REFERENCE_ROWS, SAMPLE_ROWS)
    return ReferencePerformance(population.task, metrics_of(population.task, found), None, found.rows, "held out")


def judged(population: Population, rows: int) -> bool:
    """Print a line for each metric of windows of so many rows; return whether it keeps what is promised."""
    rng = np.random.default_rng([SEED, rows, len(population.name)])
    held, verdicts, breaches, any_breach = Counter[str](), Counter[str](), Counter[str](), 0
    for round_ in range(WINDOWS):
        if round_ % (WINDOWS // REFERENCES) == 0:
            known = reference(rng, population)
        metrics = judge_window(
            population.task, window(rng, population, rows), known, (0, 3600), rows, PerformanceSettings()
        )
        held.update(each.metric for each in metrics if _holds(each, population.truth))
        verdicts.update(each.metric for each in metrics if each.breached is not None)
        breached = [each.metric for each in metrics if each.breached]
        breaches.update(breached)
        any_breach += bool(breached)
    cells = " | ".join(f"{held[name] / WINDOWS:.1%}" for name in population.truth)
    false = breaches.total() / max(verdicts.total(), 1)
    shares = f"{breaches.total()} of {verdicts.total()} | {any_breach} of {WINDOWS}"
    print(f"| {population.name} | {rows:,} | {cells} | {shares} |", flush=True)
    kept = rows < 1_000 or min(held[name] for name in population.truth) >= LEAST_COVERAGE * WINDOWS
    return kept and false <= MOST_FALSE


def _holds(found: JudgedMetric, truth: dict[str, float]) -> bool:
    return found.found is not None and found.found.low <= truth[found.metric] <= found.found.high


def main() -> int:
    """Judge every population at every size."""
    kept, header = True, ()
    for population in (
        of_scores("two classes", 1.2, 1.8),
        of_scores("7 in 100", 0.1, 1.5),
        of_numbers("numbers"),
    ):
        if header != tuple(population.truth):
            header = tuple(population.truth)
            print(f"\n| rows of | in a window | {' | '.join(header)} | false verdicts | windows with one |")
            print("|---" * (len(header) + 4) + "|")
        for rows in ROWS:
            kept &= judged(population, rows)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
