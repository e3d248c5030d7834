"""The dashboard ``driftline-model``: does this model answer, how fast, which version, and does it drift?"""

from grafana_foundation_sdk.builders import dashboard

from driftline.dashboards.board import (
    MODEL,
    STALE_INTERVALS,
    VERSION,
    age_of,
    board,
    job_interval,
    model_variable,
    version_variables,
)
from driftline.dashboards.distribution_panels import bucket_map, gap_map
from driftline.dashboards.panels import DRIFT_TEXTS, Panel, lines, number, states

UID = "driftline-model"
DRIFT_JOB = f'{MODEL},check="drift"'
DURATION = f"driftline_scorer_request_duration_seconds_bucket{{{VERSION}}}"
COUNT = f"driftline_scorer_request_duration_seconds_count{{{VERSION}}}"
CURRENT, REFERENCE = '"current"', '"reference"'
YES_NO = {"0": ("no", "red"), "1": ("yes", "green")}


def model_dashboard() -> dashboard.Dashboard:
    """Return the dashboard."""
    sections = {
        "Is it well now?": _now(),
        "Does it answer, and how fast?": _answers(),
        "Which version answers?": _versions(),
        "Does it drift?": _drift(),
        "Is it right?": _performance(),
    }
    return board(
        UID,
        "Driftline model",
        "One model: versions, traffic, latency, refusals, drift verdict.",
        [model_variable(), *version_variables()],
        sections,
        of=MODEL,
    )


def _now() -> list[Panel]:
    return [
        number(
            "Served version",
            "Version, registry alias and arm (champion, canary, shadow) of what the scorers have loaded.",
            "none",
            (
                f"max by (model_version, model_alias, arm) (driftline_scorer_model_info{{{VERSION}}})",
                "v{{model_version}} {{model_alias}} {{arm}}",
            ),
            shows_name=True,
        ),
        number(
            "In sync with the registry",
            "Whether all workers serve what the registry's alias points to.",
            "none",
            (f"min(driftline_scorer_model_in_sync{{{MODEL}}})", "in sync"),
            texts=YES_NO,
        ),
        number(
            "Server errors",
            "Share of answers with a 5xx status in the shown time.",
            "percentunit",
            (
                f'(sum(increase(driftline_scorer_request_duration_seconds_count{{{VERSION},code=~"5.."}}[$__range]))'
                f" or 0 * sum(increase({COUNT}[$__range]))) / sum(increase({COUNT}[$__range]))",
                "errors",
            ),
            red_from=0.001,
        ),
        number(
            "Drift",
            "Verdict on the newest window, inputs and predictions together.",
            "none",
            (f"max(driftline_monitor_drift_detected{{{VERSION}}})", "verdict"),
            texts=DRIFT_TEXTS,
            empty="not judged yet",
        ),
        number(
            "Age of the newest drift result",
            "Since the drift job last succeeded. Beyond 2.5 intervals the verdict is old news.",
            "s",
            (age_of("driftline_monitor_job_last_success_timestamp_seconds", DRIFT_JOB, "check"), "{{check}}"),
            empty="never",
        ),
        number(
            "Invocations lost",
            "Answered, but dropped before the store, in the shown time. Drift is biased by what is lost.",
            "short",
            (f"sum(increase(driftline_scorer_tee_dropped_records_total{{{MODEL}}}[$__range]))", "lost"),
            red_from=1,
            empty="0",
        ),
    ]


def _answers() -> list[Panel]:
    def quantile(share: float, of: str, by: str) -> str:
        return f"histogram_quantile({share}, sum by ({by}) (rate({of}[$__rate_interval])))"

    stages = f"driftline_scorer_stage_duration_seconds_bucket{{{MODEL}}}"
    rejected = f"sum by (reason) (rate(driftline_scorer_rejected_requests_total{{{MODEL}}}[$__rate_interval]))"
    in_progress = f"sum by (instance) (driftline_scorer_requests_in_progress{{{MODEL}}})"
    return [
        lines(
            "Requests by status",
            "Answered requests on all routes.",
            "reqps",
            (f"sum by (code) (rate({COUNT}[$__rate_interval]))", "{{code}}"),
            span=6,
        ),
        lines(
            "Latency",
            "From headers received to answer sent, interpolated from histogram buckets.",
            "s",
            *((quantile(share, DURATION, "le"), name) for share, name in ((0.99, "p99"), (0.95, "p95"), (0.5, "p50"))),
            span=6,
            exemplars=True,
        ),
        lines(
            "Where the time goes",
            "p95 of each stage: parse, predict, encode, tee (the append to the spool).",
            "s",
            (quantile(0.95, stages, "stage, le"), "{{stage}}"),
            span=6,
        ),
        lines(
            "Error budget spent",
            "Of what the objectives allow to fail or to be slow in three days; beyond it the promise is at risk.",
            "percentunit",
            (
                f"max by (slo) (driftline:slo_errors:ratio_rate3d{{{MODEL}}}"
                f" / on (model_name, slo) (1 - driftline:slo_objective:ratio{{{MODEL}}}))",
                "{{slo}}",
            ),
            (f"0 * max(driftline:slo_objective:ratio{{{MODEL}}}) + 1", "all of it"),
            span=6,
            limit_in="all of it",
        ),
        bucket_map(
            "Latency as a heatmap",
            "Requests per latency bucket: two bands are two kinds of requests, which a quantile hides.",
            "s",
            f"sum by (le) (increase({DURATION}[$__rate_interval]))",
        ),
        lines(
            "Requests refused by reason",
            "schema and malformed: a caller changed what it sends, often the first sign of drift.",
            "reqps",
            (rejected, "{{reason}}"),
            span=6,
        ),
        lines(
            "Requests in progress",
            "By scorer. A line that only rises is a model that does not answer.",
            "short",
            (in_progress, "{{instance}}"),
            span=6,
        ),
    ]


