"""The call of the model, with what MLflow's ``PyFuncModel.predict`` puts around it."""

import inspect
from typing import Any

import pandas as pd

from driftline.scorer.fast_path.signature import NotTaken


class Prediction:
    """Calls what the pyfunc calls, without enforcing the schema a second time.

    Raises:
        NotTaken: the model does more in ``predict`` than the installed MLflow's own class.
    """

    def __init__(self, model: Any) -> None:
        from mlflow.pyfunc import PyFuncModel
        from mlflow.pyfunc.context import Context, get_prediction_context, set_prediction_context

        if type(model) is not PyFuncModel or {"predict", "_predict"} & vars(model).keys():
            raise NotTaken("it is not a plain pyfunc of MLflow")
        if (model.metadata.metadata or {}).get("dependencies_schemas"):
            raise NotTaken("it tells MLflow's tracing about its dependencies")
        parameter = inspect.signature(model._predict_fn).parameters.get("params")
        self.passes_params = parameter is not None and parameter.kind is not inspect.Parameter.VAR_KEYWORD
        self._model = model
        self._new_context = Context
        self._current_context = get_prediction_context
        self._within = set_prediction_context

    def __call__(self, data: pd.DataFrame, params: Any) -> Any:
        """Return what the model returns.

        Raises:
            BaseException: what the model raises.
        """
        context = self._current_context() or self._new_context()
        with self._within(context):
            if self._model.model_id:
                context.update(model_id=self._model.model_id)
            if self.passes_params:
                return self._model._predict_fn(data, params=params)
            return self._model._predict_fn(data)
