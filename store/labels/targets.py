"""Which rows the labels of a batch are about, or why they are about none.

A challenger's record has the id of the request that was answered, so a label is about every arm that scored it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, select

from driftline.store import schema
from driftline.store.errors import ConfigurationError
from driftline.store.labels import staging
from driftline.store.labels.label_types import LabelTypes
from driftline.store.labels.record import Fate, Label
from driftline.store.labels.settings import LabelSettings
from driftline.store.labels.staging import KeyedRow, Request
from driftline.store.near_names import meant
from driftline.store.prediction_columns import PredictionColumn
from driftline.store.prediction_tables import ModelVersion, model_version_of


class Target(NamedTuple):
    """A row that a label is about."""

    invocation_id: bytes
    row_index: int


class Found(NamedTuple):
    """What a label is about: rows, or none and the fate that comes of it; ``value`` as the model's output has it."""

    targets: list[Target]
    fate: Fate | None
    model_name: str
    value: str


class Targets:
    """Finds rows for one load; model versions are read once.

    Args:
        connection: to read the model versions with.
        model: its name; empty: any.
        key_column: as the signature names it; empty: labels have request ids.

    Raises:
        ConfigurationError: there is no such model, or none of its tables has such a key column.
    """

    def __init__(self, connection: Connection, settings: LabelSettings, model: str = "", key_column: str = "") -> None:
        self._settings = settings
        self._model = model
        t = schema.model_version
        query = select(t).where(t.c.name == model) if model else select(t)
        self._versions = {row.id: model_version_of(row) for row in connection.execute(query)}
        if model and not self._versions:
            raise ConfigurationError(
                f"the store knows no model {model!r}: `driftline store status` lists those it does"
            )
        self._types = LabelTypes(self._versions.values())
        self._keyed = list(_keyed_tables(self._versions.values(), key_column)) if key_column else []
        if key_column and not self._keyed:
            raise ConfigurationError(
                f"no model{f' {model}' if model else ''} has a text or integer input {key_column!r} in a column of its "
                f"own, to be the key column: {meant(key_column, key_columns(self._versions.values()))}"
            )

    def find(self, connection: Connection, labels: Mapping[int, Label]) -> dict[int, Found]:
        """Return what each label is about; the connection is in the transaction that will write."""
        ids = list(self._versions) if self._model else None
        by_request = {n: label.key for n, label in labels.items() if not label.by_key}
        requests: dict[int, list[Request]] = {}
        for request in staging.requests_by_id(connection, by_request, ids):
            requests.setdefault(request.n, []).append(request)
        rest = {n: key for n, key in by_request.items() if n not in requests}
        for request in staging.requests_by_client_id(connection, rest, ids):
            requests.setdefault(request.n, []).append(request)
        rows: dict[int, list[KeyedRow]] = {}
        by_key = {n: (label.key, label.event_at_us) for n, label in labels.items() if label.by_key}
        for version, column, version_ids in self._keyed if by_key else ():
            repeated = self._settings.repeated_keys
            for row in staging.rows_by_key(connection, version, column, version_ids, by_key, repeated):
                rows.setdefault(row.n, []).append(row)
        return {
            n: self._of_rows(connection, label, rows.get(n, []))
            if label.by_key
            else self._of_requests(connection, label, requests.get(n, []))
            for n, label in labels.items()
        }

    def _of_requests(self, connection: Connection, label: Label, requests: list[Request]) -> Found:
        if not requests:
            return self._none(Fate.PENDING, label)
        first = min(requests, key=lambda request: request.arm)
        if any(request.invocation_id != first.invocation_id for request in requests):
            return self._none(Fate.AMBIGUOUS, label, first.version_id)
        if label.row is None and first.row_count > 1:
            return self._none(Fate.ROW_MISSING, label, first.version_id)
        row = label.row or 0
        if row >= first.row_count:
            return self._none(Fate.NO_SUCH_ROW, label, first.version_id)
        return self._fitted(connection, label, first.version_id, [Target(first.invocation_id, row)])

    def _of_rows(self, connection: Connection, label: Label, rows: list[KeyedRow]) -> Found:
        if not rows:
            return self._none(Fate.PENDING, label)
        newest = max(rows, key=lambda row: row.received_at_us)
        targets = sorted({Target(row.invocation_id, row.row_index) for row in rows})
        repeated = self._settings.repeated_keys
        if (repeated == "reject" and len(targets) > 1) or len(rows) > staging.MOST_ROWS:
            return self._none(Fate.AMBIGUOUS, label, newest.version_id)
        if repeated == "newest":
            targets = [Target(newest.invocation_id, newest.row_index)]
        return self._fitted(connection, label, newest.version_id, targets)

    def _fitted(self, connection: Connection, label: Label, version_id: int, targets: list[Target]) -> Found:
        checked = self._settings.check_types
        value = self._types.fit(connection, label.value, version_id) if checked else label.value
        if value is None:
            return self._none(Fate.WRONG_TYPE, label, version_id)
        return Found(targets, None, self._name(version_id), value)

    def _none(self, fate: Fate, label: Label, version_id: int | None = None) -> Found:
        return Found([], fate, self._name(version_id), label.value)

    def _name(self, version_id: int | None) -> str:
        version = self._versions.get(version_id) if version_id is not None else None
        return self._model if version is None else version.name


def key_columns(versions: Iterable[ModelVersion]) -> list[str]:
    """Return the names of the inputs that could be a key column of any of these versions."""
    return [
        column.name
        for version in versions
        for column in version.columns
        if _may_be_key(column) and column not in version.array_columns
    ]


def _may_be_key(column: PredictionColumn) -> bool:
    return column.side == "input" and column.type in staging.KEY_TYPES


def _keyed_tables(
    versions: Iterable[ModelVersion], key_column: str
) -> Iterable[tuple[ModelVersion, PredictionColumn, list[int]]]:
    """Yield, once for each prediction table that has the column, a version, the column, and the versions it holds."""
    found: dict[str, tuple[ModelVersion, PredictionColumn, list[int]]] = {}
    for version in versions:
        folded = set(version.array_columns)
        for column in version.columns:
            if column.name == key_column and _may_be_key(column):
                if column not in folded:
                    found.setdefault(version.table.name, (version, column, []))[2].append(version.id)
                break
    return found.values()
