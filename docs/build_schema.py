"""Write docs/schema.md from ``store/schema/``, so that the page cannot lag behind the code.

Structure is read from the tables, what a column means from the comment behind it. Run ``python docs/build_schema.py``
after a change of the schema; a test compares.
"""

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Column, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql, sqlite

from driftline.store import schema
from driftline.store.schema import capture, events, models, results, traffic, truth

PAGE = Path(__file__).with_name("schema.md")
MODULES = (models, traffic, truth, events, results, capture)
TABLES = {
    "model_version": "A model version that was served, by its signature.",
    "prediction_table": "The typed tables of predictions that exist.",
    "reference": "Training data of a version, reduced to bins and counts. The newest is in force.",
    "invocation": "A request to `/invocations`, in each arm that took it.",
    "profile": "Rows of a span of time, counted on the reference's bins.",
    "segment_profile": "The same of each segment, by the hour.",
    "profile_backfill": "Profiles that are, or were, computed anew from rows.",
    "coerced_cells": "Cells that were sent as another type than the signature's and were converted.",
    "event": "What happened to versions: alias moved, loaded, failed.",
    "label": "What turned out to be true of a row; the one in force.",
    "pending_label": "Labels whose request has not come yet.",
    "label_reject": "Labels that were refused, as they came.",
    "label_count": "How many labels had which fate, ever.",
    "waiting_event": "Requests and responses of other servers' loggers whose other half has not come yet.",
    "event_count": "How many of those events had which fate, ever.",
    "job_run": "A run of one of the monitor's jobs.",
    "drift_result": "A column's score, threshold and verdict in a run of the drift job.",
    "drift_episode": "Spans of drift: opened by the first verdict, closed when scores have left the threshold.",
    "drift_history": "Scores of past windows, which teach natural variation.",
    "segment_result": "A segment's verdict in an hour.",
    "quality_result": "A finding of the data quality job.",
    "multivariate_result": "Whether all inputs together tell live rows from training rows.",
    "performance_result": "A metric on labelled rows, or estimated without labels.",
    "performance_hour": "What the labelled rows of an hour add up to.",
    "performance_progress": "How far labels are counted.",
    "segment_performance_hour": "The same as `performance_hour`, of each segment.",
    "segment_performance_progress": "How far labels are counted by segment.",
    "segment_performance_result": "The worst metric of a segment.",
    "label_coverage": "How many due predictions have labels, and how late these come.",
    "report": "A report of a version and window.",
    "report_file": "The files of a report.",
    "spool": "A spool that was loaded: one per worker that ever ran.",
    "spool_position": "How far a spool is loaded; the accounts.",
    "spool_gap": "What a spool lost, and why.",
    "dead_letter": "Records that could not become rows, with their bytes.",
    "pruned_day": "What retention took, by day.",
    "forgotten_day": "What was forgotten on request, by day.",
}
_HEAD = """# Schema

The store's tables, alike on SQLite and PostgreSQL; where their types differ both are told, SQLite's first.
`driftline store upgrade` makes them (on SQLite `driftline serve` and `driftline monitor` do). Times are whole
microseconds since 1970 in UTC (record [0003](adr/0003-times-are-integers.md)). An arm is 0 champion, 1 shadow,
2 canary. Read what you like and write nothing: loader and monitor rely on what stands here.

This page is made from `store/schema/` by `python docs/build_schema.py`.

## Predictions

`prediction_<model>_<fingerprint>` is made when a version with that signature is first served, and shared by the
versions that have it; it is never altered. PostgreSQL partitions it and `invocation` by day.

| column | type | |
|---|---|---|
| `invocation_id` | BLOB / UUID | `invocation.id` |
| `row_index` | INTEGER | from 0, in the order of the request |
| `received_at` | BIGINT | of the request |
| `model_version_id` | INTEGER / BIGINT | `model_version.id` |
| `arm` | SMALLINT | |
| `in_<input>`, `out_<output>` | by the signature | one each; `prediction_table.columns` maps names |
| `in_values` | BLOB / DOUBLE PRECISION[] | instead, where there are over 900 numeric inputs |

The view `inference_<model>` unites a model's tables under the signature's own names: the one to read
([examples](architecture.md#reading-the-store)).
"""


def page() -> str:
    """Return the whole page."""
    if set(TABLES) != set(schema.metadata.tables):
        raise ValueError(f"tables {set(schema.metadata.tables) ^ set(TABLES)}: say in TABLES what they hold")
    return "\n".join([_HEAD, *(_module(module) for module in MODULES)])


def _module(module: ModuleType) -> str:
    title = (inspect.getdoc(module) or "").partition("\n")[0].rstrip(".").partition(":")[0]
    said = comments(inspect.getsource(module))
    tables = [table for table in schema.metadata.tables.values() if table.name in said]
    return "\n".join([f"## {title}", "", *(_table(table, said[table.name]) for table in tables)])


def comments(source: str) -> dict[str, dict[str, str]]:
    """Return what stands behind the columns of each table of a module's source."""
    said: dict[str, dict[str, str]] = {}
    for line in source.splitlines():
        if re.match(r"\w+ = Table\(", line):
            said[line.partition(" ")[0]] = {}
        elif found := re.match(r'    Column\("(\w+)".*?(?:  # (.*))?$', line):
            said[next(reversed(said))][found[1]] = found[2] or ""
    return said


def _table(table: Table, said: dict[str, str]) -> str:
    lines = [f"### {table.name}", "", TABLES[table.name], "", "| column | type | null | |", "|---|---|---|---|"]
    lines += [_column(column, said.get(column.name, "")) for column in table.columns]
    unique = [_names(each) for each in table.constraints if isinstance(each, UniqueConstraint)]
    if len(table.primary_key.columns) > 1:
        unique.insert(0, _names(table.primary_key))
    lines += ["", f"Unique: {'; '.join(sorted(unique))}."] if unique else []
    return "\n".join([*lines, ""])


def _column(column: Column[Any], said: str) -> str:
    types = [column.type.compile(dialect=each) for each in (sqlite.dialect(), postgresql.dialect())]
    told = " / ".join(dict.fromkeys(types))
    leads = [f"`{key.target_fullname}`" for key in column.foreign_keys]
    key = ["key"] if column.primary_key and len(column.table.primary_key.columns) == 1 else []
    meaning = "; ".join([*key, *leads, *([said] if said else [])]).replace("``", "`").replace("|", "\\|")
    return f"| `{column.name}` | {told} | {'yes' if column.nullable else ''} | {meaning} |"


def _names(constraint: UniqueConstraint | PrimaryKeyConstraint) -> str:
    return ", ".join(f"`{column.name}`" for column in constraint.columns)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
