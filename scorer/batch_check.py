"""Whether a model predicts rows together as it predicts them alone, tried before the first request.

A model may standardise over what it is given, and BLAS may add in another order for another number of rows. Neither is
an error of the model; it is then predicted one request at a time.
"""

import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.scorer.prediction_pool import BatchLimits
from driftline.scorer.scored import score_frame

if TYPE_CHECKING:
    from driftline.scorer.fast_path import FastPath, Frame

_EXAMPLE_ROWS = _DRAWN_ROWS = 16
_SIZES = (2, 3, 8, 32, 1024)  # rows; none is larger than batches may become, and one is as large
_SEED = 17
_LONGEST_SECONDS = 10.0  # of single predictions; a slow model is tried on fewer rows
_FEWEST = 4
_WORDS = ("", "a", "b", "yes", "no", "unknown", "ä")
_Alone = tuple["Frame", bytes]


def batch_objection(fast_path: "FastPath", model: Any, limits: BatchLimits) -> str | None:
    """Return why this model's requests should not be joined, None where joined and single answers agree.

    The rows are those of the model's input example and some drawn from the signature's types; the order is seeded.
    """
    try:
        alone = _alone(fast_path, model)
        if sum(frame.rows == 1 for frame, _ in alone) < 2:
            return "there are no rows to compare batches on, log the model with an `input_example`"
        order = random.Random(_SEED)  # noqa: S311 - an order
        for rows in sorted({min(size, limits.rows) for size in _SIZES}):
            if _differs(fast_path, _batch(alone, rows, order), limits.tolerance):
                return (
                    f"this model predicts {rows} rows together otherwise than alone; what differs little may be "
                    "allowed by DRIFTLINE_SCORER_BATCH_TOLERANCE"
                )
    except Exception as error:
        return f"this model cannot predict requests together ({type(error).__name__})"
    return None


def _alone(fast_path: "FastPath", model: Any) -> list[_Alone]:
    """Return frames that may be joined, each with its answer, without those that the model refuses."""
    found: list[_Alone] = []
    key: Any = None
    begin = time.monotonic()
    for body in (*_example_bodies(model), *_drawn_bodies(model)):
        if len(found) >= _FEWEST and time.monotonic() - begin > _LONGEST_SECONDS:
            break
        frame = fast_path.parse(body)
        if frame is None or frame.join_key is None or (found and frame.join_key != key):
            continue
        scored = score_frame(fast_path, frame, 0)
        if scored is not None:  # the model may refuse a row: a word that it does not know, say
            found.append((frame, scored.body))
            key = frame.join_key
    return found


def _batch(alone: Sequence[_Alone], rows: int, order: random.Random) -> list[_Alone]:
    """Return requests that have so many rows together, two of them at least where that can be."""
    single = [one for one in alone if one[0].rows == 1]
    chosen = [order.choice(single)]
    while left := rows - sum(frame.rows for frame, _ in chosen):
        chosen.append(order.choice([one for one in alone if one[0].rows <= left]))
    return chosen


def _differs(fast_path: "FastPath", chosen: Sequence[_Alone], tolerance: float) -> bool:
    raw = fast_path.predict(fast_path.join([frame for frame, _ in chosen]))
    parts = fast_path.split(raw, [frame.rows for frame, _ in chosen])
    if parts is None:
        return True
    answers = [fast_path.encode(part) for part in parts]
    return not all(
        found is not None and same_answer(answer, found, tolerance)
        for (_, answer), found in zip(chosen, answers, strict=True)
    )


def same_answer(one: bytes, other: bytes, tolerance: float) -> bool:
    """Tell whether two answers have the same bytes, or the same fractions but for ``tolerance``.

    Whole numbers, texts and shapes have to be equal. ``tolerance`` is absolute below 1 and relative above.
    """
    return one == other or (tolerance > 0 and _close(json.loads(one), json.loads(other), tolerance))


def _close(one: Any, other: Any, tolerance: float) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(_close(a, b, tolerance) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _example_bodies(model: Any) -> Iterator[bytes]:
    """Yield the rows of the model's input example one by one, and two together."""
    try:
        example = model.input_example
        rows = json.loads(example.iloc[:_EXAMPLE_ROWS].to_json(orient="split", double_precision=15))
    except Exception:  # none, one that is no frame, or one that cannot be read
        return
    yield from _bodies(rows["columns"], rows["data"])


def _drawn_bodies(model: Any) -> Iterator[bytes]:
    rng = np.random.default_rng(_SEED)
    columns = model.metadata.get_input_schema().inputs
    rows = [[_draw(column.type.name, rng) for column in columns] for _ in range(_DRAWN_ROWS)]
    yield from _bodies([column.name for column in columns], rows)


def _bodies(names: list[str], rows: list[list[Any]]) -> Iterator[bytes]:
    for chosen in (*([row] for row in rows), rows[:2], rows[-3:]):
        yield json.dumps({"dataframe_split": {"columns": names, "data": chosen}}).encode()


def _draw(type_name: str, rng: np.random.Generator) -> object:
    if type_name in ("double", "float"):
        return float(np.float32(rng.normal() * 3))
    if type_name in ("integer", "long"):
        return int(rng.integers(0, 50))
    if type_name == "boolean":
        return bool(rng.integers(0, 2))
    return _WORDS[rng.integers(len(_WORDS))]
