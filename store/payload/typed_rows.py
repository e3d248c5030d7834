"""Typed records in, typed columns out: what ``BodyParser`` returns for the same requests, without their bodies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.store.payload.answers import AnswerRows
from driftline.store.payload.fast_rows import fast_column
from driftline.store.payload.json_template import JsonTemplate
from driftline.store.payload.parsed_batch import ParsedBatch, loads, reason
from driftline.store.payload.typed_cells import Column, typed_column
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.typed_payload import TypedLayout, TypedPart


class TypedRows:
    """Reads the typed records of one model; made once, used for every batch."""

    def __init__(self, signature: dict[str, Any] | None, columns: Sequence[PredictionColumn]) -> None:
        self._columns = columns
        self._outputs = [c for c in columns if c.side == "output"]
        self._layout = TypedLayout.of(columns)
        self._answers = AnswerRows(signature, self._outputs)

    def parse(self, requests: Sequence[bytes], responses: Sequence[bytes]) -> tuple[ParsedBatch, dict[int, str]]:
        """Return the rows of typed records and, by position, why one is none; all answers were 2xx."""
        errors: dict[int, str] = {}
        parts: list[dict[str, Column]] = [{c.column_name: typed_column(c.type, ()) for c in self._columns}]
        owned: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        if self._layout is None:
            return ParsedBatch.joined(parts, owned, {}, {}), dict.fromkeys(range(len(requests)), _NO_LAYOUT)
        found, refused = self._layout.unpack(requests)
        for part in found:
            columns, positions = part.columns, part.positions
            if not part.has_outputs:
                answers = [responses[i] for i in positions]
                outputs, failed = self._alike(part, answers) or self._one_by_one(part, answers)
                errors |= {int(positions[i]): why for i, why in failed.items()}
                answered = np.isin(np.arange(len(positions)), list(failed), invert=True)
                rows = np.repeat(answered, part.rows)
                columns = {name: cells[rows] for name, cells in columns.items()} | outputs
                positions = positions[answered]
            parts.append({c.column_name: columns[c.column_name] for c in self._columns})
            owned.append(np.repeat(positions, part.rows))
        if len(parts) == 2:  # nothing to join: the first only says which columns there are
            del parts[0], owned[0]
        return ParsedBatch.joined(parts, owned, errors, {}), refused

    def _alike(self, part: TypedPart, answers: list[bytes]) -> tuple[dict[str, Column], dict[int, str]] | None:
        """Return the outputs of ordinary answers; None where one of them must be looked at alone."""
        template = JsonTemplate.of(answers[0], "predictions")
        if template is None or not all(map(template.fits, answers)):
            return None
        values = template.values(answers)
        cells = None if values is None else self._answers.many_columns(values.values, [part.rows] * len(answers))
        if values is None or cells is None or any(c.type is ColumnType.JSON for c in self._outputs):
            return None
        owners = np.repeat(np.arange(len(answers)), part.rows)
        made: dict[str, Column] = {}
        for column, own in zip(self._outputs, cells, strict=True):
            output = fast_column(column.type, own, owners, values.letters)
            if isinstance(output, set):
                return None
            made[column.column_name] = output
        return made, {}

    def _one_by_one(self, part: TypedPart, answers: list[bytes]) -> tuple[dict[str, Column], dict[int, str]]:
        """Return the outputs of the answers that hold the rows, and why the others do not."""
        failed: dict[int, str] = {}
        made: dict[str, list[Column]] = {c.column_name: [typed_column(c.type, ())] for c in self._outputs}
        for i, answer in enumerate(answers):
            try:
                rows = self._answers.rows(loads(answer)["predictions"], part.rows)
                cells = list(zip(*rows, strict=True)) or [()] * len(self._outputs)
                own = [typed_column(c.type, values) for c, values in zip(self._outputs, cells, strict=True)]
            except Exception as error:  # what was answered is never worth less than its invocation
                failed[i] = reason(error)
                continue
            for column, output in zip(self._outputs, own, strict=True):
                made[column.column_name].append(output)
        return {name: np.concatenate(columns) for name, columns in made.items()}, failed


_NO_LAYOUT = "the signature has columns that typed rows do not hold"
