"""The view ``inference_<model>``: a model's prediction tables under the signature's names, with readable times."""

import logging
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from driftline.store.prediction_columns import ColumnType, PredictionColumn

_log = logging.getLogger(__name__)

_FIXED = ("invocation_id", "row_index", "received_at", "received_at_us", "model_version", "arm")
_ARMS = "CASE p.arm WHEN 0 THEN 'champion' WHEN 1 THEN 'shadow' ELSE 'canary' END"

Columns = tuple[PredictionColumn, ...]


def replace_view(
    connection: Connection,
    view: str,
    tables: Sequence[tuple[str, Columns]],
    folded: Callable[[Columns], Columns],
) -> None:
    """Make or replace the view over ``tables`` (name, columns), oldest first.

    A view of somebody else's that stands on ours may forbid the change; then the old view stays and a warning says
    so: loading never waits for an analyst.
    """
    statement = _select(connection, tables, folded)
    quoted = _quote(view)
    verbs = ["CREATE OR REPLACE VIEW"] if connection.dialect.name == "postgresql" else []
    for verb in [*verbs, "CREATE VIEW"]:
        try:
            with connection.begin_nested():
                if verb == "CREATE VIEW":
                    connection.execute(text(f"DROP VIEW IF EXISTS {quoted}"))
                connection.exec_driver_sql(f"{verb} {quoted} AS {statement}")
        except DBAPIError:
            continue
        return
    _log.warning("the view %s keeps its old columns: another object in the database depends on it", view)


def _select(connection: Connection, tables: Sequence[tuple[str, Columns]], folded: Callable[[Columns], Columns]) -> str:
    shown = [(table, _shown(columns, set(folded(columns)))) for table, columns in tables]
    types: dict[str, set[ColumnType | None]] = {}
    for _, names in shown:
        for name, (_, type_) in names.items():
            types.setdefault(name, set()).add(type_)
    selects = []
    for table, names in shown:
        cells = []
        for name, kinds in types.items():
            cell = _cell(connection, *names[name]) if name in names else "NULL"
            mixed = len(kinds) > 1
            if mixed or (cell == "NULL" and connection.dialect.name == "postgresql"):
                cell = f"CAST({cell} AS {'TEXT' if mixed else _postgresql_type(next(iter(kinds)))})"
            cells.append(f"{cell} AS {_quote(name)}")
        at = _time(connection, "p.received_at")
        fixed = f"p.invocation_id, p.row_index, {at} AS received_at, p.received_at AS received_at_us, "
        fixed += f"v.version AS model_version, {_ARMS} AS arm"
        selects.append(
            f"SELECT {', '.join([fixed, *cells])} FROM {_quote(table)} p "  # noqa: S608 - names quoted, no values
            "JOIN model_version v ON v.id = p.model_version_id"
        )
    statement = " UNION ALL ".join(selects)
    # psycopg reads a percent sign as a parameter even where none is bound.
    return statement.replace("%", "%%") if connection.dialect.paramstyle == "pyformat" else statement


def _shown(columns: Columns, folded: set[PredictionColumn]) -> dict[str, tuple[str, ColumnType | None]]:
    """Return readable name -> (column, type); a name that is taken falls back to the column's."""
    names: dict[str, tuple[str, ColumnType | None]] = {}
    taken = set(_FIXED)
    if folded:
        names["inputs"] = ("in_values", None)
        taken.add("inputs")
    for column in columns:
        if column in folded:
            continue
        fits = len(column.name.encode()) <= 63 and "\0" not in column.name and column.name.strip()
        name = column.name if fits and column.name.lower() not in taken else column.column_name
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        names[name] = (column.column_name, column.type)
    return names


def _cell(connection: Connection, column: str, type_: ColumnType | None) -> str:
    cell = f"p.{_quote(column)}"
    return _time(connection, cell) if type_ is ColumnType.DATETIME else cell


def _time(connection: Connection, cell: str) -> str:
    if connection.dialect.name == "postgresql":
        return f"(TIMESTAMPTZ 'epoch' + {cell} * INTERVAL '1 microsecond')"
    return f"strftime('%Y-%m-%d %H:%M:%f', {cell} / 1000000.0, 'unixepoch')"


def _postgresql_type(type_: ColumnType | None) -> str:
    return {
        ColumnType.DOUBLE: "DOUBLE PRECISION",
        ColumnType.FLOAT: "REAL",
        ColumnType.LONG: "BIGINT",
        ColumnType.INTEGER: "INTEGER",
        ColumnType.BOOLEAN: "BOOLEAN",
        ColumnType.DATETIME: "TIMESTAMPTZ",
        ColumnType.BINARY: "BYTEA",
        None: "DOUBLE PRECISION[]",
    }.get(type_, "TEXT")


def _quote(name: str) -> str:
    """Quote an identifier; SQLAlchemy's own doubles percent signs, which ``_select`` does for the whole."""
    return '"' + name.replace('"', '""') + '"'
