"""What the monitor reads: model versions, profiles of a window, samples of rows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, func, select

from driftline.store import schema
from driftline.store.prediction_columns import ColumnType
from driftline.store.prediction_tables import ARRAY_COLUMN, ModelVersion, model_version_of
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.profile_windows import window_buckets
from driftline.store.sample_index import IdHash
from driftline.store.sampling import narrowing
from driftline.store.stored_rows import cell_names, columns_of, within

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class ProfileBucket:
    """The rows of one span of time, over all writers."""

    start_us: int
    span_seconds: int
    profile: Profile


def model_versions(connection: Connection, name: str | None = None) -> list[ModelVersion]:
    """Return all versions the store has seen, or those of one model, in the order they were first served."""
    t = schema.model_version
    query = select(t).order_by(t.c.id)
    rows = connection.execute(query if name is None else query.where(t.c.name == name))
    return [model_version_of(row) for row in rows]


def window_profile(
    connection: Connection,
    model_version_id: int,
    reference_id: int,
    reference: Reference,
    arm: int | None,
    start_us: int,
    end_us: int,
) -> Profile:
    """Return the sum of the profiles that begin in ``start_us <= t < end_us``, as fine as they are kept.

    It costs the days inside the window and what lies at its edges, however many rows they count.

    Args:
        reference_id, reference: what ``newest_reference`` returned.
        arm: one arm, or None for all.

    Raises:
        ProfileCorrupt: a stored profile is damaged.
    """
    window = reference.empty_profile()
    for bucket in window_buckets(connection, model_version_id, reference_id, arm, start_us, end_us):
        window += bucket.profile(reference)
    return window


def profile_buckets(
    connection: Connection,
    model_version_id: int,
    reference_id: int,
    reference: Reference,
    arm: int | None,
    start_us: int,
    end_us: int,
) -> list[ProfileBucket]:
    """Return the finest profiles that are kept of a window, writers added up, in order of time."""
    buckets: dict[tuple[int, int], Profile] = {}
    for part in window_buckets(connection, model_version_id, reference_id, arm, start_us, end_us, finest=True):
        bucket = buckets.setdefault((part.start_us, part.span), reference.empty_profile())
        bucket += part.profile(reference)
    return [ProfileBucket(start, span, profile) for (start, span), profile in sorted(buckets.items())]


def count_rows(
    connection: Connection, version: ModelVersion, start_us: int | None, end_us: int | None, arm: int | None = None
) -> int:
    """Return how many prediction rows a window holds."""
    query = select(func.count()).select_from(version.table).where(within(version, start_us, end_us, arm))
    return int(connection.execute(query).scalar_one())


def sample_rows(
    connection: Connection,
    version: ModelVersion,
    start_us: int | None,
    end_us: int | None,
    max_rows: int,
    arm: int | None = None,
) -> "pd.DataFrame":
    """Return at most ``max_rows`` rows of a window, always the same ones: those with the smallest invocation hashes.

    The hash is the random end of the invocation's id, so the sample is uniform over invocations. Columns bear the
    signature's names (an output whose name is taken its ``column_name``); times are UTC without a zone, as MLflow's.
    """
    names = cell_names(version)
    t = version.table.c
    rows = _drawn(connection, version, [t[name] for name in names], (start_us, end_us), max_rows, arm)
    cells = list(zip(*rows, strict=True)) or [()] * len(names)
    return _frame(version, columns_of(version, names, cells) if rows else {})


def sample_cells(
    connection: Connection,
    version: ModelVersion,
    window: tuple[int, int],
    max_rows: int,
    arm: int,
    columns: Collection[str],
) -> tuple["pd.DataFrame", list[str | None]]:
    """Return some columns of the rows that ``sample_rows`` draws, by ``column_name``, and the labels of these rows.

    Only what is asked for is read, so a table of thousands of columns costs what those take that are looked at.

    Args:
        columns: ``column_name`` of each wanted column.

    Returns:
        The rows, and a label per row: JSON, None where there is none yet.
    """
    import pandas as pd

    t, folded = version.table.c, {c.column_name for c in version.array_columns}
    names = [n for n in cell_names(version) if n in columns or (n == ARRAY_COLUMN and not folded.isdisjoint(columns))]
    truth = schema.label.c
    label = (
        select(truth.value)
        .where(truth.invocation_id == t.invocation_id, truth.row_index == t.row_index)
        .scalar_subquery()
    )
    rows = _drawn(connection, version, [*(t[name] for name in names), label], window, max_rows, arm)
    *cells, labels = list(zip(*rows, strict=True)) or [()] * (len(names) + 1)
    found = columns_of(version, names, cells) if rows else {}
    return pd.DataFrame({name: found.get(name, []) for name in columns}), list(labels)


def _drawn(
    connection: Connection,
    version: ModelVersion,
    cells: Sequence[ColumnElement[Any]],
    window: tuple[int | None, int | None],
    max_rows: int,
    arm: int | None,
) -> list[Any]:
    """Return these cells of the rows with the smallest hashes, in their order."""
    rows: list[Any] = []
    for near in narrowing(connection, version, window, arm, max_rows):
        rows = _smallest(connection, version, cells, near, max_rows)
        if len(rows) == max_rows:
            break
    return rows


def _smallest(
    connection: Connection,
    version: ModelVersion,
    cells: Sequence[ColumnElement[Any]],
    condition: ColumnElement[bool],
    max_rows: int,
) -> list[Any]:
    t = version.table.c
    query = select(*cells).where(condition).order_by(IdHash(), t.invocation_id, t.row_index)
    return list(connection.execute(query.limit(max_rows)).all())


def _frame(version: ModelVersion, columns: dict[str, Any]) -> "pd.DataFrame":
    import pandas as pd

    frame: dict[str, Any] = {}
    for column in version.columns:
        name = column.name if column.name not in frame else column.column_name
        cells = columns.get(column.column_name, [])
        frame[name] = pd.to_datetime(pd.Series(cells), unit="us") if column.type is ColumnType.DATETIME else cells
    return pd.DataFrame(frame)


def newest_drift(connection: Connection, model_version_id: int) -> list[Any]:
    """Return the rows of ``drift_result`` that were computed last for a version, one per arm and column."""
    t = schema.drift_result
    newest = select(func.max(t.c.computed_at)).where(t.c.model_version_id == model_version_id).scalar_subquery()
    query = select(t).where((t.c.model_version_id == model_version_id) & (t.c.computed_at == newest)).order_by(t.c.id)
    return list(connection.execute(query).all())
