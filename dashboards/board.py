"""What all boards share: the frame with its links, the variables, the annotations, and the rows that panels stand in.

Addresses of driftline's monitor in links are ``http://localhost:9108``, as in the alerts (decision record 0007):
``driftline assets export`` puts the user's in their place.
"""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.models import dashboard as model

from driftline.dashboards.panels import DATASOURCE, Panel

DATASOURCE_UID = "driftline-prometheus"
MONITOR = "http://localhost:9108"
MODEL = 'model_name="$model_name"'
MODELS = 'model_name=~"$model_name"'
VERSION = f'{MODEL},model_version=~"$model_version"'
SCORER = 'job="driftline-scorer",instance=~"$instance"'
STALE_INTERVALS = 2.5  # as the alerts have it
Variable = dashboard.DatasourceVariable | dashboard.QueryVariable


def board(
    uid: str,
    title: str,
    description: str,
    variables: Sequence[Variable],
    sections: Mapping[str, Sequence[Panel]],
    *,
    of: str,
) -> dashboard.Dashboard:
    """Return a dashboard.

    Args:
        uid: fixed, because alerts link to it; the file's name too.
        title, description: of the dashboard.
        variables: in the order of the selectors above the panels; the data source's comes first by itself.
        sections: the question that a row of panels answers -> its panels, which flow left to right in 24 columns.
        of: the selector of models whose swaps and alerts are marked in all panels; a board of one model (``MODEL``)
            leads to that model's report.
    """
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["driftline"])
        .readonly()
        .timezone("browser")
        .time("now-24h", "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
    )
    for link in _links(report=of == MODEL):
        made = made.link(link)
    for variable in (_datasource(), *variables):
        made = made.with_variable(variable)
    for annotation in _annotations(of):
        made = made.annotation(annotation)
    panel_id = 0
    for question, panels in sections.items():
        panel_id += 1
        made = made.with_row(dashboard.Row(question).id(panel_id))
        for panel in panels:
            panel_id += 1
            made = made.with_panel(panel.id(panel_id))
    return made


def chosen(name: str, label: str, query: str, *, many: bool = False) -> dashboard.QueryVariable:
    """Return a variable whose values a query lists; ``many`` may be chosen at once, and are all at first."""
    variable = (
        dashboard.QueryVariable(name)
        .label(label)
        .query({"query": query, "refId": name})
        .definition(query)
        .datasource(DATASOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )
    if not many:
        return variable
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    return variable.multi(True).include_all(True).current(everything)


def model_variable(*, many: bool = False) -> dashboard.QueryVariable:
    """Return the variable of the model's name."""
    return chosen("model_name", "Model", "label_values(driftline_scorer_model_info, model_name)", many=many)


def version_variables() -> list[dashboard.QueryVariable]:
    """Return the variables of arm and version; the choice of arms narrows the versions, which all queries ask for."""
    arms = f"label_values(driftline_scorer_model_info{{{MODEL}}}, arm)"
    versions = f'label_values(driftline_scorer_model_info{{{MODEL},arm=~"$arm"}}, model_version)'
    return [chosen("arm", "Arm", arms, many=True), chosen("model_version", "Version", versions, many=True)]


def age_of(metric: str, selector: str, by: str) -> str:
    """Return PromQL for the seconds since a timestamp gauge; 0 in the gauge means never and is left out."""
    return f"time() - max by ({by}) ({metric}{_braced(selector)} > 0)"


def job_age(selector: str, by: str) -> str:
    """Return PromQL for the seconds since a job's last success; one that never succeeded counts from its start."""
    return (
        f"time() - max by ({by}) (driftline_monitor_job_last_success_timestamp_seconds{_braced(selector)} > 0"
        f" or driftline_monitor_job_registered_timestamp_seconds{_braced(selector)})"
    )


def job_interval(selector: str, by: str) -> str:
    """Return PromQL for a job's interval in seconds; one under a minute counts as one, as in the alerts."""
    return f"clamp_min(max by ({by}) (driftline_monitor_job_interval_seconds{_braced(selector)}), 60)"


def _braced(selector: str) -> str:
    return f"{{{selector}}}" if selector else ""


def _datasource() -> dashboard.DatasourceVariable:
    shipped = model.VariableOption(selected=True, text="Prometheus", value=DATASOURCE_UID)
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus").current(shipped)


def _links(*, report: bool) -> list[dashboard.DashboardLink]:
    boards = (
        dashboard.DashboardLink("driftline")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags(["driftline"])
        .include_vars(True)
        .keep_time(True)
    )
    status = dashboard.DashboardLink("Status page").type(model.DashboardLinkType.LINK).icon("external link")
    links = [boards, status.url(f"{MONITOR}/").tooltip("The monitor's own pages").target_blank(True)]
    if report:
        newest = dashboard.DashboardLink("Newest report").type(model.DashboardLinkType.LINK).icon("doc")
        address = f"{MONITOR}/r/${{model_name:percentencode}}/report/latest"
        links.append(newest.url(address).tooltip("The model's newest report in MLflow").target_blank(True))
    return links


def _annotations(of: str) -> list[dashboard.AnnotationQuery]:
    loaded = f"max by (model_name, model_version) (driftline_scorer_model_loaded_timestamp_seconds{{{of}}}) * 1000"
    firing = f'ALERTS{{alertname=~"Driftline.*",alertstate="firing",{of}}}'
    return [
        dashboard.AnnotationQuery()
        .name("Version loaded")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("blue")
        .expr(loaded)
        .title_format("{{model_name}} v{{model_version}}")
        .use_value_for_time(True)
        .target(prometheus.Dataquery().expr(loaded).ref_id("Loaded")),
        dashboard.AnnotationQuery()
        .name("Alert firing")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("red")
        .expr(firing)
        .title_format("{{alertname}}")
        .target(prometheus.Dataquery().expr(firing).ref_id("Firing")),
    ]
