"""From what a model returned to the bytes of MLflow's answer, and from a joined prediction to its parts."""

from collections.abc import Sequence
from io import StringIO
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd

_NATIVE = frozenset({str, int, float, bool, type(None)})


class AnswerWriter:
    """Writes answers with the installed MLflow's encoder.

    MLflow writes to a stream, for which Python walks the value itself. The same encoder asked for one text does it in
    C, and flat values of JSON's own types come out the same. Others take MLflow's function.
    """

    def __init__(self) -> None:
        from mlflow.pyfunc.scoring_server import predictions_to_json
        from mlflow.utils.proto_json_utils import NumpyEncoder

        self._encode = NumpyEncoder().encode
        self._write = predictions_to_json

    def encode(self, raw: Any) -> bytes | None:
        """Return the body, or None where MLflow's server would fail to make one."""
        try:
            if type(raw) is np.ndarray and _is_native(raw.dtype):
                return self._text(raw.tolist())
            if type(raw) is pd.DataFrame and all(map(_is_native, raw.dtypes)):
                return self._text(raw.to_dict(orient="records"))
            if type(raw) is pd.Series and _is_native(raw.dtype):
                return self._text(pd.DataFrame(raw).to_dict(orient="records"))
            if type(raw) is list and set(map(type, raw)) <= _NATIVE:
                return self._text(raw)
            return self.encode_as_mlflow(raw)
        except Exception:
            return None

    def encode_as_mlflow(self, raw: Any) -> bytes:
        """Return the body as MLflow's server makes it.

        Raises:
            Exception: whatever fails there; MLflow's server answers 500 then.
        """
        stream = StringIO()
        self._write(raw, stream)
        return stream.getvalue().encode()

    def _text(self, predictions: Any) -> bytes:
        text: str = self._encode({"predictions": predictions})
        return text.encode()


def _is_native(dtype: Any) -> bool:
    """Tell whether NumPy turns values of this type into JSON's own."""
    return isinstance(dtype, np.dtype) and (dtype.kind == "U" or (dtype.kind in "biuf" and dtype.itemsize <= 8))


def split_prediction(raw: Any, rows: Sequence[int]) -> list[Any] | None:
    """Cut a joined prediction into the parts of its requests.

    Args:
        raw: what the model returned for the joined frame.
        rows: of each request, in the order of joining.

    Returns:
        One part per request, encoded as a prediction for that request alone; None where the rows of the prediction
        are not those of the frame.
    """
    if type(raw) not in (np.ndarray, pd.DataFrame, pd.Series, list) or getattr(raw, "ndim", 1) == 0:
        return None
    if len(raw) != sum(rows):
        return None
    ends = list(accumulate(rows))
    spans = [slice(end - count, end) for count, end in zip(rows, ends, strict=True)]
    if isinstance(raw, pd.DataFrame | pd.Series):
        return [raw.iloc[span] for span in spans]
    return [raw[span] for span in spans]
