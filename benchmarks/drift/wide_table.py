"""Three million rows of a thousand columns profiled in one pass by two processes, and scored.

    python benchmarks/drift/wide_table.py [--rows 3000000] [--columns 1000]

The rows are drawn in blocks, each from a seed of its own, so that they never lie in memory whole; the processes take
blocks in turn and send their profile, packed, at the end. Half of the columns are normal, half lognormal; every tenth
(a normal one) moved by 0.3 standard deviations. The reference is cut from 20,000 rows. All time counts, that of drawing
included, which is told apart; memory is the sum of the processes' peaks.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.drift.registry import score
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference, build_reference

SEED = 950_001
PROCESSES = 2
BLOCK_ROWS = 2_000
REFERENCE_ROWS = 20_000
REACH_SECONDS, REACH_BYTES = 600, 2e9


def drawn(block: int, rows: int, columns: int, *, moved: bool) -> dict[str, NDArray[np.float64]]:
    """Return the rows of a block, which its number alone decides."""
    rng = np.random.default_rng([SEED, block, moved])
    values = rng.standard_normal((columns, rows))
    if moved:
        values[::10] += 0.3
    np.exp(values[1::2], out=values[1::2])
    return {f"c{i}": values[i] for i in range(columns)}


def profile_blocks(folder: str, first: int, blocks: int, rows: int) -> tuple[bytes, float, int]:
    """Profile every ``PROCESSES``th block; return the packed profile, seconds spent on drawing, peak memory."""
    reference = Reference.from_bytes((Path(folder) / "reference").read_bytes())
    profile, drawing = reference.empty_profile(), 0.0
    for block in range(first, blocks, PROCESSES):
        size = min(BLOCK_ROWS, rows - block * BLOCK_ROWS)
        began = time.perf_counter()
        data = drawn(block, size, len(reference.columns), moved=True)
        drawing += time.perf_counter() - began
        profile.add(data, size)
    return profile.to_bytes(), drawing, peak_bytes()


def peak_bytes() -> int:
    """Return the most memory that this process ever had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    """Print rate, time and memory; 1 when the figures to reach are missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--columns", type=int, default=1000)
    rows, columns = (arguments := parser.parse_args()).rows, arguments.columns
    began = time.perf_counter()
    data = drawn(0, REFERENCE_ROWS, columns, moved=False)
    described = [PredictionColumn("input", name, name, ColumnType.DOUBLE) for name in data]
    reference = build_reference(described, data, source="drawn", made_at_us=0)
    del data
    building = time.perf_counter() - began
    blocks = -(-rows // BLOCK_ROWS)
    with TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        (Path(folder) / "reference").write_bytes(reference.to_bytes())
        found = pool.starmap(profile_blocks, [(folder, first, blocks, rows) for first in range(PROCESSES)])
    window = Profile.from_bytes(reference, found[0][0])
    for packed, _, _ in found[1:]:
        window += Profile.from_bytes(reference, packed)
    profiling = time.perf_counter() - began - building
    scores = [score("wasserstein", profiled, reference.profile, window) for profiled in reference.profiled]
    scoring = time.perf_counter() - began - building - profiling
    seconds, peak = time.perf_counter() - began, peak_bytes() + sum(each for _, _, each in found)
    drew = max(each for _, each, _ in found)
    over = [place for place, each in enumerate(scores) if each >= 0.1]
    print(f"{window.row_count:,} rows x {columns:,} columns in {seconds:.0f} s, {peak / 1e9:.2f} GB at most")
    print(f"reference {building:.0f} s; profiles {profiling:.0f} s, {rows / profiling:,.0f} rows/s, {drew:.0f} s of it")
    print(f"for drawing in each process; scores {scoring:.2f} s; {len(over)} columns score 0.1 or more,")
    print(f"{sum(place % 10 == 0 for place in over)} of the {-(-columns // 10)} that moved among them")
    return 0 if seconds < REACH_SECONDS and peak < REACH_BYTES and window.row_count == rows else 1


if __name__ == "__main__":
    sys.exit(main())
