from driftline.monitor.metrics.job_durations import BUCKETS_SECONDS, JobDurations


def test_a_bucket_holds_its_upper_bound_and_remembers_the_newest_run() -> None:
    durations = JobDurations()
    for seconds, run in ((0.1, None), (0.11, "a"), (0.5, "b"), (4_000.0, "c")):
        durations.add(seconds, run)
    found = {bound: (count, exemplar and exemplar.labels["mlflow_run_id"]) for bound, count, exemplar in
             durations.buckets()}  # fmt: skip
    assert (found["0.1"], found["0.5"], found["1.0"], found["+Inf"]) == ((1, None), (3, "b"), (3, None), (4, "c"))
    assert len(found) == len(BUCKETS_SECONDS) + 1
    assert durations.sum_seconds == 4_000.71


def test_a_copy_does_not_grow_with_the_original() -> None:
    durations = JobDurations()
    copy = durations.copy()
    durations.add(1.0, "a")
    assert (sum(copy.counts), copy.exemplars, copy.sum_seconds) == (0, {}, 0.0)
