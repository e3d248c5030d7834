"""Evidently's work: the one module with Evidently, which runs only in a short-lived process.

Run as ``python -m driftline.monitor.report.evidently_child FOLDER``, it reads ``order.json`` there and, as far as they
are there, ``current.parquet`` and ``reference.parquet``, and ``labelled.parquet``. It writes pages and JSON; why
labelled rows were refused stands in ``failed.txt``.
"""

import json
import re
from pathlib import Path
from typing import Any

from driftline.monitor.child_process import child_main, place_of
from driftline.monitor.report.drift_report import EVIDENTLY, EVIDENTLY_JSON, QUALITY, QUALITY_JSON
from driftline.monitor.report.labelled_rows import PREDICTION, TARGET

_DATA = re.compile(r"^ *var \w+ = \{.*\};$", re.MULTILINE)


def make_pages(folder: Path) -> None:
    """Write what the order asks for."""
    order = json.loads((folder / "order.json").read_text())
    if order["kinds"]:
        _compare(folder, order["kinds"])
    if order["task"]:
        try:
            _judge_quality(folder, order["task"])
        except Exception as error:  # the comparison is worth having without it
            (folder / "failed.txt").write_text(place_of(error))


def _compare(folder: Path, kinds: dict[str, str]) -> None:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

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
    _write(snapshot, folder / EVIDENTLY, folder / EVIDENTLY_JSON)


def _judge_quality(folder: Path, task: str) -> None:
    import pandas as pd
    from evidently import Dataset, Report
    from evidently.presets import ClassificationPreset, RegressionPreset

    rows = Dataset.from_pandas(pd.read_parquet(folder / "labelled.parquet"), data_definition=_definition(task))
    preset = RegressionPreset() if task == "regression" else ClassificationPreset()
    _write(Report([preset]).run(rows), folder / QUALITY, folder / QUALITY_JSON)


def _definition(task: str) -> Any:
    from evidently import BinaryClassification, DataDefinition, MulticlassClassification, Regression

    if task == "regression":
        regression = [Regression(target=TARGET, prediction=PREDICTION)]
        return DataDefinition(regression=regression, numerical_columns=[TARGET, PREDICTION])
    if task == "binary":
        binary = BinaryClassification(target=TARGET, prediction_probas=PREDICTION, pos_label=1)
        columns = {"categorical_columns": [TARGET], "numerical_columns": [PREDICTION]}
        return DataDefinition(classification=[binary], **columns)
    if task == "binary classes":
        binary = BinaryClassification(target=TARGET, prediction_labels=PREDICTION, pos_label=1)
        return DataDefinition(classification=[binary], categorical_columns=[TARGET, PREDICTION])
    classes = MulticlassClassification(target=TARGET, prediction_labels=PREDICTION)
    return DataDefinition(classification=[classes], categorical_columns=[TARGET, PREDICTION])


def _write(snapshot: Any, page: Path, content: Path) -> None:
    snapshot.save_html(str(page))
    page.write_text(without_markup(page.read_text(encoding="utf-8")), encoding="utf-8")
    content.write_text(snapshot.json())


def without_markup(page: str) -> str:
    """Return Evidently's page with no text of the rows that could end its script and begin another.

    Evidently writes its data as two JSON values, a line each, as they are; within JSON ``<`` may be written otherwise.

    Raises:
        ValueError: the page has no such lines.
    """
    escaped, found = _DATA.subn(lambda line: line[0].replace("<", "\\u003c"), page, count=2)
    if found != 2 or escaped.find("drawDashboard") < 0:
        raise ValueError("this release of Evidently writes its data otherwise")
    return escaped


if __name__ == "__main__":
    child_main(make_pages)
