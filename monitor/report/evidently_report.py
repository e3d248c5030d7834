"""Evidently's pages of two samples, made by a short-lived child process: its memory ends with it.

One column that is empty or absent on a side would cost the whole page, and inference of types is unreliable: what
cannot be compared is left out and named, the rest is cast and declared.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from driftline.monitor.child_process import run_child
from driftline.monitor.report.drift_report import EVIDENTLY, EVIDENTLY_JSON, QUALITY, QUALITY_JSON, ReportFailed
from driftline.monitor.report.labelled_rows import LabelledRows
from driftline.store.prediction_columns import ColumnType, PredictionColumn

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["numerical", "categorical"]
CHILD = "driftline.monitor.report.evidently_child"
MOST_CATEGORIES = 1000
_KINDS: dict[ColumnType, Kind] = {
    ColumnType.DOUBLE: "numerical",
    ColumnType.FLOAT: "numerical",
    ColumnType.LONG: "numerical",
    ColumnType.INTEGER: "numerical",
    ColumnType.BOOLEAN: "categorical",
    ColumnType.STRING: "categorical",
}


@dataclass(frozen=True)
class EvidentlyReport:
    """What Evidently made.

    Attributes:
        files: its pages and JSON by name; empty where nothing could be compared.
        left_out: columns that are not in it, and why.
        notes: what is not in it as a whole, and why.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def is_comparable(column: PredictionColumn) -> bool:
    """Return whether Evidently can compare cells of this type."""
    return column.type in _KINDS


def make_report(
    current: "pd.DataFrame",
    reference: "pd.DataFrame",
    columns: Sequence[PredictionColumn],
    timeout_seconds: float,
    labelled: LabelledRows | None = None,
) -> EvidentlyReport:
    """Have a child process compare two samples, and judge the predictions of labelled rows where there are any.

    Args:
        current, reference: rows by column name.
        columns: which columns to compare.
        labelled: rows of the window with labels.

    Raises:
        ReportFailed: the child failed or took too long.
    """
    kinds, left_out = choose_columns(current, reference, columns)
    names = shown_names(columns)
    notes = [] if kinds else ["Evidently: no column has values both in the window and in the sample of the reference"]
    if not kinds and labelled is None:
        return EvidentlyReport({}, {names[c]: reason for c, reason in left_out.items()}, notes)
    with tempfile.TemporaryDirectory(prefix="driftline-report-") as place:
        folder = Path(place)
        if kinds:
            for name, frame in (("current", current), ("reference", reference)):
                _cast(frame, kinds).rename(columns=names).to_parquet(folder / f"{name}.parquet", index=False)
        if labelled is not None:
            labelled.frame.to_parquet(folder / "labelled.parquet", index=False)
        order = {"kinds": {names[c]: kind for c, kind in kinds.items()}, "task": labelled and labelled.quality}
        (folder / "order.json").write_text(json.dumps(order))
        _run_child(folder, timeout_seconds)
        found = [EVIDENTLY, EVIDENTLY_JSON, QUALITY, QUALITY_JSON]
        files = {name: (folder / name).read_bytes() for name in found if (folder / name).exists()}
        if (folder / "failed.txt").exists():
            said = (folder / "failed.txt").read_text()
            notes.append(f"quality of the predictions: Evidently refused the labelled rows ({said})")
    return EvidentlyReport(files, {names[c]: reason for c, reason in left_out.items()}, notes)


def choose_columns(
    current: "pd.DataFrame", reference: "pd.DataFrame", columns: Sequence[PredictionColumn]
) -> tuple[dict[str, Kind], dict[str, str]]:
    """Return what of the columns can be compared and how, and what cannot and why, by column name."""
    kinds: dict[str, Kind] = {}
    left_out: dict[str, str] = {}
    for column in columns:
        name, kind = column.column_name, _KINDS.get(column.type)
        sides = {"window": current, "reference": reference}
        absent = [side for side, frame in sides.items() if name not in frame]
        empty = [side for side, frame in sides.items() if name in frame and not frame[name].notna().any()]
        if kind is None:
            left_out[name] = f"{column.type.value} is neither a number nor a category"
        elif absent or empty:
            left_out[name] = f"no values in the {(absent + empty)[0]}"
        elif kind == "categorical" and max(side[name].nunique() for side in sides.values()) > MOST_CATEGORIES:
            left_out[name] = f"more than {MOST_CATEGORIES} different texts"
        else:
            kinds[name] = kind
    return kinds, left_out


def shown_names(columns: Sequence[PredictionColumn]) -> dict[str, str]:
    """Return the names to show: the signature's, with the side where both sides have the same."""
    inputs = {c.name for c in columns if c.side == "input"}
    return {c.column_name: f"{c.name} (output)" if c.side == "output" and c.name in inputs else c.name for c in columns}


def _cast(frame: "pd.DataFrame", kinds: dict[str, Kind]) -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    cast: dict[str, Any] = {}
    for name, kind in kinds.items():
        if kind == "numerical":
            cast[name] = pd.to_numeric(frame[name]).astype(np.float64).replace([np.inf, -np.inf], np.nan)
        else:
            cast[name] = frame[name].map(str, na_action="ignore").astype(object)
    return pd.DataFrame(cast)


def _run_child(folder: Path, timeout_seconds: float) -> None:
    failure = run_child(CHILD, folder, timeout_seconds, DO_NOT_TRACK="1")
    if failure is None:
        return
    if failure.exit_code is None:
        raise ReportFailed(
            f"Evidently took more than {timeout_seconds:.0f} s: lower sample_rows or evidently_columns, "
            "or raise timeout_seconds in [report]"
        )
    if failure.lacks_a_package:
        raise ReportFailed("Evidently is not installed here: `pip install 'driftline[monitor]'`")
    raise ReportFailed(
        f"Evidently ended with {failure.exit_code} ({failure.said}): lower sample_rows in [report] or "
        "report it with the versions that `pip freeze` shows"
    )
