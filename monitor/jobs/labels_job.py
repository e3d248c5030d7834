"""The labels job: labels that wait find their requests or expire, old rejects go; about the whole store, no model."""

from driftline.monitor.jobs.job import JobContext, JobReport, Outcome, whole_store
from driftline.monitor.rows.results import Result
from driftline.store.labels.pending import match_pending
from driftline.store.labels.rejects import prune_rejects

NAME = "labels"


def run(context: JobContext) -> JobReport:
    """Look for what labels wait for, prune rejects, and record how that went."""
    return whole_store(context, NAME, _match)


def _match(context: JobContext) -> Outcome:
    now_us = context.clock()
    report = match_pending(context.engine, context.labels, now_us)
    pruned = prune_rejects(context.engine, context.labels, now_us)
    return Outcome(Result.SUCCESS, f"of labels that waited: {report}; {pruned} old rejects pruned")
