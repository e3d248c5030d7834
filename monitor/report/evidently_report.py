"""Evidently's report of two samples: the one module with Evidently, which runs only in a short-lived process.

Run as ``python -m driftline.monitor.report.evidently_report FOLDER``, it reads ``current.parquet``,
``reference.parquet`` and ``columns.json`` there and writes ``report.html`` and ``report.json``. Its memory ends with
it, and nothing of it is imported into the monitor.

One column that is empty or absent on a side would cost the whole report, and inference of types is unreliable: what
cannot be compared is left out and named, the rest is cast and declared.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from driftline.monitor.child_process import child_main, run_child
from driftline.store.errors import DriftlineError
from driftline.store.prediction_columns import ColumnType, PredictionColumn

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["numerical", "categorical"]
MOST_CATEGORIES = 1000
_KINDS: dict[ColumnType, Kind] = {
    ColumnType.DOUBLE: "numerical",
    ColumnType.FLOAT: "numerical",
    ColumnType.LONG: "numerical",
    ColumnType.INTEGER: "numerical",
    ColumnType.BOOLEAN: "categorical",
    ColumnType.STRING: "categorical",
}


class ReportFailed(DriftlineError):
    """Evidently ended without a report."""


@dataclass(frozen=True)
class EvidentlyReport:
    """What Evidently made.

    Attributes:
        html: one self-contained page.
        content: its JSON.
        left_out: columns that are not in it, and why.
    """

    html: bytes
    content: dict[str, Any]
    left_out: dict[str, str]


def make_report(
    current: "pd.DataFrame", reference: "pd.DataFrame", columns: Sequence[PredictionColumn], timeout_seconds: float
) -> EvidentlyReport:
    """Have a child process compare two samples.

    Args:
        current, reference: rows by column name.
        columns: which columns to compare.

    Raises:
        ReportFailed: nothing is left to compare, or the child failed or took too long.
    """
    kinds, left_out = choose_columns(current, reference, columns)
    if not kinds:
        raise ReportFailed(
            "no column has values both in the window and in the reference: widen the window with --since"
        )
    names = _names(columns)
    with tempfile.TemporaryDirectory(prefix="driftline-report-") as place:
        folder = Path(place)
        for name, frame in (("current", current), ("reference", reference)):
            _cast(frame, kinds).rename(columns=names).to_parquet(folder / f"{name}.parquet", index=False)
        (folder / "columns.json").write_text(json.dumps({names[c]: kind for c, kind in kinds.items()}))
        _run_child(folder, timeout_seconds)
        html = (folder / "report.html").read_bytes()
        content = json.loads((folder / "report.json").read_bytes())
    return EvidentlyReport(html, content, {names[c]: reason for c, reason in left_out.items()})


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
        elif kind == "categorical" and reference[name].nunique() > MOST_CATEGORIES:
            left_out[name] = f"more than {MOST_CATEGORIES} different texts"
        else:
            kinds[name] = kind
    return kinds, left_out


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


def _names(columns: Sequence[PredictionColumn]) -> dict[str, str]:
    """Return the names to show: the signature's, with the side where both sides have the same."""
    inputs = {c.name for c in columns if c.side == "input"}
    return {c.column_name: f"{c.name} (output)" if c.side == "output" and c.name in inputs else c.name for c in columns}


def _run_child(folder: Path, timeout_seconds: float) -> None:
    failure = run_child(__name__, folder, timeout_seconds, DO_NOT_TRACK="1")
    if failure is None:
        return
    if failure.exit_code is None:
        raise ReportFailed(
            f"Evidently took more than {timeout_seconds:.0f} s: lower sample_rows or raise timeout_seconds in [report]"
        )
    if failure.lacks_a_package:
        raise ReportFailed("Evidently is not installed here: `pip install 'driftline[monitor]'`")
    raise ReportFailed(
        f"Evidently ended with {failure.exit_code} ({failure.said}): lower sample_rows in [report] or "
        "report it with the versions that `pip freeze` shows"
    )


def _compare(folder: Path) -> None:
    """Write the report; in the child."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    kinds = json.loads((folder / "columns.json").read_text())
    definition = DataDefinition(
        numerical_columns=[name for name, kind in kinds.items() if kind == "numerical"],
        categorical_columns=[name for name, kind in kinds.items() if kind == "categorical"],
    )
    current, reference = (
        Dataset.from_pandas(pd.read_parquet(folder / f"{side}.parquet"), data_definition=definition)
        for side in ("current", "reference")
    )
    # Evidently calls a data set drifted from half of its columns on; ours is from the first on, and both are shown.
    any_column = DataDriftPreset(drift_share=0.5 / len(kinds))
    snapshot = Report([any_column, DataSummaryPreset()], include_tests=True).run(current, reference)
    snapshot.save_html(str(folder / "report.html"))
    (folder / "report.json").write_text(snapshot.json())


if __name__ == "__main__":
    child_main(_compare)
