"""The dashboard ``driftline-drift``: which columns left the training data, how far, since when, on how many rows?"""

from grafana_foundation_sdk.builders import dashboard

from driftline.dashboards.board import MODEL, VERSION, board, chosen, model_variable, version_variables
from driftline.dashboards.distribution_panels import gap_map, side_by_side
from driftline.dashboards.panels import DRIFT_TEXTS, Panel, bars, lines, number, states

UID = "driftline-drift"
FEATURE = f'{VERSION},feature="$feature"'
ONE_FEATURE = (
    f"/d/{UID}?${{__url_time_range}}&${{datasource:queryparam}}&${{model_name:queryparam}}&${{model_version:queryparam}}"
    "&var-feature=${__field.labels.feature:percentencode}"
)


def drift_dashboard() -> dashboard.Dashboard:
    """Return the dashboard; a click on a bar of the farthest columns shows that column below."""
    features = chosen("feature", "Column", f"label_values(driftline_monitor_feature_drift_score{{{MODEL}}}, feature)")
    sections = {
        "Does it drift, and on how much data?": _verdict(),
        "Which columns?": _columns(),
        "How did this column move?": _column(),
        "Do the inputs drift together, and are the data sound?": _together(),
        "In which segments?": _segments(),
        "How much weight has the verdict?": _window(),
    }
    return board(
        UID,
        "Driftline drift",
        "One model's drift: columns, scores against thresholds, distributions over the reference's bins.",
        [model_variable(), *version_variables(), features],
        sections,
        of=MODEL,
    )


def _verdict() -> list[Panel]:
    def drifted(scope: str) -> str:
        return f'max(driftline_monitor_drift_detected{{{VERSION},scope="{scope}"}})'

    return [
        number(
            "Inputs",
            "Verdict on the newest window of inputs.",
            "none",
            (drifted("dataset"), "inputs"),
            texts=DRIFT_TEXTS,
            empty="not judged yet",
        ),
        number(
            "Predictions",
            "Verdict on the newest window of outputs.",
            "none",
            (drifted("prediction"), "predictions"),
            texts=DRIFT_TEXTS,
            empty="not judged yet",
        ),
        number(
            "Columns drifted",
            "Of the judged input columns, how many are above their thresholds.",
            "short",
            (f'max(driftline_monitor_features{{{MODEL},state="drifted"}})', "columns"),
        ),
        number(
            "Drifting for",
            "Since the drift that goes on was first found; the alert wants two windows, as one alone may be chance.",
            "s",
            (f"time() - min(driftline_monitor_drift_since_timestamp_seconds{{{VERSION}}} > 0)", "drifting"),
            empty="no drift",
        ),
        number(
            "Rows in the window",
            "Rows that the newest verdict rests on.",
            "short",
            (f'max(driftline_monitor_window_rows{{{MODEL},dataset="current"}})', "rows"),
        ),
        number(
            "Age of the window's end",
            "Since the newest row that was judged.",
            "s",
            (f"time() - max(driftline_monitor_window_end_timestamp_seconds{{{MODEL}}} > 0)", "age"),
            empty="not judged yet",
        ),
    ]


def _columns() -> list[Panel]:
    def ratio(at: str = "") -> str:
        score = f"max by (feature, model_version) (driftline_monitor_feature_drift_score{{{VERSION}}}{at})"
        limit = f"max by (feature, model_version) (driftline_monitor_feature_drift_threshold{{{VERSION}}}{at})"
        return f"max by (feature) ({score} / {limit})"

    return [
        bars(
            "Columns nearest to or above their threshold",
            "Score as a multiple of the column's own threshold, newest window; 1 is the limit. A click shows one.",
            "suffix:x",
            (f"sort_desc(topk(10, {ratio()}))", "{{feature}}"),
            red_from=1,
            leads_to=ONE_FEATURE,
            span=8,
        ),
        states(
            "Drift by column",
            "Verdict on each column, window by window; the 20 that are farthest at the end of the shown time.",
            (
                f"max by (feature) (driftline_monitor_feature_drift_detected{{{VERSION}}})"
                f" and on (feature) topk(20, {ratio(' @ end()')})",
                "{{feature}}",
            ),
            DRIFT_TEXTS,
            span=8,
        ),
        lines(
            "Share of columns drifted",
            "Above the limit the data set as a whole counts as drifted.",
            "percentunit",
            (f"max by (model_version) (driftline_monitor_drift_share_ratio{{{VERSION}}})", "v{{model_version}}"),
            (
                f"max by (model_version) (driftline_monitor_drift_share_threshold_ratio{{{VERSION}}})",
                "limit v{{model_version}}",
            ),
            limit_in="^limit",
            span=8,
        ),
    ]


