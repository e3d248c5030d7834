"""Panels as all dashboards of driftline draw them: each has a unit, a description and a readable legend.

The SDK's own panels hide the legend; these show it.
"""

from collections.abc import Mapping

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
Query = tuple[str, str]  # PromQL, legend
Panel = (
    timeseries.Panel | stat.Panel | statetimeline.Panel | bargauge.Panel | heatmap.Panel | barchart.Panel | table.Panel
)
UP_OR_DOWN = {"0": ("down", "red"), "1": ("up", "green")}
DRIFT_TEXTS = {"0": ("no drift", "green"), "1": ("drift", "red")}


def lines(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    span: int = 12,
    limit_in: str | None = None,
    exemplars: bool = False,
) -> timeseries.Panel:
    """Return a time series from 0 upwards.

    Args:
        title, description, unit: of the panel.
        queries: PromQL and legend of each.
        span: columns of the 24.
        limit_in: series whose legend this finds are dashed red lines.
        exemplars: show the exemplars of the first query as dots.
    """
    panel = timeseries.Panel().title(title).description(description).unit(unit).datasource(DATASOURCE)
    panel = panel.legend(legend()).min(0).fill_opacity(8).line_width(1).show_points(options.VisibilityMode.AUTO)
    panel = panel.tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI)).height(8).span(span)
    if limit_in:
        panel = panel.override_by_regexp(
            f"/{limit_in}/",
            [
                model.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]}),
                model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": "red"}),
                model.DynamicConfigValue(id_val="custom.fillOpacity", value=0),
            ],
        )
    for index, query in enumerate(queries):
        asked = target(query, index).range()
        panel = panel.with_target(asked.exemplar(True) if exemplars and not index else asked)
    return panel


def number(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    red_from: float | None = None,
    texts: Mapping[str, tuple[str, str]] | None = None,
    empty: str = "no data",
    shows_name: bool = False,
) -> stat.Panel:
    """Return one big number of now.

    Args:
        title, description, unit: of the panel.
        query: an instant query and its legend.
        red_from: value from which the number is red; below it is green. None: no judgement.
        texts: what to show in the place of a value: value -> (text, colour).
        empty: what to show when the query finds nothing.
        shows_name: show the legend instead of the value.
    """
    steps = [model.Threshold(value=None, color="green" if red_from is not None else "text")]
    if red_from is not None:
        steps.append(model.Threshold(value=red_from, color="red"))
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(DATASOURCE)
        .thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
        .color_mode(options.BigValueColorMode.VALUE)
        .graph_mode(options.BigValueGraphMode.NONE)
        .text_mode(options.BigValueTextMode.NAME if shows_name else options.BigValueTextMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value(empty)
        .height(4)
        .span(4)
    )
    if texts:
        panel = panel.mappings([value_texts(texts)])
    return panel.with_target(target(query, 0).instant())


def states(
    title: str, description: str, query: Query, texts: Mapping[str, tuple[str, str]], *, span: int = 12
) -> statetimeline.Panel:
    """Return one coloured band per series over time; ``texts`` names the values: value -> (text, colour)."""
    panel = statetimeline.Panel().title(title).description(description).unit("short").datasource(DATASOURCE)
    panel = panel.legend(legend()).mappings([value_texts(texts)]).show_value(options.VisibilityMode.NEVER)
    return panel.merge_values(True).height(8).span(span).with_target(target(query, 0))


def bars(
    title: str, description: str, unit: str, query: Query, *, red_from: float, leads_to: str = "", span: int = 12
) -> bargauge.Panel:
    """Return one horizontal bar per series of now, red from ``red_from``; a click on it leads to an address."""
    steps = [model.Threshold(value=None, color="green"), model.Threshold(value=red_from, color="red")]
    panel = bargauge.Panel().title(title).description(description).unit(unit).datasource(DATASOURCE)
    panel = panel.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
    panel = panel.orientation(options.VizOrientation.HORIZONTAL).display_mode(options.BarGaugeDisplayMode.GRADIENT)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).min(0).height(8).span(span)
    if leads_to:
        panel = panel.data_links([dashboard.DashboardLink("Show").url(leads_to)])
    return panel.with_target(target(query, 0).instant())


def value_texts(texts: Mapping[str, tuple[str, str]]) -> model.ValueMap:
    """Return the mapping that shows texts in the place of values: value -> (text, colour)."""
    results = {
        value: model.ValueMappingResult(text=text, color=color, index=i)
        for i, (value, (text, color)) in enumerate(texts.items())
    }
    return model.ValueMap(options=results)


def legend() -> common.VizLegendOptions:
    """Return a legend below the panel, as a list."""
    shown = common.VizLegendOptions().display_mode(options.LegendDisplayMode.LIST)
    return shown.placement(options.LegendPlacement.BOTTOM).show_legend(True).calcs([])


def target(query: Query, index: int) -> prometheus.Dataquery:
    """Return the query as a panel's ``index``-th."""
    expression, legend = query
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + index))
