"""What the monitor reads: model versions, profiles of a window, samples of rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, func, select

from driftline.store import schema
from driftline.store.prediction_columns import ColumnType
from driftline.store.prediction_tables import ModelVersion, model_version_of
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
    rows: list[Any] = []
    for near in narrowing(connection, version, (start_us, end_us), arm, max_rows):
        rows = _smallest(connection, version, names, near, max_rows)
        if len(rows) == max_rows:
            break
    cells = list(zip(*rows, strict=True)) or [()] * len(names)
    return _frame(version, columns_of(version, names, cells) if rows else {})


def _smallest(
    connection: Connection, version: ModelVersion, names: list[str], condition: ColumnElement[bool], max_rows: int
) -> list[Any]:
    t = version.table.c
    query = select(*(t[name] for name in names)).where(condition)
    return list(connection.execute(query.order_by(IdHash(), t.invocation_id, t.row_index).limit(max_rows)).all())


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
