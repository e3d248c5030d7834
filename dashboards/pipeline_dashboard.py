"""The dashboard ``driftline-pipeline``: is every answer captured and loaded, and do the jobs that judge it run?"""

from grafana_foundation_sdk.builders import dashboard

from driftline.dashboards.board import MODELS, STALE_INTERVALS, age_of, board, chosen, job_age, model_variable
from driftline.dashboards.panels import Panel, lines, number, states

UID = "driftline-pipeline"
SCORER = 'job="driftline-scorer",instance=~"$instance"'
RECORDS = f"driftline_scorer_tee_records_total{{{SCORER}}}"
PENDING = f"driftline_scorer_tee_pending_records{{{SCORER}}}"
OLDEST = f"time() - (driftline_scorer_tee_oldest_pending_timestamp_seconds{{{SCORER}}} > 0)"
UP_OR_DOWN = {"0": ("down", "red"), "1": ("up", "green")}


def pipeline_dashboard() -> dashboard.Dashboard:
    """Return the dashboard."""
    scorers = chosen("instance", "Scorer", "label_values(driftline_scorer_build_info, instance)", many=True)
    sections = {
        "Is every answer captured?": _capture_now(),
        "Where do records wait, and where are they lost?": _capture(),
        "Do the jobs run, and on time?": _jobs(),
        "How old is what is shown?": _staleness(),
        "Does Prometheus see everything?": _scrapes(),
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


def _jobs() -> list[Panel]:
    by = "by (model_name, check)"
    interval = f"max {by} (driftline_monitor_job_interval_seconds)"
    legend = "{{model_name}} {{check}}"
    runs = "driftline_monitor_job_runs_total"
    return [
        lines(
            "Age of the last success, in intervals",
            "Of the 15 latest jobs; beyond 2.5 a job counts as stale. Jobs about the whole store have no model.",
            "suffix: intervals",
            (f"topk(15, ({job_age('', 'model_name, check')}) / {interval})", legend),
            (f"{STALE_INTERVALS} + 0 * max(driftline_monitor_job_interval_seconds)", "limit"),
            limit_in="^limit",
            span=8,
        ),
        lines(
            "Runs by result",
            "insufficient_data: too few rows for a verdict, which is no fault.",
            "cpm",
            (f"60 * sum by (check, result) (rate({runs}[$__rate_interval]))", "{{check}} {{result}}"),
            span=8,
        ),
        lines(
            "Failures in a row",
            "0 is well. The error is in the monitor's log and on its status page.",
            "short",
            (f"topk(15, max {by} (driftline_monitor_job_consecutive_failures))", legend),
            span=8,
        ),
        lines(
            "Duration of the last run, in intervals",
            "Of the 15 longest; near 1 a job hardly ends before the next begins.",
            "percentunit",
            (f"topk(15, max {by} (driftline_monitor_job_last_duration_seconds) / {interval})", legend),
            span=8,
        ),
        lines(
            "Age of the scheduler's heartbeat",
            "Seconds; minutes mean that the monitor's process lives and its loop does not.",
            "s",
            (age_of("driftline_monitor_scheduler_last_tick_timestamp_seconds", "", "instance"), "{{instance}}"),
            span=8,
        ),
        states(
            "What the monitor needs",
            "Whether store and MLflow answered the last probe.",
            ("min by (dependency) (driftline_monitor_dependency_up)", "{{dependency}}"),
            UP_OR_DOWN,
            span=8,
        ),
    ]


def _staleness() -> list[Panel]:
    def by_model(metric: str) -> tuple[str, str]:
        return f"topk(15, {age_of(metric, MODELS, 'model_name')})", "{{model_name}}"

    return [
        lines(
            "Since the last prediction",
            "By model. It rises while nobody asks, or while the answers are errors.",
            "s",
            by_model("driftline_scorer_last_prediction_timestamp_seconds"),
            span=6,
        ),
        lines(
            "Since the judged window's end",
            "By model: how old the newest row is that a verdict rests on.",
            "s",
            by_model("driftline_monitor_window_end_timestamp_seconds"),
            span=6,
        ),
        lines(
            "Age of the reference",
            "By model: since the training data were reduced to the reference in force.",
            "s",
            by_model("driftline_monitor_reference_timestamp_seconds"),
            span=6,
        ),
        lines(
            "Since the registry's last answer",
            "By scorer that follows an alias or a stage; it serves what it has while the registry is away.",
            "s",
            (
                age_of("driftline_scorer_registry_last_success_timestamp_seconds", SCORER, "instance"),
                "{{instance}}",
            ),
            span=6,
        ),
    ]


def _scrapes() -> list[Panel]:
    ours = 'job=~"driftline-.+"'
    return [
        states(
            "Targets",
            "Whether Prometheus reaches each scorer and the monitor.",
            (f"max by (job, instance) (up{{{ours}}})", "{{job}} {{instance}}"),
            UP_OR_DOWN,
            span=8,
        ),
        lines(
            "Duration of a scrape",
            "Near the scrape's timeout (10 s by default) gauges begin to have holes.",
            "s",
            (f"max by (job, instance) (scrape_duration_seconds{{{ours}}})", "{{job}} {{instance}}"),
            span=8,
        ),
        lines(
            "Series of a scrape",
            "It grows with models and columns; max_features bounds the columns of a model.",
            "short",
            (
                f"max by (job, instance) (scrape_samples_post_metric_relabeling{{{ours}}})",
                "{{job}} {{instance}}",
            ),
            span=8,
        ),
    ]
