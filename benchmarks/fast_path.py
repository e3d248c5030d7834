"""One request in process: MLflow's ``invocations`` beside the fast path's parse, predict and encode.

A logistic regression of 20 doubles. The ways are timed in turns, so that a noisy machine meets all of them; the table
holds medians in microseconds. Run: ``python benchmarks/fast_path.py [--rounds 300]``.
"""

import argparse
import gc
import json
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

ROWS = (1, 10, 100, 1000)
FEATURES = [f"f{i:02d}" for i in range(20)]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=300)
    options = arguments.parse_args()
    warnings.simplefilter("ignore")  # of MLflow's own type hints
    model, estimator = _model()
    print(
        f"{'rows':>5} {'MLflow':>9} {'fast path':>9} {'ratio':>6} {'model':>7} {'parse':>7} {'frame':>6} {'encode':>6}"
    )
    for rows in ROWS:
        found = _measure(model, estimator, rows, options.rounds)
        print(
            f"{rows:5d} {found['mlflow']:9.0f} {found['fast']:9.0f} {found['mlflow'] / found['fast']:5.1f}x"
            f" {found['model']:7.0f} {found['parse']:7.1f} {found['frame']:6.1f} {found['encode']:6.1f}"
        )
    print("model: the estimator's own predict on a DataFrame that is used again and again")


def _model() -> tuple[Any, Any]:
    from mlflow.models import Model, infer_signature
    from mlflow.pyfunc import PyFuncModel
    from mlflow.sklearn import _SklearnModelWrapper
    from sklearn.linear_model import LogisticRegression

    data = pd.DataFrame(np.random.default_rng(7).normal(size=(500, len(FEATURES))), columns=FEATURES)
    estimator = LogisticRegression().fit(data, data.f00 > data.f01)
    metadata = Model(signature=infer_signature(data, estimator.predict(data)))
    return PyFuncModel(metadata, _SklearnModelWrapper(estimator)), estimator


def _measure(model: Any, estimator: Any, rows: int, rounds: int) -> dict[str, float]:
    from mlflow.pyfunc import scoring_server

    from driftline.scorer.fast_path import FastPath

    fast_path = FastPath.for_model(model)
    cells = np.random.default_rng(rows).normal(size=(rows, len(FEATURES)))
    body = json.dumps({"dataframe_split": {"columns": FEATURES, "data": cells.tolist()}}).encode()
    schema = model.metadata.get_input_schema()
    frame = fast_path and fast_path.parse(body)
    if fast_path is None or frame is None:
        raise SystemExit("the fast path does not take the benchmark's own request")
    data, raw = frame.data_frame, fast_path.predict(frame)
    ways: dict[str, Callable[[], Any]] = {
        "mlflow": lambda: scoring_server.invocations(body, "application/json", model, schema),
        "fast": lambda: fast_path.encode(fast_path.predict(fast_path.parse(body) or frame)),
        "model": lambda: estimator.predict(data),
        "parse": lambda: fast_path.parse(body),
        "frame": lambda: frame.data_frame,
        "encode": lambda: fast_path.encode(raw),
    }
    gc.collect()
    gc.freeze()  # as a worker does when its model is loaded
    return _medians(ways, rounds)


def _medians(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    taken: dict[str, list[int]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.perf_counter_ns()
            way()
            taken[name].append(time.perf_counter_ns() - begin)
    return {name: statistics.median(times) / 1000 for name, times in taken.items()}


if __name__ == "__main__":
    main()
