"""A pyfunc like a given one that keeps what it is asked instead of answering it."""

import copy
from collections.abc import Sequence
from typing import Any

from driftline.scorer.fast_path.signature import ScalarSignature
from driftline.store.prediction_columns import ColumnType

_COLUMNS_PER_TYPE = 3


class Recorder:
    """Stands in the place of a model and keeps what MLflow hands over: the data, the parameters and the context."""

    def __init__(self) -> None:
        self.seen: tuple[Any, ...] = ()

    def predict(self, data: Any, params: Any = None) -> list[int]:
        from mlflow.pyfunc.context import get_prediction_context

        self.seen = (data, params, dict(vars(get_prediction_context())))
        return [0]


def recording_model(model: Any, names: Sequence[str]) -> Any:
    """Return a pyfunc with the metadata of ``model``, these of its columns and a recorder inside."""
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import PyFuncModel
    from mlflow.types import Schema

    metadata = copy.copy(model.metadata)
    specs = {spec.name: spec for spec in model.metadata.get_input_schema().inputs}
    params = model.metadata.get_params_schema()
    metadata.signature = ModelSignature(inputs=Schema([specs[name] for name in names]), params=params)
    return PyFuncModel(model_meta=metadata, model_impl=Recorder(), model_id=model.model_id)


def sample_names(signature: ScalarSignature) -> list[str]:
    """Return a few columns of each type, required and optional: how a type is treated does not depend on how many."""
    chosen: dict[tuple[ColumnType, bool], list[str]] = {}
    for name, type_ in signature.types.items():
        chosen.setdefault((type_, name in signature.required), []).append(name)
    few = {name for names in chosen.values() for name in names[:_COLUMNS_PER_TYPE]}
    return [name for name in signature.names if name in few]
