"""scikit-learn's own models get the matrix that they would make of MLflow's frame.

scikit-learn turns a frame of numbers into a matrix and compares the frame's column names with those that it was fitted
on. For one row this is most of a prediction, and it comes out alike for every request of one signature. So it is tried
once, when the model is loaded, and left out of the requests (record 0014).

Invariants
----------
- Only a model that is scikit-learn's through and through gets a matrix: no code of anybody else could miss the frame.
- The matrix has the cells, the type and the order in memory of the one that scikit-learn would make.
- What the model returned for matrices at load was what it returned for frames, to the bit. A prediction that raises is
  made again by MLflow's own function, with the frame.
"""

import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from driftline.scorer.fast_path.frame import Frame
from driftline.scorer.fast_path.layout import Group, Layout
from driftline.store.payload.typed_cells import dtype_of
from driftline.store.prediction_columns import ColumnType

_OWN_PACKAGES = frozenset({"sklearn", "numpy", "scipy"})
_PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None), type(Ellipsis), range, slice})
_CONTAINERS = (list, tuple, set, frozenset)
_CODE = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_MOST_PARTS = 500_000
_NUMBERS = frozenset({ColumnType.DOUBLE, ColumnType.FLOAT, ColumnType.LONG, ColumnType.INTEGER})
_SAMPLE_ROWS = (1, 1, 1, 2, 3, 8, 32)
_SEED = 23
_NAMES_WARNING = "X does not have valid feature names"


def takes_matrices(model: Any, predict: Callable[[Any], Any], layout: Layout) -> bool:
    """Tell whether a loaded pyfunc may be given matrices; where it may, scikit-learn's warning of that is silenced.

    Args:
        predict: calls the model with a frame or a matrix.
        layout: of frames with all columns of the signature.
    """
    if not (_is_one_matrix(layout) and _is_mlflows_wrapper(model._model_impl)):
        return False
    if not _is_sklearn_throughout(model._model_impl.sklearn_model):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proven = _agree(predict, layout)
    if proven:
        warnings.filterwarnings("ignore", _NAMES_WARNING, UserWarning)
    return proven


def _is_one_matrix(layout: Layout) -> bool:
    return len(layout.groups) == 1 and layout.groups[0].type in _NUMBERS


def _is_mlflows_wrapper(implementation: Any) -> bool:
    if "mlflow.sklearn" not in sys.modules:
        return False
    from mlflow.sklearn import _SklearnModelWrapper

    return type(implementation) is _SklearnModelWrapper


def _agree(predict: Callable[[Any], Any], layout: Layout) -> bool:
    """Tell whether the model returns the same for frames and matrices; it has to take some of the frames."""
    frames = (Frame(layout, layout.names, [block], None, None, False) for block in _sample_blocks(layout.groups[0]))
    both = [(_told(predict, frame.data_frame), _told(predict, frame.matrix(layout))) for frame in frames]
    # What it refuses as a frame it may take as a matrix, where names differ: then every frame was refused.
    taken = [(theirs, ours) for theirs, ours in both if theirs is not None]
    return bool(taken) and all(_same(theirs, ours) for theirs, ours in taken)


def _told(predict: Callable[[Any], Any], data: Any) -> Any:
    """Return the prediction, None where the model refuses the data."""
    try:
        return predict(data)
    except Exception:
        return None


def _sample_blocks(group: Group) -> Iterator[Any]:
    rng = np.random.default_rng(_SEED)
    for i, rows in enumerate(_SAMPLE_ROWS):
        numbers = rng.normal(scale=10.0 ** (i % 4 - 1), size=(len(group.names), rows))
        yield numbers.astype(dtype_of(group.type))


def _same(theirs: Any, ours: Any) -> bool:
    """Tell whether two predictions are arrays, or lists of arrays, of the same type, shape, order and bits."""
    if type(theirs) is list and type(ours) is list:
        return len(theirs) == len(ours) and all(map(_same, theirs, ours))
    return (
        type(theirs) is type(ours) is np.ndarray
        and theirs.dtype == ours.dtype
        and theirs.shape == ours.shape
        and theirs.strides == ours.strides
        and (theirs.tolist() == ours.tolist() if theirs.dtype == object else theirs.tobytes() == ours.tobytes())
    )


def _is_sklearn_throughout(estimator: Any) -> bool:
    """Tell whether nothing within an estimator is code of anybody else, however deep: steps, functions, metrics."""
    waiting: list[Any] = [estimator]
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        if type(part) in _PLAIN or id(part) in seen:
            continue
        seen.add(id(part))
        if len(seen) > _MOST_PARTS or not _is_own(part):
            return False
        waiting.extend(_parts(part))
    return True


def _is_own(part: Any) -> bool:
    if isinstance(part, type) and part in _PLAIN:
        return True
    kind = type(part)
    if kind in _CONTAINERS or kind is dict or kind is np.ufunc:
        return True
    module = part.__module__ if isinstance(part, _CODE) else kind.__module__
    return (module or "").partition(".")[0] in _OWN_PACKAGES


def _parts(part: Any) -> Iterator[Any]:
    if isinstance(part, types.MethodType | types.BuiltinFunctionType):
        yield part.__self__
    if isinstance(part, _CODE):
        return
    if isinstance(part, np.ndarray):
        if part.dtype.hasobject:
            yield from part.ravel().tolist()
        return
    if isinstance(part, dict):
        yield from part.keys()
        yield from part.values()
    elif isinstance(part, _CONTAINERS):
        yield from part
    yield from getattr(part, "__dict__", {}).values()
