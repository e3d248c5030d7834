"""A model from code that multiplies, or fails where its configuration says so."""

import os
import time

import mlflow
import numpy as np


class Scaled(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.config = context.model_config
        self.weights = np.full(1_000_000, self.config["factor"], dtype=np.float64)
        self.cycle = [self]  # what only the garbage collector frees
        if "SCALED_IS_LOGGED" in os.environ:  # MLflow loads a model that it logs
            return
        fault = self.config.get("fault")
        if fault == "load":
            raise RuntimeError("the weights are torn\nin two")
        if fault == "leave":
            raise SystemExit(4)
        if fault == "die":
            os._exit(9)
        if fault == "linger":
            time.sleep(3600)

    def predict(self, context, model_input, params=None):
        fault = self.config.get("fault")
        if fault == "predict":
            raise ValueError("no row is good enough")
        if fault == "exit":
            raise SystemExit(5)
        if fault == "slow":
            time.sleep(0.3)
        return model_input["x"] * self.weights[0]


mlflow.models.set_model(Scaled())
