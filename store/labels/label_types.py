"""Whether a label is of a type that its model's only output could have, and how that output would write it."""

from collections.abc import Iterable

import orjson
from sqlalchemy import Connection

from driftline.store.errors import ReferenceCorrupt
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.prediction_tables import ModelVersion
from driftline.store.references import newest_reference

_NUMBERS = (ColumnType.DOUBLE, ColumnType.FLOAT, ColumnType.LONG, ColumnType.INTEGER, ColumnType.BOOLEAN)
_TRUTHS = ("true", "false")


class LabelTypes:
    """The only outputs of model versions; a reference is read once, when it is needed."""

    def __init__(self, versions: Iterable[ModelVersion]) -> None:
        self._outputs = {version.id: _only_output(version) for version in versions}
        self._are_words: dict[int, bool] = {}

    def fit(self, connection: Connection, value: str, version_id: int) -> str | None:
        """Return a label (JSON) as the version's output could say it; None where it never could.

        Of a text output a number or truth is a text too, as ``"1"`` is a class and a CSV does not say which of both it
        means; but not where the reference knows all classes, and each is a word.
        """
        output = self._outputs.get(version_id)
        if output is None:
            return value
        is_text = value.startswith('"')
        if output.type is ColumnType.STRING and not is_text:
            return None if self._answers_words(connection, version_id, output) else orjson.dumps(value).decode()
        return None if is_text and output.type in _NUMBERS else value

    def _answers_words(self, connection: Connection, version_id: int, output: PredictionColumn) -> bool:
        if version_id not in self._are_words:
            self._are_words[version_id] = _are_words(_classes(connection, version_id, output))
        return self._are_words[version_id]


def _only_output(version: ModelVersion) -> PredictionColumn | None:
    """Return a model's only output; None where there is no single one to compare with."""
    outputs = [column for column in version.columns if column.side == "output"]
    return outputs[0] if len(outputs) == 1 else None


def _classes(connection: Connection, version_id: int, output: PredictionColumn) -> tuple[str, ...]:
    """Return the classes that the reference in force knows of an output; none where it does not know all."""
    try:
        found = newest_reference(connection, version_id)
    except ReferenceCorrupt:
        return ()
    profiled = () if found is None else found[1].profiled
    known = (p.categories for p in profiled if p.column == output and p.kind == "categorical")
    return next(known, None) or ()


def _are_words(classes: tuple[str, ...]) -> bool:
    return bool(classes) and not any(name.lower() in _TRUTHS or _is_number(name) for name in classes)


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
