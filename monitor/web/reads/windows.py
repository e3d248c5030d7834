"""The pictures of columns: what was judged and what it was judged against, on the reference's bins.

Invariants
----------
- A window is summed once per judgement, however many pages show it: the newest few judgements are kept.
- Windows of one judgement end together, so each is the shorter one and what came before it: no profile is read twice.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Row

from driftline.monitor.drift.movement import ColumnPicture, picture_of
from driftline.monitor.growing_windows import growing_windows
from driftline.store.profile.profile import Profile
from driftline.store.profile.reference import Reference
from driftline.store.records import MICROSECONDS, Arm
from driftline.store.references import reference_by_id

_KEPT = 4  # of judgements, and of references: those of a thousand columns take megabytes

K = TypeVar("K")
V = TypeVar("V")
Key = tuple[int, int, int, int]  # model version, reference, arm, end
Place = tuple[str, str]  # side, column name


class Pictures:
    """Draws on the store and remembers what it summed up; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._references: OrderedDict[int, Reference] = OrderedDict()
        self._windows: OrderedDict[Key, dict[int, Profile]] = OrderedDict()

    def of(self, connection: Connection, rows: Sequence[Row[Any]]) -> dict[Place, ColumnPicture]:
        """Return the pictures of columns of one judgement, each in the window that decided.

        Args:
            rows: of ``drift_result``, of one version, arm and job run.

        Raises:
            ReferenceCorrupt, ProfileCorrupt: what is stored is damaged.
        """
        if not rows:
            return {}
        with self._lock:
            reference = self._reference(connection, rows[0].reference_id)
            windows = self._summed(connection, rows[0], reference, {_seconds(row) for row in rows})
            profiled = {(p.column.side, p.column.name): p for p in reference.profiled}
            return {
                (row.side, row.column_name): picture_of(
                    profiled[row.side, row.column_name], reference, windows[_seconds(row)]
                )
                for row in rows
                if (row.side, row.column_name) in profiled
            }

    def _reference(self, connection: Connection, reference_id: int) -> Reference:
        found = self._references.get(reference_id)
        if found is None:
            found = reference_by_id(connection, reference_id)
        _remember(self._references, reference_id, found)
        return found

    def _summed(
        self, connection: Connection, row: Row[Any], reference: Reference, spans: set[int]
    ) -> dict[int, Profile]:
        """Return the windows by their spans in seconds."""
        key = (row.model_version_id, row.reference_id, row.arm, row.window_end)
        known = self._windows.get(key, {})
        if not spans <= known.keys():
            in_force = row.reference_id, reference
            wanted = spans | known.keys()
            known = growing_windows(connection, row.model_version_id, in_force, Arm(row.arm), wanted, row.window_end)
        _remember(self._windows, key, known)
        return known


def _seconds(row: Row[Any]) -> int:
    return int(row.window_end - row.window_start) // MICROSECONDS


def _remember(kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _KEPT:
        kept.popitem(last=False)
