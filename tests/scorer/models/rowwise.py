"""A model from code whose answer to a row depends on that row alone; ``act`` makes the whole call fail or last."""

import os
import time

import mlflow
import numpy as np


class Rowwise(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        acts = set(model_input["act"])
        if "fail" in acts:
            raise ValueError("a marked row")
        if "sleep" in acts:
            time.sleep(float(os.environ.get("ROWWISE_SLEEP_SECONDS", "3")))
        if "spin" in acts:
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                pass
        if "short" in acts:
            return np.array([0.0])
        return model_input["x"].to_numpy() * 3 + 1


mlflow.models.set_model(Rowwise())
