"""The dashboard ``driftline-model``: one model's traffic, drift, capture and jobs."""

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.models import dashboard as model

from driftline.dashboards.panels import DATASOURCE, Panel, bars, lines, number, states

UID = "driftline-model"
DATASOURCE_UID = "driftline-prometheus"
MODEL = 'model_name="$model_name"'
VERSION = f'{MODEL},model_version=~"$model_version"'
FEATURE = f'{VERSION},feature=~"$feature"'
DRIFT_JOB = f'{MODEL},check="drift"'
VERDICTS = {"0": ("no drift", "green"), "1": ("drift", "red")}


def model_dashboard() -> dashboard.Dashboard:
    """Return the dashboard; panels flow left to right in rows of 24 columns."""
    board = (
        dashboard.Dashboard("Driftline model")
        .uid(UID)
        .description("Traffic, drift, capture and jobs of one model.")
        .tags(["driftline"])
        .readonly()
        .timezone("browser")
        .time("now-24h", "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("driftline")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags(["driftline"])
            .include_vars(True)
            .keep_time(True)
        )
    )
    for variable in _variables():
        board = board.with_variable(variable)
    for annotation in _annotations():
        board = board.annotation(annotation)
    panels = [*_now(), *_drift(), *_traffic(), *_capture()]
    for panel_id, panel in enumerate(panels, start=1):
        board = board.with_panel(panel.id(panel_id))
    return board


