"""The dashboard ``driftline-fleet``: is anything wrong, and with which model?"""

from grafana_foundation_sdk.builders import dashboard

from driftline.dashboards.board import MODELS, STALE_INTERVALS, board, job_age, job_interval, model_variable
from driftline.dashboards.model_table import Column, model_table
from driftline.dashboards.panels import DRIFT_TEXTS, Panel, lines, number, states

UID = "driftline-fleet"
SERVED = f"driftline_scorer_model_info{{{MODELS}}}"
ROWS = f"sum by (model_name, model_version) (rate(driftline_scorer_predictions_total{{{MODELS}}}[$__rate_interval]))"
DURATION = f'driftline_scorer_request_duration_seconds_bucket{{{MODELS},route="/invocations"}}'
COUNT = f'driftline_scorer_request_duration_seconds_count{{{MODELS},route="/invocations"}}'
FAILED = f'driftline_scorer_request_duration_seconds_count{{{MODELS},route="/invocations",code=~"5.."}}'
DATASET_DRIFT = f'driftline_monitor_drift_detected{{{MODELS},scope="dataset"}}'
ONE_MODEL = "/d/driftline-model?var-model_name=${__data.fields.Model:percentencode}&${datasource:queryparam}"


def fleet_dashboard() -> dashboard.Dashboard:
    """Return the dashboard; from a row of its table one comes to the model's."""
    sections = {"Is anything wrong?": _now(), "Which model?": [_models()], "Since when?": _over_time()}
    return board(
        UID,
        "Driftline fleet",
        "All models on one page: traffic, errors, drift, stale jobs, firing alerts.",
        [model_variable(many=True)],
        sections,
        of=MODELS,
    )


def _now() -> list[Panel]:
    by = "model_name, check"
    stale = f"sum({job_age(MODELS, by)} > bool {STALE_INTERVALS} * {job_interval(MODELS, by)})"
    return [
        number(
            "Models served",
            "Models that at least one scorer can answer for.",
            "short",
            (f"sum(max by (model_name) (driftline_scorer_model_ready{{{MODELS}}}))", "models"),
        ),
        number("Rows scored per second", "All models and versions.", "rowsps", (f"sum({ROWS})", "rows")),
        number(
            "Alerts firing",
            "All of driftline's but the dead man's switch, which always fires. Alertmanager may mute some of them.",
            "short",
            ('count(ALERTS{alertname=~"Driftline.*",alertstate="firing",severity!="none"})', "alerts"),
            red_from=1,
            empty="0",
        ),
        number(
            "Models drifting",
            "Models whose newest window of inputs drifted, in any version.",
            "short",
            (f"sum(max by (model_name) ({DATASET_DRIFT}))", "models"),
            red_from=1,
            empty="not judged yet",
        ),
        number(
            "Stale jobs",
            "Jobs whose last success is more than 2.5 intervals ago: what they tell is old.",
            "short",
            (stale, "jobs"),
            red_from=1,
            empty="no monitor",
        ),
        number(
            "Invocations lost",
            "Answered, but dropped before the store, in the shown time. Drift is biased by what is lost.",
            "short",
            (f"sum(increase(driftline_scorer_tee_dropped_records_total{{{MODELS}}}[$__range]))", "lost"),
            red_from=1,
            empty="0",
        ),
    ]


def _models() -> Panel:
    by = "by (model_name, model_version)"
    served = f"max {by} ({SERVED})"
    age = job_age(f'{MODELS},check="drift"', "model_name")
    in_sync = f"min by (model_name) (driftline_scorer_model_in_sync{{{MODELS}}})"
    columns = [
        Column("", "short", f"max by (model_name, model_version, model_alias, arm) ({SERVED})"),
        Column("Rows/s", "rowsps", ROWS),
        Column(
            "p99",
            "s",
            f"histogram_quantile(0.99, sum by (model_name, model_version, le) (rate({DURATION}[$__rate_interval])))",
        ),
        Column(
            "Errors",
            "percentunit",
            f"(sum {by} (rate({FAILED}[$__rate_interval])) or 0 * sum {by} (rate({COUNT}[$__rate_interval])))"
            f" / sum {by} (rate({COUNT}[$__rate_interval]))",
            red_from=0.001,
        ),
        Column("Drift", "none", f"max {by} ({DATASET_DRIFT})", texts=DRIFT_TEXTS),
        Column("Columns drifted", "percentunit", f"max {by} (driftline_monitor_drift_share_ratio{{{MODELS}}})"),
        Column("Drift job's age", "s", f"{served} * on (model_name) group_left () ({age})"),
        Column(
            "In sync",
            "none",
            f"{served} * on (model_name) group_left () {in_sync}",
            texts={"0": ("no", "red"), "1": ("yes", "green")},
        ),
    ]
    text = (
        "One row per model and served version; canary and shadow have their own. Drift is the newest window's verdict."
    )
    return model_table("Models and versions", text, columns, ONE_MODEL)


def _over_time() -> list[Panel]:
    p99 = f"histogram_quantile(0.99, sum by (model_name, le) (rate({DURATION}[$__rate_interval])))"
    share = f"max by (model_name) (driftline_monitor_drift_share_ratio{{{MODELS}}})"
    return [
        states(
            "Drift by model",
            "Verdict on each model's inputs, window by window.",
            (f"max by (model_name) ({DATASET_DRIFT})", "{{model_name}}"),
            DRIFT_TEXTS,
        ),
        lines("Columns drifted by model", "Share above their thresholds.", "percentunit", (share, "{{model_name}}")),
        lines(
            "Rows scored by model",
            "Predictions; a line that ends is a caller or a scorer that is gone.",
            "rowsps",
            (f"sum by (model_name) ({ROWS})", "{{model_name}}"),
        ),
        lines("Latency p99 by model", "Of /invocations, from histogram buckets.", "s", (p99, "{{model_name}}")),
    ]