def _versions() -> list[Panel]:
    rows = f"sum by (model_version) (rate(driftline_scorer_predictions_total{{{VERSION}}}[$__rate_interval]))"
    arms = f"max by (model_version, arm) (driftline_scorer_model_info{{{VERSION}}})"
    swaps = f"sum by (result) (increase(driftline_scorer_model_swaps_total{{{MODEL}}}[$__rate_interval]))"
    loaded = age_of("driftline_scorer_model_loaded_timestamp_seconds", VERSION, "model_version")
    created = age_of("driftline_scorer_model_created_timestamp_seconds", VERSION, "model_version")
    return [
        lines(
            "Rows scored by version",
            "Predictions; champion, canary and shadow are lines of their own.",
            "rowsps",
            (rows, "v{{model_version}}"),
            span=6,
        ),
        states(
            "Versions by arm",
            "Which version stood in which arm, and when.",
            (arms, "v{{model_version}} {{arm}}"),
            {"1": ("loaded", "green")},
            span=6,
        ),
        lines(
            "Swaps",
            "Versions that were loaded, and that could not be, while the server ran.",
            "short",
            (swaps, "{{result}}"),
            span=6,
        ),
        lines(
            "Age of the served versions",
            "Since they were loaded, and since they were registered.",
            "s",
            (loaded, "v{{model_version}} loaded"),
            (created, "v{{model_version}} registered"),
            span=6,
        ),
    ]


def _drift() -> list[Panel]:
    outputs = f"max by (output, method) (driftline_monitor_prediction_drift_score{{{VERSION}}})"
    limits = f"max by (output) (driftline_monitor_prediction_drift_threshold{{{VERSION}}})"
    bins = f"max by (output, bin) (driftline_monitor_prediction_bin_ratio{{{VERSION},dataset=%s}})"
    return [
        states(
            "Drift by version and scope",
            "dataset is the inputs, prediction the outputs; window by window.",
            (
                f"max by (model_version, scope) (driftline_monitor_drift_detected{{{VERSION}}})",
                "v{{model_version}} {{scope}}",
            ),
            DRIFT_TEXTS,
            span=8,
        ),
        lines(
            "Drift of predictions",
            "Distance between the live outputs and those on the training data, and its limit for this window's size.",
            "none",
            (outputs, "{{output}} ({{method}})"),
            (limits, "threshold of {{output}}"),
            limit_in="^threshold",
            span=8,
        ),
        lines(
            "Drift job",
            "Time since the last success, and 2.5 intervals, where the verdict becomes old news.",
            "s",
            (age_of("driftline_monitor_job_last_success_timestamp_seconds", DRIFT_JOB, "check"), "{{check}}"),
            (f"{STALE_INTERVALS} * max({job_interval(DRIFT_JOB, 'check')})", "limit"),
            span=8,
            limit_in="^limit",
        ),
        gap_map(
            "Distribution of predictions against the reference",
            "Gained (red) and lost (blue) share of rows per bin of the reference; an even, pale picture is no drift. "
            "Needs export_bins in [monitor].",
            (f"{bins % CURRENT} - {bins % REFERENCE}", "{{output}} {{bin}}"),
            full=0.2,
            span=24,
        ),
    ]


def _performance() -> list[Panel]:
    by = "metric, estimated"
    score = f"max by ({by}) (driftline_monitor_performance_score{{{VERSION}}})"
    in_thresholds = (
        f"max by ({by}) (driftline_monitor_performance_score{{{VERSION}}}"
        f" / (driftline_monitor_performance_threshold{{{VERSION}}} != 0))"
    )
    delays = f"max by (until, quantile) (driftline_monitor_label_delay_seconds{{{MODEL}}})"
    expected = f"max(driftline_monitor_labels_expected_delay_seconds{{{MODEL}}})"
    return [
        states(
            "Worse than on its reference",
            "By metric: worse than tolerance and chance explain. Estimated ones need no labels.",
            (f"max by ({by}) (driftline_monitor_performance_breached{{{VERSION}}})", "{{metric}} {{estimated}}"),
            {"0": ("as expected", "green"), "1": ("worse", "red")},
            span=8,
        ),
        lines(
            "Performance",
            "Metrics on labelled rows, in the window that decided; estimated=true is without labels.",
            "none",
            (score, "{{metric}} estimated={{estimated}}"),
            span=8,
        ),
        lines(
            "Performance in its limits",
            "Each metric by its limit: accuracy and the like should stay above 1, errors and losses below.",
            "none",
            (in_thresholds, "{{metric}} estimated={{estimated}}"),
            (f"0 * {expected} + 1", "limit"),
            limit_in="^limit",
            span=8,
        ),
        lines(
            "Labelled share of predictions",
            "Of those that are older than labels are expected to take, and the share below which it is an alert.",
            "percentunit",
            (f"max(driftline_monitor_label_coverage_ratio{{{MODEL}}})", "labelled"),
            (f"max(driftline_monitor_label_coverage_min_ratio{{{MODEL}}})", "limit"),
            limit_in="^limit",
            span=12,
        ),
        lines(
            "How long labels take",
            "From the request until the label became true (event) and until it came (arrival): median and 95 %.",
            "s",
            (delays, "{{until}} {{quantile}}"),
            (expected, "expected"),
            limit_in="^expected",
            span=12,
        ),
    ]
