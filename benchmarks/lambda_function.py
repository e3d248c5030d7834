"""What it costs that a function stores each request before it returns its answer.

python benchmarks/lambda_function.py [--requests 200] [--delay-ms 1]

The handler of deploy/lambda in this process gets events of API Gateway, one after another as a function does: a row
of 20 doubles for a logistic regression. `answer` is the adapter, the prediction and the wait until the record is on the
disk; `store` is the load into the store. Medians and 95th percentiles in milliseconds, after a warm-up. The last line
has the database behind a proxy that delays every piece each way.
"""

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers
from faulty_network import proxy

from driftline.store import migrate
from driftline.store.engine import open_engine

HANDLER = Path(__file__).parents[1] / "deploy" / "lambda" / "handler.py"
FEATURES = [f"f{i:02d}" for i in range(20)]
WARM_UP = 20


class Context:
    """A function's time that never ends."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--requests", type=int, default=200)
    arguments.add_argument("--delay-ms", type=float, default=1.0)
    options = arguments.parse_args()
    warnings.simplefilter("ignore")  # of MLflow's own type hints
    with tempfile.TemporaryDirectory() as name, servers.postgresql() as server:
        folder = Path(name)
        model = _save_model(folder / "model")
        print(f"{'store':<28} {'start':>7} {'answer':>12} {'store':>12}")
        _measure("SQLite", f"sqlite:///{folder / 'driftline.sqlite'}", model, options.requests)
        _measure("PostgreSQL", server.create_database("near"), model, options.requests)
        url = server.create_database("far")
        with proxy(open_engine(url).url.port or 5432) as way:
            way.delay_seconds = options.delay_ms / 1000
            far = open_engine(url).url.set(host="127.0.0.1", port=way.port).render_as_string(hide_password=False)
            _measure(f"PostgreSQL, {options.delay_ms:g} ms each way", far, model, options.requests)


def _save_model(path: Path) -> Path:
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    data = pd.DataFrame(np.random.default_rng(7).normal(size=(500, len(FEATURES))), columns=FEATURES)
    estimator = LogisticRegression().fit(data, data.f00 > data.f01)
    signature = infer_signature(data, estimator.predict(data))
    mlflow.sklearn.save_model(estimator, path, signature=signature, pip_requirements=[])
    return path


def _measure(name: str, store: str, model: Path, requests: int) -> None:
    engine = open_engine(store)
    migrate.upgrade(engine)
    engine.dispose()
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        with _function(store, model, Path(home)) as function:
            started = time.perf_counter() - began
            answers, stores = [], []
            for number in range(WARM_UP + requests):
                answered, stored = _one(function, _event(number))
                answers.append(answered)
                stores.append(stored)
    shown = " ".join(f"{_shown(times[WARM_UP:]):>12}" for times in (answers, stores))
    print(f"{name:<28} {started:6.1f}s {shown}", flush=True)


@contextmanager
def _function(store: str, model: Path, home: Path) -> Iterator[ModuleType]:
    os.environ |= {
        "DRIFTLINE_STORE": store, "DRIFTLINE_HOME": str(home), "MODEL_URI": str(model),
        "DRIFTLINE_SPOOL_RING_FOLDER": str(home), "DRIFTLINE_SPOOL_MIN_FREE_BYTES": "0",
    }  # fmt: skip
    spec = importlib.util.spec_from_file_location("handler", HANDLER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        yield module
    finally:
        module.scorer.close(10)
        module._loop.close()


def _one(function: ModuleType, event: dict[str, Any]) -> tuple[float, float]:
    begin = time.perf_counter()
    answer = function._answer(event, Context())
    answered = time.perf_counter()
    stored = function.scorer.store_answered(10)
    end = time.perf_counter()
    assert answer["statusCode"] == 200, answer
    assert stored
    return answered - begin, end - answered


def _event(seed: int) -> dict[str, Any]:
    row = np.random.default_rng(seed).normal(size=len(FEATURES)).tolist()
    http = {"method": "POST", "path": "/invocations", "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1"}
    return {
        "version": "2.0", "routeKey": "$default", "rawPath": "/invocations", "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "x.example.org"},
        "requestContext": {"http": http, "stage": "$default"},
        "body": json.dumps({"dataframe_split": {"columns": FEATURES, "data": [row]}}), "isBase64Encoded": False,
    }  # fmt: skip


def _shown(seconds: list[float]) -> str:
    return f"{1000 * statistics.median(seconds):.1f} {1000 * statistics.quantiles(seconds, n=20)[-1]:.1f}"


if __name__ == "__main__":
    main()
