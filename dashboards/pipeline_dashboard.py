"""The dashboard ``driftline-pipeline``: is every answer captured and loaded, and do the jobs that judge it run?"""

from grafana_foundation_sdk.builders import dashboard

from driftline.dashboards.board import MODELS, SCORER, age_of, board, chosen, model_variable
from driftline.dashboards.monitor_panels import job_panels, scrape_panels, staleness_panels
from driftline.dashboards.panels import UP_OR_DOWN, Panel, lines, number, states

UID = "driftline-pipeline"
RECORDS = f"driftline_scorer_tee_records_total{{{SCORER}}}"
PENDING = f"driftline_scorer_tee_pending_records{{{SCORER}}}"
OLDEST = f"time() - (driftline_scorer_tee_oldest_pending_timestamp_seconds{{{SCORER}}} > 0)"


def pipeline_dashboard() -> dashboard.Dashboard:
    """Return the dashboard."""
    scorers = chosen("instance", "Scorer", "label_values(driftline_scorer_build_info, instance)", many=True)
    sections = {
        "Is every answer captured?": _capture_now(),
        "Where do records wait, and where are they lost?": _capture(),
        "Does the loader keep up?": _loader(),
        "Do the events of other servers become rows?": _events(),
        "Do the jobs run, and on time?": job_panels(),
        "How old is what is shown?": staleness_panels(),
        "Does Prometheus see everything?": scrape_panels(),
    }
    return board(
        UID,
        "Driftline pipeline",
        "From the answer to the verdict: capture accounts, spool, loader, jobs, staleness, scrapes.",
        [model_variable(many=True), scorers],
        sections,
        of=MODELS,
    )


def _result(result: str) -> str:
    return f'sum(driftline_scorer_tee_records_total{{{SCORER},result="{result}"}})'


def _capture_now() -> list[Panel]:
    used = f"max(driftline_scorer_spool_bytes{{{SCORER}}} / driftline_scorer_spool_limit_bytes{{{SCORER}}})"
    dropped = f"driftline_scorer_tee_dropped_records_total{{{SCORER}}}"
    return [
        number(
            "Unaccounted for",
            "answered - stored - pending - dropped over the homes' lives; anything but 0 is a fault of driftline.",
            "short",
            (f"{_result('answered')} - {_result('stored')} - {_result('dropped')} - sum({PENDING})", "records"),
            red_from=1,
            empty="no accounts",
        ),
        number(
            "Invocations lost",
            "Answered, but dropped before the store, in the shown time. Drift is biased by what is lost.",
            "short",
            (f"sum(increase({dropped}[$__range]))", "lost"),
            red_from=1,
            empty="0",
        ),
        number(
            "Waiting",
            "Records in rings and segments that the store does not have yet.",
            "short",
            (f"sum({PENDING})", "waiting"),
        ),
        number(
            "Oldest waiting",
            "Age of the oldest record that the store does not have; minutes mean a slow store or a dead loader.",
            "s",
            (f"max({OLDEST})", "age"),
            empty="nothing waits",
        ),
        number(
            "Fullest spool",
            "Share of the spool's limit that is used; at 100 % what is newest is dropped, and answers go on.",
            "percentunit",
            (used, "used"),
            red_from=0.9,
        ),
        number(
            "Quarantined",
            "Stored invocations that could not be loaded as rows: `driftline store status` names the reasons.",
            "short",
            (f"sum(driftline_scorer_tee_quarantined_records{{{SCORER}}})", "quarantined"),
            red_from=1,
            empty="0",
        ),
    ]


def _capture() -> list[Panel]:
    dropped = f"driftline_scorer_tee_dropped_records_total{{{SCORER}}}"
    used = f"driftline_scorer_spool_bytes{{{SCORER}}} / driftline_scorer_spool_limit_bytes{{{SCORER}}}"
    return [
        lines(
            "Capture accounts",
            "Every answered invocation is enqueued, then stored, or dropped with a reason. Lines that part: a backlog.",
            "recps",
            (f"sum by (result) (rate({RECORDS}[$__rate_interval]))", "{{result}}"),
            span=8,
        ),
        lines(
            "Waiting for the store",
            "Invocations in the ring (memory) and in segments on disk (spool).",
            "short",
            (f"sum by (stage) ({PENDING})", "{{stage}}"),
            span=8,
        ),
        lines(
            "Age of the oldest waiting record",
            "By scorer. It rises second by second while the loader or the store stands still.",
            "s",
            (f"max by (instance) ({OLDEST})", "{{instance}}"),
            span=8,
        ),
        lines(
            "Dropped by reason",
            "Lost for the store; the answers themselves went out.",
            "recps",
            (f"sum by (reason) (rate({dropped}[$__rate_interval]))", "{{reason}}"),
            span=8,
        ),
        lines(
            "Spool used",
            "Share of its limit, by scorer.",
            "percentunit",
            (f"max by (instance) ({used})", "{{instance}}"),
            span=8,
        ),
        lines(
            "Room left for the spool",
            "What it may still take: the smaller of limit - used and the file system's free space.",
            "bytes",
            (f"min by (instance) (driftline_scorer_spool_available_bytes{{{SCORER}}})", "{{instance}}"),
            span=8,
        ),
    ]


def _loader() -> list[Panel]:
    flush = f"driftline_scorer_tee_flush_duration_seconds_bucket{{{SCORER}}}"
    flushes = f"driftline_scorer_tee_flushes_total{{{SCORER}}}"
    starts = f"driftline_scorer_loader_starts_total{{{SCORER}}}"
    stored = "driftline_scorer_tee_last_success_timestamp_seconds"
    return [
        states(
            "Loaders",
            "Whether the process that moves records into the store runs, by scorer.",
            (f"max by (instance) (driftline_scorer_loader_up{{{SCORER}}})", "{{instance}}"),
            UP_OR_DOWN,
            span=6,
        ),
        lines(
            "Batches into the store",
            "error: the store refused or was away; the records stay in the spool and are tried again.",
            "ops",
            (f"sum by (result) (rate({flushes}[$__rate_interval]))", "{{result}}"),
            (f"sum(rate({starts}[$__rate_interval]))", "starts of a loader"),
            span=6,
        ),
        lines(
            "Duration of a batch",
            "p95. It rises before a backlog does.",
            "s",
            (f"histogram_quantile(0.95, sum by (instance, le) (rate({flush}[$__rate_interval])))", "{{instance}}"),
            span=6,
        ),
        lines(
            "Since the last stored batch",
            "By scorer; with nothing to store it rises too: compare with what waits.",
            "s",
            (age_of(stored, SCORER, "instance"), "{{instance}}"),
            span=6,
        ),
    ]


def _events() -> list[Panel]:
    events = "driftline_monitor_events_total"
    return [
        lines(
            "Events by fate",
            "Of KServe's and Seldon's loggers, per hour. Not rows: malformed, no_model, unreadable, late, pruned.",
            "short",
            (f"sum by (service, fate) (increase({events}[1h]))", "{{service}} {{fate}}"),
            span=12,
        ),
        lines(
            "Events that wait",
            "For the other half of their call. It grows while a model is not found or answers are not logged.",
            "short",
            ("max(driftline_monitor_events_waiting)", "waiting"),
            span=12,
        ),
    ]
