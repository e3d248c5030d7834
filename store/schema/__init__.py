"""The static tables of the store; the one place where column names live.

Prediction tables are made at run time, one per model and signature (``prediction_tables``). Alembic's revisions under
``migrations/`` are the frozen history of what stands here; ``migrate`` brings a database to it.
"""

from driftline.store.schema.base import metadata
from driftline.store.schema.capture import dead_letter, forgotten_day, pruned_day, spool, spool_gap, spool_position
from driftline.store.schema.events import event_count, waiting_event
from driftline.store.schema.models import model_version, prediction_table, reference
from driftline.store.schema.results import (
    drift_episode,
    drift_history,
    drift_result,
    job_run,
    label_coverage,
    multivariate_result,
    performance_hour,
    performance_progress,
    performance_result,
    quality_result,
    report,
    report_file,
    segment_performance_hour,
    segment_performance_progress,
    segment_performance_result,
    segment_result,
)
from driftline.store.schema.traffic import coerced_cells, event, invocation, profile, profile_backfill, segment_profile
from driftline.store.schema.truth import label, label_count, label_reject, pending_label

__all__ = [
    "coerced_cells",
    "dead_letter",
    "drift_episode",
    "drift_history",
    "drift_result",
    "event",
    "event_count",
    "forgotten_day",
    "invocation",
    "job_run",
    "label",
    "label_count",
    "label_coverage",
    "label_reject",
    "metadata",
    "model_version",
    "multivariate_result",
    "pending_label",
    "performance_hour",
    "performance_progress",
    "performance_result",
    "prediction_table",
    "profile",
    "profile_backfill",
    "pruned_day",
    "quality_result",
    "reference",
    "report",
    "report_file",
    "segment_performance_hour",
    "segment_performance_progress",
    "segment_performance_result",
    "segment_profile",
    "segment_result",
    "spool",
    "spool_gap",
    "spool_position",
    "waiting_event",
]
