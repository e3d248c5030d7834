"""Bodies in, typed columns out: what the model received after MLflow's coercion, and what it answered.

Ordinary JSON goes the fast way (``fast_rows``), a whole batch at once; everything unusual goes through MLflow's own
functions (``mlflow_rows``), one body at a time. Both give the same cells.
"""

import itertools
import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.store.payload.answers import AnswerRows
from driftline.store.payload.coercions import Coercion, count_coercions
from driftline.store.payload.content_coding import plain
from driftline.store.payload.fast_rows import FastRows, Row, fast_column
from driftline.store.payload.json_template import JsonTemplate
from driftline.store.payload.mlflow_rows import MlflowRows
from driftline.store.payload.parsed_batch import ParsedBatch, loads, reason
from driftline.store.payload.typed_cells import CellMismatch, Column, typed_column
from driftline.store.prediction_columns import ColumnType, PredictionColumn, prediction_columns
from driftline.store.records import Invocation, ModelIdentity

__all__ = ["BodyParser", "ParsedBatch", "parse_batch"]

WITHHELD = b'{"withheld": true}'  # the answer of an invocation whose bodies were not to be kept
_JSON = b"application/json"
_NO_BODY = "without a body: it had none, or one larger than a proxy keeps"
_TEMPLATES = 8  # kinds of bodies in a batch that are looked for
_FEW_BODIES = 8  # are not worth looking for what they have in common
_BYTES_AT_ONCE = 1 << 18  # stay in the cache; their bodies go the slower way where one of them is not plain JSON


def parse_batch(identity: ModelIdentity, invocations: Sequence[Invocation]) -> ParsedBatch:
    """Return the rows of ``invocations``, all of the model ``identity``."""
    parser = BodyParser(identity.signature, prediction_columns(identity.signature))
    return parser.parse(
        [i.status for i in invocations],
        [i.content_type for i in invocations],
        [i.request for i in invocations],
        [i.response for i in invocations],
    )


