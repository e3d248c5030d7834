"""A model from code, without signature: it does what the first cell says, else it returns what it got."""

import datetime
import decimal
import time

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, RESOURCE_DOES_NOT_EXIST


class Actor(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        first = model_input.iloc[0, 0] if isinstance(model_input, pd.DataFrame) and model_input.size else None
        act = getattr(self, f"act_{first}", None) if isinstance(first, str) else None
        return act() if act else model_input

    def act_raise(self):
        raise ValueError("the model's own words")

    def act_not_found(self):
        raise MlflowException("no such thing", error_code=RESOURCE_DOES_NOT_EXIST)

    def act_internal(self):
        raise MlflowException("broken inside", error_code=INTERNAL_ERROR)

    def act_sleep(self):
        time.sleep(3)

    def act_doze(self):
        time.sleep(0.6)
        return ["awake"]

    def act_exit(self):
        raise SystemExit(1)

    def act_set(self):
        return {1}

    def act_decimal(self):
        return [decimal.Decimal("1.5")]

    def act_nan(self):
        return np.array([np.nan, np.inf, -np.inf])

    def act_float32(self):
        return np.array([0.1], dtype=np.float32)

    def act_bytes(self):
        return b"ab"

    def act_datetime(self):
        return [datetime.datetime(2024, 1, 1, 12, 30)]  # noqa: DTZ001

    def act_frame(self):
        return pd.DataFrame({"x": [1, 2], "y": ["a", None]})

    def act_series(self):
        return pd.Series([1.5, 2.5], name="pred")

    def act_text(self):
        return "für Ärger \u2028 ☃"

    def act_none(self):
        return None


mlflow.models.set_model(Actor())