def _column() -> list[Panel]:
    score = f"driftline_monitor_feature_drift_score{{{FEATURE}}}"
    limit = f"driftline_monitor_feature_drift_threshold{{{FEATURE}}}"
    missing = f"max by (dataset) (driftline_monitor_feature_missing_ratio{{{FEATURE}}})"
    unexpected = f"max by (kind) (driftline_monitor_feature_unexpected_ratio{{{FEATURE}}})"
    bins = f"driftline_monitor_feature_bin_ratio{{{FEATURE},dataset=%s}}"
    current, reference = (f"max by (bin) ({bins % name})" for name in ('"current"', '"reference"'))
    return [
        gap_map(
            "$feature: share of rows per bin against the reference",
            "Gained (red) and lost (blue) share of rows per bin; an even, pale picture is no drift. Numeric bins are "
            "the reference's deciles. Needs export_bins in [monitor].",
            (f"{current} - {reference}", "{{bin}}"),
            full=0.2,
        ),
        side_by_side(
            "$feature: training data and live data, newest window",
            "Share of rows per bin. Needs export_bins in [monitor].",
            "bin",
            reference,
            current,
        ),
        lines(
            "Score and threshold of $feature",
            "Distance between live data and training data, and its limit for this window's size.",
            "none",
            (f"max by (model_version, method) ({score})", "v{{model_version}} ({{method}})"),
            (f"max by (model_version) ({limit})", "threshold v{{model_version}}"),
            limit_in="^threshold",
            span=8,
        ),
        lines(
            "Missing values of $feature",
            "Share in the window (current) and in the training data (reference).",
            "percentunit",
            (missing, "{{dataset}}"),
            limit_in="^reference",
            span=8,
        ),
        lines(
            "Unexpected values of $feature",
            "Share out of the training data's range, or of categories it does not have.",
            "percentunit",
            (unexpected, "{{kind}}"),
            span=8,
        ),
    ]


def _window() -> list[Panel]:
    return [
        lines(
            "Rows in the window over time",
            "Below the minimum a window gets no verdict.",
            "short",
            (f'max(driftline_monitor_window_rows{{{MODEL},dataset="current"}})', "rows"),
            (f"max(driftline_monitor_window_min_rows{{{MODEL}}})", "minimum"),
            limit_in="^minimum",
            span=6,
        ),
        lines(
            "Drifted windows in a row",
            "The alert on drift wants two, so that one odd window wakes nobody.",
            "short",
            (
                f"max by (model_version, scope) (driftline_monitor_drift_consecutive_windows{{{VERSION}}})",
                "v{{model_version}} {{scope}}",
            ),
            span=6,
        ),
        lines(
            "Window that decided on $feature",
            "Of five spans the most telling one decides: its rows, against all rows of the widest.",
            "short",
            (f"max(driftline_monitor_feature_window_rows{{{FEATURE}}})", "rows"),
            (f'max(driftline_monitor_window_rows{{{MODEL},dataset="current"}})', "widest"),
            span=6,
        ),
        lines(
            "Columns by state",
            "dropped: over max_features, judged and stored but without series here.",
            "short",
            (f"max by (state) (driftline_monitor_features{{{MODEL}}})", "{{state}}"),
            span=6,
        ),
    ]


def _segments() -> list[Panel]:
    def by_segment(name: str, at: str = "") -> str:
        return f"max by (segment_column, segment) (driftline_monitor_segment_{name}{{{VERSION}}}{at})"

    farthest = f"topk(20, {by_segment('drift_score_ratio', ' @ end()')})"
    named = "{{segment_column}}={{segment}}"
    return [
        bars(
            "Segments nearest to or above their threshold",
            "Score of the column that moved most over its threshold; each against the same segment of training.",
            "suffix:x",
            (f"sort_desc(topk(10, {by_segment('drift_score_ratio')}))", named),
            red_from=1,
            span=8,
        ),
        states(
            "Drift by segment",
            "Verdict on each segment, hour by hour; the 20 that are farthest at the end of the shown time. Absent: too "
            "few rows. Needs columns in [segments].",
            (f"{by_segment('drift_detected')} and on (segment_column, segment) {farthest}", named),
            DRIFT_TEXTS,
            span=8,
        ),
        lines(
            "Rows by segment",
            "In the window that decided; the 10 largest.",
            "short",
            (f"topk(10, {by_segment('window_rows')})", named),
            span=8,
        ),
    ]


def _together() -> list[Panel]:
    score = f"max by (model_version) (driftline_monitor_multivariate_drift_score{{{VERSION}}})"
    return [
        lines(
            "Live and training rows told apart",
            "AUC of a classifier that sees all inputs together: 0.5 is chance; well above it with no drifted column "
            "means that the relation between columns changed. Judged every hour.",
            "none",
            (score, "v{{model_version}}"),
            span=8,
        ),
        lines(
            "Findings on data quality",
            "Columns in breach by kind; the status page names them. Judged every hour.",
            "short",
            (f"max by (kind) (driftline_monitor_quality_breaches{{{VERSION}}})", "{{kind}}"),
            span=8,
        ),
        lines(
            "Rows an hour against the usual",
            "In the last whole hour, and in the same hour of past weeks.",
            "short",
            (f"max by (dataset) (driftline_monitor_hour_rows{{{VERSION}}})", "{{dataset}}"),
            limit_in="^usual",
            span=8,
        ),
    ]
