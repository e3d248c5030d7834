"""Panels of distributions: latency buckets and the reference's bins over time, and two distributions side by side."""

from grafana_foundation_sdk.builders import barchart, common, heatmap
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heatmap_options
from grafana_foundation_sdk.models import prometheus as prometheus_options

from driftline.dashboards.panels import DATASOURCE, Query, legend, target


def bucket_map(title: str, description: str, unit: str, expression: str, *, span: int = 12) -> heatmap.Panel:
    """Return a heatmap of a histogram's buckets over time; ``expression`` keeps the label ``le``."""
    panel = _map(title, description, span).unit("short").y_axis(heatmap.YAxisConfig().unit(unit))
    asked = target((expression, "{{le}}"), 0).range().format(prometheus_options.PromQueryFormat.HEATMAP)
    return panel.color(_colours("Oranges")).with_target(asked)


def gap_map(title: str, description: str, query: Query, *, full: float, span: int = 12) -> heatmap.Panel:
    """Return one row per series over time: white at 0, red towards ``full``, blue towards ``-full``."""
    panel = _map(title, description, span).unit("percentunit").cell_values(heatmap.CellValues().unit("percentunit"))
    return panel.color(_colours("RdBu").reverse(True).min(-full).max(full)).with_target(target(query, 0).range())


def side_by_side(
    title: str, description: str, label: str, reference: str, current: str, *, span: int = 12
) -> barchart.Panel:
    """Return two distributions of now as bars side by side.

    Args:
        title, description: of the panel.
        label: the one label that both queries keep; its values stand on the x axis.
        reference, current: PromQL of the two.
        span: columns of the 24.
    """
    names = {"Value #A": "reference", "Value #B": "current"}
    arranged = {"excludeByName": {"Time": True}, "renameByName": names, "indexByName": {}}
    panel = (
        barchart.Panel()
        .title(title)
        .description(description)
        .unit("percentunit")
        .datasource(DATASOURCE)
        .min(0)
        .x_field(label)
        .legend(legend())
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI))
        .height(9)
        .span(span)
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(model.DataTransformerConfig(id_val="organize", options=arranged))
    )
    for index, expression in enumerate((reference, current)):
        asked = target((expression, f"{{{{{label}}}}}"), index).instant()
        panel = panel.with_target(asked.format(prometheus_options.PromQueryFormat.TABLE))
    return panel


def _map(title: str, description: str, span: int) -> heatmap.Panel:
    panel = heatmap.Panel().title(title).description(description).datasource(DATASOURCE).calculate(False)
    tooltip = heatmap.HeatmapTooltip().mode(options.TooltipDisplayMode.SINGLE).show_color_scale(True)
    return panel.cell_gap(1).show_legend().tooltip(tooltip).height(9).span(span)


def _colours(scheme: str) -> heatmap.HeatmapColorOptions:
    return heatmap.HeatmapColorOptions().mode(heatmap_options.HeatmapColorMode.SCHEME).scheme(scheme).steps(64)
