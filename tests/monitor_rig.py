"""A real MLflow, a tiny registered model, and traffic that goes the way of the data: spool, loader, store."""

import json
import shutil
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sqlalchemy import Engine

from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.settings import MonitorSettings, ReportSettings
from driftline.monitor.training.reference import BuiltReference, build, save
from driftline.store.engine import open_engine
from driftline.store.loader.loader import Loader
from driftline.store.loader.settings import LoaderSettings
from driftline.store.records import Arm, Invocation, ModelIdentity, new_invocation_id, now_us
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

with warnings.catch_warnings():  # MLflow's modules warn of each other's type hints when they are imported
    warnings.simplefilter("ignore")
    import mlflow.pyfunc.scoring_server
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache, _use_tracking_uri

MINUTE_US = 60_000_000
COLUMNS = ["age", "income", "tenure"]


def rows(count: int, seed: int, **shift: float) -> pd.DataFrame:
    """Normal features; ``shift`` moves a column by so many standard deviations."""
    values = np.random.default_rng(seed).normal(size=(count, len(COLUMNS)))
    return pd.DataFrame(values, columns=COLUMNS) + pd.Series({c: shift.get(c, 0.0) for c in COLUMNS})


@dataclass(frozen=True)
class TinyModel:
    """A registered regression on three columns, its training rows, and a reference built from them."""

    uri: str
    run_id: str
    model_id: str
    training: pd.DataFrame
    built: BuiltReference

    def named(self, name: str, version: str = "1") -> BuiltReference:
        """The same reference for another model, which the store knows and MLflow does not."""
        uri = f"models:/{name}/{version}"
        identity = replace(self.built.identity, name=name, version=version, uri=uri, run_id=None, model_id=None)
        return replace(self.built, identity=identity)


@dataclass(frozen=True)
class Template:
    """An MLflow with one model in its registry: making one takes seconds, copying it does not."""

    folder: Path
    model: TinyModel


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Train and register the model once."""
    folder = tmp_path_factory.mktemp("template") / "mlflow"
    folder.mkdir()
    with _use_tracking_uri(f"sqlite:///{folder / 'mlflow.sqlite'}"):
        mlflow.create_experiment("training", artifact_location=str(folder / "artifacts"))
        return Template(folder, register("tiny"))


def register(name: str, *, signed: bool = True, width: str = "float64") -> TinyModel:
    """Train and register a model in the current MLflow; ``width`` is the type of its decimal columns."""
    training = rows(3_000, seed=1)
    training = training.astype(dict.fromkeys(training.select_dtypes("float64").columns, width))
    model = LinearRegression().fit(training, training["age"] - 2 * training["income"])
    mlflow.set_experiment("training")
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=name,
            signature=infer_signature(training, model.predict(training)) if signed else None,
            pip_requirements=[],
        )
    uri, link = f"models:/{name}/{info.registered_model_version}", MlflowLink()
    built = build(link, link.resolve(uri), training, "training rows") if signed else None
    return TinyModel(uri, run.info.run_id, info.model_id, training, built)  # type: ignore[arg-type]


@pytest.fixture
def tracking(template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[mlflow.MlflowClient]:
    """A client of this test's own MLflow, which holds the model ``tiny`` in version 1."""
    folder = tmp_path / "mlflow"
    shutil.copytree(template.folder, folder)
    with closing(sqlite3.connect(folder / "mlflow.sqlite")) as database, database:
        for table, column in (
            ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
            ("model_versions", "storage_location"), ("model_versions", "source"),
        ):  # fmt: skip
            moved = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            database.execute(moved, (str(template.folder), str(folder)))
    _artifact_repos_cache.clear()  # it knows runs by their ids, which the copies share
    uri = f"sqlite:///{folder / 'mlflow.sqlite'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(tmp_path)
    with _use_tracking_uri(uri):  # ends with the test, whatever the test sets
        yield mlflow.MlflowClient()


@pytest.fixture
def tiny(template: Template, tracking: mlflow.MlflowClient) -> TinyModel:
    """The registered version."""
    return template.model


@pytest.fixture
def context(store_url: str, tmp_path: Path, tracking: mlflow.MlflowClient) -> Iterator[JobContext]:
    """What jobs work with, once on each engine."""
    engine = open_engine(store_url)
    yield job_context(engine, tmp_path / "home")
    engine.dispose()


@pytest.fixture
def sqlite_context(sqlite_url: str, tmp_path: Path, tracking: mlflow.MlflowClient) -> Iterator[JobContext]:
    """What jobs work with, on SQLite: for what does not depend on the engine."""
    engine = open_engine(sqlite_url)
    yield job_context(engine, tmp_path / "home")
    engine.dispose()


def job_context(engine: Engine, home: Path) -> JobContext:
    home.mkdir()
    return JobContext(engine, home, MonitorSettings(), ReportSettings(), DriftSettings())


def at(context: JobContext, at_us: int) -> JobContext:
    """Return the context with a clock that stands still."""
    return replace(context, clock=lambda: at_us)


def send(
    context: JobContext,
    model: TinyModel | ModelIdentity,
    frame: pd.DataFrame,
    at_us: int | None = None,
    arm: Arm = Arm.CHAMPION,
    answers: Callable[[pd.DataFrame], "pd.Series[float]"] = lambda part: part.sum(axis=1),
) -> ModelIdentity:
    """Have the rows answered: invocations of 50 rows go into a spool and from there into the store."""
    identity = model.built.identity if isinstance(model, TinyModel) else model
    received = now_us() if at_us is None else at_us
    spool = Spool.open(_folder(context), SpoolSettings(ring_bytes=1 << 20, overflow_bytes=1 << 20))
    index = spool.declare_model(identity)
    for start in range(0, len(frame), 50):
        part = frame[start : start + 50]
        answer = answers(part).tolist()
        invocation = Invocation(
            id=new_invocation_id(received), received_at_us=received, status=200, arm=arm, latency_us=1000,
            content_type=b"application/json", client_request_id=b"",
            request=json.dumps({"dataframe_split": part.to_dict(orient="split", index=False)}).encode(),
            response=json.dumps({"predictions": answer}).encode(),
        )  # fmt: skip
        spool.append(index, invocation.pack(), received)
    spool.close()
    load(context)
    return identity


def save_reference(context: JobContext, model: TinyModel | BuiltReference) -> None:
    """Put the model's reference into the store, as `driftline reference build` does."""
    save(context.engine, model.built if isinstance(model, TinyModel) else model, context.home)


def load(context: JobContext) -> None:
    """Move everything from the spools to the store."""
    Loader(context.engine, _folder(context), LoaderSettings()).load_once()


def _folder(context: JobContext) -> Path:
    folder = context.home / "spool"
    folder.mkdir(exist_ok=True)
    return folder