def _variables() -> list[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    def chosen(name: str, label: str, query: str) -> dashboard.QueryVariable:
        return (
            dashboard.QueryVariable(name)
            .label(label)
            .query({"query": query, "refId": name})
            .definition(query)
            .datasource(DATASOURCE)
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(model.VariableSort.ALPHABETICAL_ASC)
        )

    shipped = model.VariableOption(selected=True, text="Prometheus", value=DATASOURCE_UID)
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    known_versions = f"label_values(driftline_scorer_model_info{{{MODEL}}}, model_version)"
    known_features = f"label_values(driftline_monitor_feature_drift_score{{{MODEL}}}, feature)"
    return [
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus").current(shipped),
        chosen("model_name", "Model", "label_values(driftline_scorer_model_info, model_name)"),
        chosen("model_version", "Version", known_versions).multi(True).include_all(True).current(everything),
        chosen("feature", "Feature", known_features).multi(True).include_all(True).current(everything),
    ]


def _annotations() -> list[dashboard.AnnotationQuery]:
    loaded = f"max by (model_name, model_version) (driftline_scorer_model_loaded_timestamp_seconds{{{MODEL}}}) * 1000"
    firing = f'ALERTS{{alertname=~"Driftline.*",alertstate="firing",{MODEL}}}'
    return [
        dashboard.AnnotationQuery()
        .name("Version loaded")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("blue")
        .expr(loaded)
        .title_format("v{{model_version}}")
        .use_value_for_time(True)
        .target(prometheus.Dataquery().expr(loaded).ref_id("Loaded")),
        dashboard.AnnotationQuery()
        .name("Alert firing")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("red")
        .expr(firing)
        .title_format("{{alertname}}"),
    ]


def _now() -> list[Panel]:
    return [
        number(
            "Served version",
            "Version and registry alias that the scorer has loaded.",
            "none",
            (
                f"max by (model_version, model_alias) (driftline_scorer_model_info{{{VERSION}}})",
                "v{{model_version}} {{model_alias}}",
            ),
            shows_name=True,
        ),
        number(
            "Drift",
            "Verdict on the newest window, inputs and predictions together.",
            "none",
            (f"max(driftline_monitor_drift_detected{{{VERSION}}})", "verdict"),
            texts=VERDICTS,
            empty="not judged yet",
        ),
        number(
            "Share of features drifted",
            "Of the judged features, how many are above their threshold.",
            "percentunit",
            (f"max(driftline_monitor_drift_share_ratio{{{VERSION}}})", "share"),
        ),
        number(
            "Age of the newest drift result",
            "Since the drift job last succeeded. The alert DriftlineDriftJobStale fires at 2.5 intervals.",
            "s",
            (f"time() - max(driftline_monitor_job_last_success_timestamp_seconds{{{DRIFT_JOB}}} > 0)", "age"),
            empty="never",
        ),
        number(
            "Rows in the newest window",
            "Rows that the newest drift verdict rests on.",
            "short",
            (f'max(driftline_monitor_window_rows{{{MODEL},dataset="current"}})', "rows"),
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


def _drift() -> list[Panel]:
    score = f"driftline_monitor_feature_drift_score{{{FEATURE}}}"
    limit = f"driftline_monitor_feature_drift_threshold{{{FEATURE}}}"
    return [
        states(
            "Drift by feature",
            "Verdict on each feature, window by window.",
            (f"max by (feature) (driftline_monitor_feature_drift_detected{{{FEATURE}}})", "{{feature}}"),
            VERDICTS,
        ),
        bars(
            "Features nearest to or above their threshold",
            "Score as a multiple of the feature's own threshold, newest window; 1 is the limit.",
            "suffix:x",
            (f"sort_desc(topk(10, max by (feature) ({score} / {limit})))", "{{feature}}"),
            red_from=1,
        ),
        lines(
            "Score and threshold",
            "Distance between live data and training data, and its limit for this window's size.",
            "none",
            (f"max by (feature, method) ({score})", "{{feature}} ({{method}})"),
            (f"max by (feature) ({limit})", "{{feature}} threshold"),
            limit_in="threshold$",
        ),
        lines(
            "Share of features drifted over time",
            "Above the limit the data set as a whole counts as drifted.",
            "percentunit",
            (f"max by (model_version) (driftline_monitor_drift_share_ratio{{{VERSION}}})", "v{{model_version}}"),
            (
                f"max by (model_version) (driftline_monitor_drift_share_threshold_ratio{{{VERSION}}})",
                "limit v{{model_version}}",
            ),
            limit_in="^limit",
        ),
        lines(
            "Drifted windows in a row",
            "The alert DriftlineDrift fires at two.",
            "short",
            (
                f"max by (model_version, scope) (driftline_monitor_drift_consecutive_windows{{{VERSION}}})",
                "v{{model_version}} {{scope}}",
            ),
        ),
        lines(
            "Rows in the window",
            "Below the minimum a window gets no verdict.",
            "short",
            (f'max(driftline_monitor_window_rows{{{MODEL},dataset="current"}})', "rows"),
            (f"max(driftline_monitor_window_min_rows{{{MODEL}}})", "minimum"),
            limit_in="^minimum",
        ),
    ]


def _traffic() -> list[Panel]:
    duration = f"driftline_scorer_request_duration_seconds_bucket{{{VERSION}}}"
    count = f"driftline_scorer_request_duration_seconds_count{{{VERSION}}}"
    return [
        lines(
            "Requests by status",
            "Answered requests on all routes.",
            "reqps",
            (f"sum by (code) (rate({count}[$__rate_interval]))", "{{code}}"),
            span=6,
        ),
        lines(
            "Latency",
            "From headers received to answer sent, interpolated from histogram buckets.",
            "s",
            *(
                (f"histogram_quantile({q / 100}, sum by (le) (rate({duration}[$__rate_interval])))", f"p{q}")
                for q in (50, 95, 99)
            ),
            span=6,
        ),
        lines(
            "Rows scored",
            "Predictions, by version.",
            "rowsps",
            (
                f"sum by (model_version) (rate(driftline_scorer_predictions_total{{{VERSION}}}[$__rate_interval]))",
                "v{{model_version}}",
            ),
            span=6,
        ),
        states(
            "Scorers",
            "Whether Prometheus reaches each scorer. The alert DriftlineScorerDown fires after 2 minutes.",
            ('max by (instance) (up{job="driftline-scorer"})', "{{instance}}"),
            {"0": ("down", "red"), "1": ("up", "green")},
            span=6,
        ),
    ]


def _capture() -> list[Panel]:
    return [
        lines(
            "Capture accounts",
            "Every answered invocation is enqueued, then stored, or dropped with a reason.",
            "recps",
            (
                f"sum by (result) (rate(driftline_scorer_tee_records_total{{{MODEL}}}[$__rate_interval]))",
                "{{result}}",
            ),
            span=8,
        ),
        lines(
            "Waiting for the store",
            "Invocations in the ring (memory) and in segments on disk (spool), all scorers.",
            "short",
            ("sum by (stage) (driftline_scorer_tee_pending_records)", "{{stage}}"),
            span=8,
        ),
        lines(
            "Drift job",
            "Time since the last success, and 2.5 intervals, where the alert DriftlineDriftJobStale begins.",
            "s",
            (f"time() - max(driftline_monitor_job_last_success_timestamp_seconds{{{DRIFT_JOB}}} > 0)", "age"),
            (f"2.5 * max(driftline_monitor_job_interval_seconds{{{DRIFT_JOB}}})", "limit"),
            span=8,
            limit_in="^limit",
        ),
    ]
