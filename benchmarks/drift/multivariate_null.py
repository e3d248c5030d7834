"""How often the multivariate check is wrong when nothing drifted, and what it finds: `python multivariate_null.py`.

Twenty columns: ten normal, five counts, five of eight categories; 5,000 training rows. Without drift live rows are
drawn as they are; with it, the correlation of two columns turns from 0.5 to -0.5, which no single column shows.
"""

import argparse
import os
import time

os.environ["OMP_NUM_THREADS"] = "1"  # before scikit-learn is imported, as in the check's own process

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.multivariate.domain_classifier import separate

TRAINING_ROWS = 5_000
AUC, Z = 0.55, 4.0
CATEGORICAL = np.arange(20) >= 15


def rows(rng: np.random.Generator, count: int, correlation: float) -> NDArray[np.float64]:
    """Return rows, shape (count, 20)."""
    drawn = rng.normal(size=(count, 20))
    drawn[:, 1] = correlation * drawn[:, 0] + np.sqrt(1 - correlation**2) * drawn[:, 1]
    drawn[:, 10:15] = np.floor(2 * np.abs(drawn[:, 10:15]))
    drawn[:, 15:] = rng.integers(0, 8, (count, 5))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 1_000, 5_000])
    options = parser.parse_args()
    print("live rows | wrong | sd of z | largest z | turned correlation found | seconds a check")
    for count in options.rows:
        found = {0.5: [], -0.5: []}
        began = time.process_time()
        for seed in range(options.windows):
            for correlation, kept in found.items():
                if correlation < 0 and seed >= options.windows // 10:
                    continue
                rng = np.random.default_rng([seed, count])
                training = rows(rng, TRAINING_ROWS, 0.5)
                kept.append(separate(rows(rng, count, correlation), training, CATEGORICAL))
        seconds = (time.process_time() - began) / sum(map(len, found.values()))
        z = [each.z for each in found[0.5]]
        hits = {c: sum(s.auc >= AUC and s.z >= Z for s in kept) for c, kept in found.items()}
        print(
            f"{count:,} | {hits[0.5]} of {len(z)} | {np.std(z):.2f} | {max(z):.1f} | "
            f"{hits[-0.5]} of {len(found[-0.5])} | {seconds:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
