"""How many predictions a window holds: exactly its rows, as labelled ones are counted, whatever profiles are kept."""

from itertools import combinations

import numpy as np
import pandas as pd
from monitor_rig import at
from performance_rig import COINS, HOUR_US, answer, coins, label, save_coins_reference

from driftline.monitor.jobs import rollup_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.performance.coverage import predictions_in
from driftline.monitor.performance_now import performance_now
from driftline.store.reads import count_rows
from driftline.store.records import Arm

NOW = 1_795_000_000_000_000 // HOUR_US * HOUR_US
MINUTE_US = 60_000_000
DAY_US = 24 * HOUR_US


def test_edges_inside_an_hour_or_a_day_of_which_no_finer_profiles_are_kept_count_its_rows(context: JobContext) -> None:
    save_coins_reference(context)
    answers, labels = coins(1, 20)
    frame = pd.DataFrame({"a": np.zeros(20)})
    edges = [
        NOW - 100 * DAY_US + 30 * MINUTE_US, NOW - 100 * DAY_US + 3 * HOUR_US,  # days are kept
        NOW - 7 * DAY_US + 30 * MINUTE_US, NOW - 7 * DAY_US + 40 * MINUTE_US,  # hours
        NOW - HOUR_US + 30 * MINUTE_US, NOW + 10 * MINUTE_US,  # minutes
    ]  # fmt: skip
    for edge in edges:
        for at_us in (edge - MINUTE_US, edge):
            label(context, answer(context, COINS, frame, answers, at_us), labels, at_us)
    then = at(context, NOW + 20 * MINUTE_US)
    rollup_job.run(then)
    late = edges[2] + MINUTE_US  # a fresh profile in an hour that is thinned out
    label(context, answer(context, COINS, frame, answers, late), labels, late)
    (version,) = then.watched()
    with context.engine.connect() as connection:
        for window in combinations(edges, 2):
            rows = count_rows(connection, version.stored, *window, Arm.CHAMPION)
            assert predictions_in(connection, version, Arm.CHAMPION, *window) == rows
    judged = performance_now(then, version, (edges[2], NOW)).metrics(Arm.CHAMPION)
    assert {(each.labelled_rows, each.window_rows) for each in judged if not each.estimated} == {(120, 120)}
