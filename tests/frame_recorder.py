"""Models that keep the frame they are asked for, MLflow's and our way to them, and a comparison to the bit."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from driftline.scorer.fast_path import FastPath

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of MLflow's own type hints, when it is imported
    import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import PyFuncModel, scoring_server
    from mlflow.pyfunc.context import get_prediction_context
    from mlflow.pyfunc.model import _PythonModelPyfuncWrapper
    from mlflow.types import ColSpec, DataType, ParamSchema, Schema

Columns = Mapping[str, str]  # name: type, with "?" behind the type of an optional column


class RecordingModel(mlflow.pyfunc.PythonModel):
    """Keeps what it gets and answers with the words of every row, its label among them."""

    def predict(self, context, model_input: pd.DataFrame, params=None):
        self.frame, self.params, self.context = model_input, params, dict(vars(get_prediction_context()))
        return [repr(tuple(row)) for row in model_input.itertuples()]


@dataclass(frozen=True)
class Seen:
    """What one way handed to the model and answered."""

    frame: Any
    params: Any
    context: dict[str, Any]
    answer: bytes | None


def schema(columns: Columns) -> Schema:
    return Schema(
        [ColSpec(DataType[type_.rstrip("?")], name, required=type_[-1] != "?") for name, type_ in columns.items()]
    )


def pyfunc(
    implementation: Any, inputs: Schema | None, params: ParamSchema | None = None, predict_fn: str = "predict"
) -> PyFuncModel:
    """A loaded pyfunc around ``implementation``."""
    metadata = Model()
    metadata.signature = None if inputs is None else ModelSignature(inputs=inputs, params=params)
    metadata.flavors = {"python_function": {"loader_module": "mlflow.pyfunc.model"}}
    return PyFuncModel(metadata, implementation, predict_fn, model_id="m-1")


def python_pyfunc(python_model: Any, inputs: Schema | None, params: ParamSchema | None = None) -> PyFuncModel:
    signature = None if inputs is None else ModelSignature(inputs=inputs, params=params)
    return pyfunc(_PythonModelPyfuncWrapper(python_model, None, signature), inputs, params)


def mlflows_answer(model: PyFuncModel, body: bytes) -> bytes:
    """The body that MLflow's server sends; raises what makes it send another status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = scoring_server.invocations(body, "application/json", model, model.metadata.get_input_schema())
    return found.response.encode()


class Rig:
    """One recording model and the two ways to it."""

    def __init__(self, columns: Columns, params: ParamSchema | None = None) -> None:
        self.columns = columns
        self.recorder = RecordingModel()
        self.model = python_pyfunc(self.recorder, schema(columns), params)
        verdict = FastPath.judge(self.model)
        assert verdict.fast_path is not None, verdict.sentence
        self.fast_path = verdict.fast_path

    def mlflows(self, body: bytes) -> Seen | None:
        """What MLflow does with a body; None where it answers with an error."""
        try:
            answer = mlflows_answer(self.model, body)
        except Exception:
            return None
        return self._seen(answer)

    def ours(self, body: bytes) -> Seen | None:
        """What the fast path does with a body; None where it leaves it to MLflow."""
        frame = self.fast_path.parse(body)
        if frame is None:
            return None
        return self._seen(self.fast_path.encode(self.fast_path.predict(frame)))

    def takes(self, body: bytes) -> bool:
        """Whether the fast path takes a body; if so, it must do what MLflow does."""
        ours = self.ours(body)
        if ours is None:
            return False
        theirs = self.mlflows(body)
        assert theirs is not None, f"taken, but an error to MLflow: {body!r}"
        assert described(theirs.frame) == described(ours.frame), body
        assert (theirs.params, theirs.context, theirs.answer) == (ours.params, ours.context, ours.answer), body
        return True

    def _seen(self, answer: bytes | None) -> Seen:
        return Seen(self.recorder.frame, self.recorder.params, self.recorder.context, answer)


def described(frame: pd.DataFrame) -> dict[str, Any]:
    """Everything of a frame that a model could see, and the memory order that BLAS sees."""
    whole = frame.to_numpy()
    return {
        "type": type(frame),
        "index": _described_index(frame.index),
        "columns": _described_index(frame.columns),
        "dtypes": [repr(dtype) for dtype in frame.dtypes],
        "cells": [_described_column(frame.iloc[:, i]) for i in range(frame.shape[1])],
        "whole": (whole.dtype, whole.shape, whole.strides, str(whole.flags)),
        "blocks": sorted(map(_described_block, frame._mgr.blocks)),
        "attrs": (frame.attrs, repr(frame.flags)),
    }


def _described_index(index: pd.Index) -> tuple[Any, ...]:
    return type(index), repr(index.dtype), index.tolist(), list(map(type, index.tolist())), index.names


def _described_column(column: pd.Series) -> Any:
    if isinstance(column.dtype, np.dtype) and column.dtype != object:
        return column.to_numpy().tobytes()
    return type(column.array), [(type(cell), repr(cell)) for cell in column.tolist()]


def _described_block(block: Any) -> tuple[Any, ...]:
    values = block.values
    memory: Any = type(values)
    if isinstance(values, np.ndarray):
        memory = values.strides, values.flags.c_contiguous, values.flags.writeable, values.flags.aligned
    return block.mgr_locs.as_array.tolist(), repr(values.dtype), values.shape, memory
