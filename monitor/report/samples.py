"""The bounded samples that Evidently compares: the window's rows with the smallest id hashes, and training rows.

Memory is bounded whatever the traffic and however wide the rows: by rows, by columns, and by cells.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from driftline.monitor.report.arm_findings import ArmFindings
from driftline.monitor.report.evidently_report import is_comparable
from driftline.monitor.settings import ReportSettings
from driftline.monitor.watch import WatchedVersion
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.reads import sample_cells

if TYPE_CHECKING:
    import pandas as pd

MOST_CELLS = 2_500_000  # a side: 50,000 rows of 50 columns, which the memory of a report is measured with
CELLS_OF_A_TEXT = 2  # it takes about as much memory as two numbers, in frames and in Evidently
SEED = 0
DRAWN = "the rows with the smallest hashes of their invocation ids"


@dataclass(frozen=True)
class WindowSample:
    """Rows of one arm in a window, by column name, and their labels.

    Attributes:
        left_out: columns that were not read, by the name of the signature, and why.
    """

    rows: "pd.DataFrame"
    labels: Sequence[str | None]
    columns: Sequence[PredictionColumn]
    left_out: dict[str, str] = field(default_factory=dict)


def draw_window(
    connection: Connection,
    version: WatchedVersion,
    found: ArmFindings,
    window: tuple[int, int],
    settings: ReportSettings,
) -> WindowSample:
    """Return the sample of an arm's window: of the columns that drifted most, outputs in any case."""
    chosen, left_out = choose(version.stored.columns, [d.column_name for d in found.worst], settings.evidently_columns)
    limit = most_rows(chosen, [c.column_name for c in version.stored.array_columns], settings.sample_rows)
    names = [c.column_name for c in chosen]
    rows, labels = sample_cells(connection, version.stored, window, limit, found.arm, names)
    return WindowSample(rows, labels, chosen, left_out)


def most_rows(chosen: Sequence[PredictionColumn], folded: Collection[str], sample_rows: int) -> int:
    """Return how many rows of some columns may be drawn, at least one and at most ``sample_rows``.

    Args:
        folded: names of columns that lie in one array: reading one of them reads them all.
    """
    width = sum(CELLS_OF_A_TEXT if c.type is ColumnType.STRING else 1 for c in chosen)
    width += len(folded) if any(c.column_name in folded for c in chosen) else 0
    return max(1, min(sample_rows, MOST_CELLS // max(1, width)))


def choose(
    columns: Sequence[PredictionColumn], worst_first: Sequence[str], most: int
) -> tuple[list[PredictionColumn], dict[str, str]]:
    """Return the columns to compare, in the signature's order, and those left out and why.

    Args:
        worst_first: column names in the order in which they deserve a place; what is not named comes last.
    """
    comparable = [c for c in columns if is_comparable(c)]
    left_out = {
        c.name: f"{c.type.value} is neither a number nor a category" for c in columns if not is_comparable(c)
    }  # fmt: skip
    place = {name: i for i, name in enumerate(worst_first)}
    by_need = sorted(comparable, key=lambda c: (c.side != "output", place.get(c.column_name, len(place))))
    taken = {c.column_name for c in by_need[:most]}
    left_out |= {
        c.name: f"beyond the {most} columns that drifted most" for c in comparable if c.column_name not in taken
    }  # fmt: skip
    return [c for c in comparable if c.column_name in taken], left_out


def cut(rows: "pd.DataFrame", limit: int) -> "pd.DataFrame":
    """Return at most so many training rows, always the same."""
    return rows.sample(limit, random_state=SEED) if len(rows) > limit else rows
