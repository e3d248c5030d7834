"""How often nothing drifts and a segment is called drifted, and how soon drift in a single segment is found.

A model of the 20 columns of ``traffic``, 10,000 training rows, told apart in ten segments of a tenth of the rows each;
live rows are independent, without drift. The segments share half of the model's budget, each judged hourly with its own
thresholds, past scores and episodes against its own training rows on the bins of all; an episode of the segments is a
run of hours in which the episode of any segment is open. Months are counted after two weeks of history. Then the
segment's first column moves in one segment alone, from its third week on: hours until the segment is called drifted,
and until the model as a whole is, which has the other half of the budget.

Each month has seeds of its own, so that months can be simulated in pieces:

    python benchmarks/drift/segments.py --months 4 --rows-per-hour 1000 10000
    python benchmarks/drift/segments.py --first-month 4 --months 4 --rows-per-hour 1000 10000
"""

import argparse
import sys
from dataclasses import replace

import numpy as np
from false_alarms import Judge, runs
from numpy.typing import NDArray
from simulated_scores import LEARNING, LONGEST, REFERENCE_ROWS, SETTINGS, WEEK, Column, Values, simulate
from traffic import COLUMNS, Drift, Traffic

from driftline.monitor.drift.calibration import calibrate, calibrate_for
from driftline.monitor.drift.column_judge import statistic_of
from driftline.monitor.segments.judge import segment_budget, whole_budget
from driftline.store.profile.reference import Reference, build_reference
from driftline.store.segments.settings import SegmentSettings

SEGMENTS = 10
SHIFTS = (0.3, 1.0)
OF_ONE = replace(
    segment_budget(SETTINGS, SegmentSettings(), 1),
    false_alarms_per_month=segment_budget(SETTINGS, SegmentSettings(), 1).false_alarms_per_month / SEGMENTS,
)
OF_WHOLE = whole_budget(SETTINGS, SegmentSettings(), 1)


def references(seed: int) -> tuple[Reference, list[Reference]]:
    """Return the model's reference and those of its segments, calibrated."""
    rng = np.random.default_rng([960_000, seed])
    data = Traffic(rng, 28 * 24, None).training(REFERENCE_ROWS)
    whole = build_reference(COLUMNS, data, source="simulated", made_at_us=0, seed=seed)
    parts = []
    for segment in range(SEGMENTS):
        rows = {name: cells[segment::SEGMENTS] for name, cells in data.items()}
        profile = whole.empty_profile()
        profile.add(rows, REFERENCE_ROWS // SEGMENTS)
        part = replace(whole, packed_profile=profile.to_bytes(), row_count=profile.row_count)
        parts.append(calibrate_for(part, lambda profiled, of: statistic_of(profiled, of, SETTINGS), whole))
    return calibrate(whole), parts


def alarmed_hours(reference: Reference, rows: int, seed: int) -> NDArray[np.bool_]:
    """Return for each hour of two weeks and a month whether an episode of one segment is open."""
    judge = Judge(reference, rows, settings=OF_ONE)
    return np.array([bool(judge.hour(hour)) for hour in simulate(reference, None, rows, seed).spans])


def hours_to_find(whole: Reference, part: Reference, rows: int, shift: float, seed: int) -> tuple[float, float]:
    """Return after how many hours a shift in one segment of ``rows`` an hour is found there, and in the whole."""
    found = []
    for reference, moved, others, settings in ((part, rows, 0, OF_ONE), (whole, rows, (SEGMENTS - 1) * rows, OF_WHOLE)):
        scores = _scores(reference, moved, others, shift, seed)
        history = np.full((LEARNING, *scores.shape[1:2], len(COLUMNS)), np.nan)
        history[:, :, 0] = scores[:LEARNING][::-1]
        judge = Judge(reference, moved + others, history, settings)
        hours = np.zeros((LONGEST, scores.shape[1], len(COLUMNS)), np.float32)
        hours[:, :, 0] = scores[LEARNING:]
        found.append(next((hour for hour, each in enumerate(hours, 1) if judge.hour(each)), np.inf))
    return found[0], found[1]


def _scores(reference: Reference, moved: int, others: int, shift: float, seed: int) -> Values:
    """Return scores of the first column, shape (hours, spans): two weeks without drift, then ``LONGEST`` hours."""
    begin, end = WEEK + LEARNING, WEEK + LEARNING + LONGEST
    profiled, parts = reference.profiled[0], []
    for place, rows in enumerate((moved, others)):
        if not rows:
            continue
        live = Traffic(np.random.default_rng([970_000, rows, seed, place]), end, None)
        column = Column(reference, profiled, 0, rows)
        drift = Drift(0, shift=shift) if place == 0 else None
        hours = column.hours(live, range(begin)), column.hours(live, range(begin, end), drift)
        parts.append([np.concatenate(pair) for pair in zip(*hours, strict=True)])
    counts, offsets, *_ = [np.sum(arrays, axis=0) for arrays in zip(*(p[:2] for p in parts), strict=True)]
    least = np.min([p[2] for p in parts], axis=0)
    greatest = np.max([p[3] for p in parts], axis=0)
    return Column(reference, profiled, 0, moved + others).windows([counts, offsets, least, greatest])


def main() -> int:
    """Print one line per rate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--months", type=int, default=2)
    parser.add_argument("--first-month", type=int, default=0, help="seed of the first, to simulate months in pieces")
    parser.add_argument("--rows-per-hour", type=int, nargs="+", default=[1000, 10_000], help="of all segments together")
    options = parser.parse_args()
    for rows in options.rows_per_hour:
        episodes, late = [], {shift: list[tuple[float, float]]() for shift in SHIFTS}
        for month in range(options.first_month, options.first_month + options.months):
            whole, parts = references(month)
            each = rows // SEGMENTS
            hours = [alarmed_hours(part, each, 1000 * month + k) for k, part in enumerate(parts)]
            any_ = np.any(hours, axis=0)
            begun = runs(any_[LEARNING:].tolist()) - bool(any_[LEARNING - 1] and any_[LEARNING])
            episodes.append((begun, float(any_[LEARNING:].mean())))
            for shift in SHIFTS:
                late[shift] += [hours_to_find(whole, part, each, shift, 10 * month + k) for k, part in enumerate(parts)]
        counts, shares = np.mean(episodes, axis=0)
        said = [
            f"{rows:,} rows an hour, {options.months} months: {counts:.2f} episodes a month ({shares:.1%} of hours)"
        ]
        for shift, found in late.items():
            segment, whole_hours = np.median(found, axis=0)
            missed = np.isinf(found).sum(axis=0)
            said.append(
                f"{shift} sd in one of ten segments: found there after {segment:g} h (not in {missed[0]} of "
                f"{len(found)}), in the whole after {whole_hours:g} h (not in {missed[1]})"
            )
        print("; ".join(said), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
