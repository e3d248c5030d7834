"""The rows of an answer: MLflow's ``predictions`` laid beside the rows that were asked.

The answer was serialised from whatever the model returned (array, frame, series, dict, scalar), so its form is looked
at, not trusted to the signature: by name where names agree, by position where only the count does.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import orjson

from driftline.store.payload.typed_cells import CellMismatch
from driftline.store.prediction_columns import (
    MAX_OUTPUT_TENSOR_COLUMNS,
    ColumnType,
    PredictionColumn,
    prediction_columns,
)

Row = Sequence[Any]


class AnswerRows:
    """Reads the answers of one model."""

    def __init__(self, signature: dict[str, Any] | None, outputs: Sequence[PredictionColumn]) -> None:
        raw = (signature or {}).get("outputs")
        specs = (orjson.loads(raw) if raw else None) or []
        self._width = len(outputs)
        self._groups = [_group(spec, position) for position, spec in enumerate(specs)]
        self._one_json = self._width == 1 and outputs[0].type is ColumnType.JSON
        self._one_scalar = self._width == 1 and not self._one_json and not (self._groups and self._groups[0][1])

    def rows(self, predictions: Any, rows: int) -> list[Row]:
        """Return one sequence of output cells per row.

        Raises:
            CellMismatch: the answer holds another number of rows, or of outputs in a row.
        """
        if type(predictions) is list and len(predictions) == rows:
            if self._one_json:
                return [(cell,) for cell in predictions]
            if self._one_scalar and (not rows or type(predictions[0]) not in (list, dict)):
                return [(cell,) for cell in predictions]
            return [self._row(cell) for cell in predictions]
        if type(predictions) is dict and not self._one_json:
            return self._columns(predictions, rows)
        if rows == 1 and self._width == 1:
            return [(predictions,)]
        found = f"{len(predictions)} predictions" if type(predictions) is list else f"a {type(predictions).__name__}"
        raise CellMismatch(f"the answer holds {found} for {rows} rows")

    def many_columns(self, answers: list[Any], counts: list[int]) -> list[Sequence[Any]] | None:
        """Return the output cells of many answers by column; None where one must be looked at alone.

        Args:
            answers: the ``predictions`` of each.
            counts: the rows of each.
        """
        if set(map(type, answers)) != {list} or list(map(len, answers)) != counts:
            return None
        cells = list(itertools.chain.from_iterable(answers))
        kinds = set(map(type, cells))
        if self._one_json or (self._one_scalar and kinds.isdisjoint((list, dict))):
            return [cells]
        if kinds == {list} and set(map(len, cells)) == {self._width}:
            return list(zip(*cells, strict=True))
        return None

    def _row(self, cell: Any) -> Row:
        if type(cell) is list and len(cell) == self._width:
            return cell
        if type(cell) is dict:
            return self._flat(cell)
        if self._width == 1 and type(cell) is not list:
            return (cell,)
        raise CellMismatch(f"a row of the answer does not hold the signature's {self._width} outputs")

    def _columns(self, predictions: dict[str, Any], rows: int) -> list[Row]:
        is_table = bool(predictions) or not rows  # else an empty object would be a table of any length
        if is_table and all(type(column) is list and len(column) == rows for column in predictions.values()):
            names = list(predictions)
            cells = zip(*predictions.values(), strict=True)
            return [self._flat(dict(zip(names, row, strict=True))) for row in cells]
        if rows == 1:
            return [self._flat(predictions)]
        raise CellMismatch(f"the answer's columns do not hold {rows} rows")

    def _flat(self, named: dict[str, Any]) -> Row:
        names = [name for name, _ in self._groups]
        if set(names) != named.keys():
            if len(names) != len(named):
                raise CellMismatch(f"a row of the answer names {len(named)} outputs, the signature {len(names)}")
            named = dict(zip(names, named.values(), strict=True))
        flat: list[Any] = []
        for name, width in self._groups:
            cell = named[name]
            if width == 0:
                flat.append(cell)
            elif type(cell) is list and len(cell) == width:
                flat.extend(cell)
            else:
                raise CellMismatch(f"an output of the answer does not hold the signature's {width} values")
        return flat


def _group(spec: dict[str, Any], position: int) -> tuple[str, int]:
    """Return an output's name and, where it is laid out over several columns, how many; else 0."""
    width = sum(c.side == "output" for c in prediction_columns({"outputs": orjson.dumps([spec]).decode()}))
    shape = spec.get("tensor-spec", {}).get("shape", [])
    laid_out = len(shape) == 2 and 0 < shape[1] <= MAX_OUTPUT_TENSOR_COLUMNS
    return str(spec.get("name", position)), width if laid_out else 0
