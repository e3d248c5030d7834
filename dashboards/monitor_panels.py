"""Panels of the pipeline board about the monitor: its jobs, the age of what it shows, and Prometheus' own view."""

from driftline.dashboards.board import MODELS, SCORER, STALE_INTERVALS, age_of, job_age, job_interval
from driftline.dashboards.panels import UP_OR_DOWN, Panel, lines, states


def job_panels() -> list[Panel]:
    """Return the panels of whether the scheduled jobs run, succeed and keep their time."""
    by = "by (model_name, check)"
    interval = f"max {by} (driftline_monitor_job_interval_seconds)"
    legend = "{{model_name}} {{check}}"
    runs = "driftline_monitor_job_runs_total"
    durations = "driftline_monitor_job_duration_seconds_bucket"
    return [
        lines(
            "Age of the last success, in intervals",
            "Of the 15 latest jobs; beyond 2.5 a job counts as stale; an interval under a minute is one. Jobs "
            "about the whole store have no model.",
            "suffix: intervals",
            (f"topk(15, ({job_age('', 'model_name, check')}) / {job_interval('', 'model_name, check')})", legend),
            (f"{STALE_INTERVALS} + 0 * max(driftline_monitor_job_interval_seconds)", "limit"),
            limit_in="^limit",
            span=6,
        ),
        lines(
            "Runs by result",
            "All jobs together, and failures by job. insufficient_data: too few rows for a verdict, which is no fault.",
            "cpm",
            (f"60 * sum by (result) (rate({runs}[$__rate_interval]))", "{{result}}"),
            (f'60 * sum by (check) (rate({runs}{{result="error"}}[$__rate_interval]))', "error of {{check}}"),
            span=6,
        ),
        lines(
            "Failures in a row",
            "0 is well. The error is in the monitor's log and on its status page.",
            "short",
            (f"topk(15, max {by} (driftline_monitor_job_consecutive_failures))", legend),
            span=6,
        ),
        lines(
            "Duration of the last run, in intervals",
            "Of the 15 longest; near 100 % a job hardly ends before the next begins.",
            "percentunit",
            (f"topk(15, max {by} (driftline_monitor_job_last_duration_seconds) / {interval})", legend),
            span=6,
        ),
        lines(
            "Duration of runs",
            "p95 by check, all models together; the dots lead to runs in MLflow.",
            "s",
            (f"histogram_quantile(0.95, sum by (check, le) (rate({durations}[$__rate_interval])))", "{{check}}"),
            span=8,
            exemplars=True,
        ),
        lines(
            "Heartbeat of the monitor",
            "heartbeat: minutes mean that the monitor's process lives and its loop does not; results: since the page's "
            "figures were read from the store.",
            "s",
            (
                age_of("driftline_monitor_scheduler_last_tick_timestamp_seconds", "", "instance"),
                "{{instance}} heartbeat",
            ),
            (age_of("driftline_monitor_results_read_timestamp_seconds", "", "instance"), "{{instance}} results"),
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


def staleness_panels() -> list[Panel]:
    """Return the panels of how old predictions, windows, references and the registry's answers are."""

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


def scrape_panels() -> list[Panel]:
    """Return the panels of the targets, and what scraping them costs."""
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
