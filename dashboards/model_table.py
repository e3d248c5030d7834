"""The table of models: one row per model and version, joined from instant queries that keep exactly these labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import prometheus, table
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as prometheus_options

from driftline.dashboards.panels import DATASOURCE, value_texts

KEYS = {"model_name": "Model", "model_version": "Version", "model_alias": "Alias", "arm": "Arm"}


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        header: what stands above it; empty: the query only brings rows, its value is not shown.
        unit: Grafana's name of the unit.
        expression: PromQL that keeps ``model_name`` and ``model_version``, the first column's the other keys too.
        red_from: value from which the text is red.
        texts: what to show in the place of a value: value -> (text, colour).
    """

    header: str
    unit: str
    expression: str
    red_from: float | None = None
    texts: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def model_table(title: str, description: str, columns: Sequence[Column], leads_to: str) -> table.Panel:
    """Return the table; the name in a row leads to ``leads_to``."""
    letters = [chr(ord("A") + index) for index in range(len(columns))]
    values = {f"Value #{letter}": column.header for letter, column in zip(letters, columns, strict=True)}
    hidden = {"Time": True} | {name: True for name, header in values.items() if not header}
    shown = KEYS | {name: header for name, header in values.items() if header}
    arranged = {
        "excludeByName": hidden,
        "indexByName": {name: place for place, name in enumerate(shown)},
        "renameByName": shown,
    }
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .unit("short")
        .datasource(DATASOURCE)
        .height(9)
        .span(24)
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(model.DataTransformerConfig(id_val="organize", options=arranged))
        .override_by_name("Model", [_property("links", [{"title": "Show the model", "url": leads_to}])])
    )
    for letter, column in zip(letters, columns, strict=True):
        target = prometheus.Dataquery().expr(column.expression).ref_id(letter).instant()
        panel = panel.with_target(target.format(prometheus_options.PromQueryFormat.TABLE))
        if column.header:
            panel = panel.override_by_name(column.header, _look(column))
    return panel


def _look(column: Column) -> list[model.DynamicConfigValue]:
    look = [_property("unit", column.unit)]
    if column.texts:
        look.append(_property("mappings", [value_texts(column.texts)]))
    if column.red_from is not None:
        steps = [model.Threshold(value=None, color="text"), model.Threshold(value=column.red_from, color="red")]
        look.append(_property("thresholds", model.ThresholdsConfig(mode=model.ThresholdsMode.ABSOLUTE, steps=steps)))
    if column.texts or column.red_from is not None:
        look.append(_property("custom.cellOptions", options.TableColorTextCellOptions()))
    return look


def _property(name: str, value: object) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val=name, value=value)