class BodyParser:
    """Parses the bodies of one model; made once, used for every batch."""

    def __init__(self, signature: dict[str, Any] | None, columns: Sequence[PredictionColumn]) -> None:
        self._inputs = [c for c in columns if c.side == "input"]
        self._outputs = [c for c in columns if c.side == "output"]
        self._fast = FastRows.of(signature, self._inputs)
        self._answers = AnswerRows(signature, self._outputs)
        self._mlflow = MlflowRows(signature, self._inputs)

    def parse(
        self,
        statuses: Sequence[int],
        content_types: Sequence[bytes],
        requests: Sequence[bytes],
        responses: Sequence[bytes],
    ) -> ParsedBatch:
        """Return the rows of the batch; never raises for what a body holds."""
        requests, responses = plain(requests), plain(responses)
        errors: dict[int, str] = {}
        codes: dict[int, str] = {}
        ordinary: list[int] = []
        unusual: list[int] = []
        readable = {kind for kind in set(content_types) if self._fast is not None and kind.startswith(_JSON)}
        for i, status in enumerate(statuses):
            if not 200 <= status < 300:
                if code := _error_code(responses[i]):
                    codes[i] = code
            elif responses[i] == WITHHELD:
                errors[i] = "withheld: its values could not be told apart, and columns of the model are redacted"
            elif not (requests[i] and responses[i]):
                errors[i] = _NO_BODY
            else:
                (ordinary if content_types[i] in readable else unusual).append(i)
        parts: list[dict[str, Column]] = []
        owned: list[NDArray[np.int64]] = []
        for cells in self._fast_cells(ordinary, requests, responses, unusual):
            part, owners, refused = self._fast_columns(cells)
            unusual.extend(sorted(refused))
            parts.append(part)
            owned.append(owners)
        coerced: dict[int, Counter[Coercion]] = {}
        for i in unusual:
            try:
                part, rows = self._unusual(content_types[i], requests[i], responses[i])
                found = self._coerced(content_types[i], requests[i])
            except Exception as error:  # a body that was answered is never worth less than its invocation
                errors[i] = reason(error)
                continue
            parts.append(part)
            owned.append(np.full(rows, i, np.int64))
            if found:
                coerced[i] = found
        return replace(ParsedBatch.joined(parts, owned, errors, codes), coerced=coerced)

    def _fast_cells(
        self, ids: list[int], requests: Sequence[bytes], responses: Sequence[bytes], unusual: list[int]
    ) -> Iterator["_Cells"]:
        """Yield the cells of ordinary bodies, at least once; what is not ordinary is added to ``unusual``."""
        rest: list[int] = []
        for _ in range(_TEMPLATES):
            if len(ids) < _FEW_BODIES:
                break
            request = JsonTemplate.of(requests[ids[0]], "dataframe_split", "data")
            response = JsonTemplate.of(responses[ids[0]], "predictions")
            if request is None or response is None:
                rest.append(ids[0])
                ids = ids[1:]
                continue
            fitting = [request.fits(requests[i]) and response.fits(responses[i]) for i in ids]
            alike = list(itertools.compress(ids, fitting))
            ids = list(itertools.compress(ids, map(operator.not_, fitting)))
            at_once = max(1, _BYTES_AT_ONCE * len(alike) // sum(len(requests[i]) for i in alike))
            for start in range(0, len(alike), at_once):
                chunk = alike[start : start + at_once]
                cells = self._cells_alike(chunk, request, response, requests, responses)
                if cells is None:
                    rest += chunk
                else:
                    yield cells
        yield self._cells_one_by_one(sorted(rest + ids), requests, responses, unusual)

    def _cells_alike(
        self,
        ids: list[int],
        request: JsonTemplate,
        response: JsonTemplate,
        requests: Sequence[bytes],
        responses: Sequence[bytes],
    ) -> "_Cells | None":
        """Return the cells of bodies that fit the templates; None where one of them must be looked at alone."""
        assert self._fast is not None
        asked = request.values([requests[i] for i in ids])
        answered = response.values([responses[i] for i in ids])
        found = None if asked is None else self._fast.many_rows(request.document, asked.values)
        if asked is None or answered is None or found is None:
            return None
        counts, rows = found
        outputs = self._answers.many_columns(answered.values, counts)
        if outputs is None:
            return None
        owners = np.repeat(np.array(ids, np.int64), counts)
        return _Cells([*zip(*rows, strict=True), *outputs], owners, asked.letters or answered.letters)

    def _cells_one_by_one(
        self, ids: list[int], requests: Sequence[bytes], responses: Sequence[bytes], unusual: list[int]
    ) -> "_Cells":
        owners: list[int] = []
        asked: list[Row] = []
        answered: list[Row] = []
        for i in ids:
            taken = self._fast_rows(requests[i], responses[i])
            if taken is None:
                unusual.append(i)
                continue
            owners += [i] * len(taken[0])
            asked += taken[0]
            answered += taken[1]
        inputs = list(zip(*asked, strict=True)) or [()] * len(self._inputs)
        outputs = list(zip(*answered, strict=True)) or [()] * len(self._outputs)
        return _Cells([*inputs, *outputs], np.array(owners, np.int64))

    def _fast_rows(self, request: bytes, response: bytes) -> tuple[list[Row], list[Row]] | None:
        assert self._fast is not None
        try:
            try:
                document, answer = orjson.loads(request), orjson.loads(response)
            except orjson.JSONDecodeError:
                document, answer = loads(request), loads(response)
            asked = self._fast.rows(document)
            return None if asked is None else (asked, self._answers.rows(answer["predictions"], len(asked)))
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def _fast_columns(self, cells: "_Cells") -> tuple[dict[str, Column], NDArray[np.int64], set[int]]:
        """Return the columns of the rows that stay, their owners, and the invocations that do not."""
        refused: set[int] = set()
        while True:
            part: dict[str, Column] = {}
            odd: set[int] = set()
            for column, values in zip((*self._inputs, *self._outputs), cells.columns, strict=True):
                if column.type is ColumnType.JSON:
                    part[column.column_name] = typed_column(column.type, values)
                    continue
                made = fast_column(column.type, values, cells.owners, cells.letters)
                if isinstance(made, set):
                    odd |= made
                else:
                    part[column.column_name] = made
            if not odd:
                return part, cells.owners, refused
            refused |= odd
            cells = cells.without(odd)

    def _coerced(self, content_type: bytes, request: bytes) -> Counter[Coercion]:
        """Return the cells that MLflow converted; in CSV and Parquet it is told no types, or other ones."""
        if not content_type.startswith(_JSON):
            return Counter()
        try:
            return count_coercions(self._inputs, loads(request))
        except (ValueError, RecursionError):  # MLflow could read it: its rows are worth more than this count
            return Counter()

    def _unusual(self, content_type: bytes, request: bytes, response: bytes) -> tuple[dict[str, Column], int]:
        columns, rows, wrapped = self._mlflow.columns(content_type, request)
        document = loads(response)
        predictions = document["predictions"] if wrapped else document
        cells = list(zip(*self._answers.rows(predictions, rows), strict=True)) or [()] * len(self._outputs)
        for column, values in zip(self._outputs, cells, strict=True):
            columns[column.column_name] = typed_column(column.type, values)
        if any(len(cells) != rows for cells in columns.values()):
            raise CellMismatch(f"the inputs do not all hold {rows} rows")
        return columns, rows


@dataclass(frozen=True, slots=True)
class _Cells:
    """Parsed cells by column, inputs first, and whose they are; without ``letters`` none of them is a boolean."""

    columns: Sequence[Sequence[Any]]
    owners: NDArray[np.int64]
    letters: bool = True

    def without(self, odd: set[int]) -> "_Cells":
        keep = ~np.isin(self.owners, list(odd))
        columns = [tuple(itertools.compress(cells, keep)) for cells in self.columns]
        return _Cells(columns, self.owners[keep], self.letters)


def _error_code(response: bytes) -> str | None:
    try:
        code = orjson.loads(response).get("error_code")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return code[:200] if isinstance(code, str) else None
