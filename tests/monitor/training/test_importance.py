"""What a model relies on: by its fit, by shuffling columns, by the user; and drifted columns ranked by it."""

from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from monitor_rig import TinyModel, rows, send
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from driftline.monitor.frames import TrainingDataMismatch
from driftline.monitor.jobs import drift_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.judge import judge
from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.training import reference
from driftline.monitor.training.fitted_importance import fitted_importances
from driftline.monitor.training.permutation_importance import permutation_importances
from driftline.store.profile.reference import Reference
from driftline.store.records import now_us


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    count = 2_000
    return pd.DataFrame(
        {
            "age": rng.normal(40, 10, count),
            "income": rng.normal(50_000, 9_000, count),
            "plan": rng.choice(["A", "B", "C"], count),
            "plan_code": rng.integers(0, 5, count).astype(float),
        }
    )


@pytest.fixture(scope="module")
def spent(customers: pd.DataFrame) -> Any:
    """Income decides most, the plan some, age and code nothing."""
    return (customers["income"] / 9_000 + 0.5 * (customers["plan"] == "B")).to_numpy()


def _encoded(last: Any) -> Any:
    numbers = ("scale", StandardScaler(), ["age", "income", "plan_code"])
    return make_pipeline(ColumnTransformer([numbers, ("encode", OneHotEncoder(), ["plan"])]), last)


@pytest.mark.parametrize("last", [LinearRegression(), RandomForestRegressor(20, random_state=0)])
def test_importances_come_through_a_pipeline_to_the_inputs(customers: pd.DataFrame, spent: Any, last: Any) -> None:
    found = fitted_importances(_encoded(last).fit(customers, spent), customers)
    assert found is not None
    importances, source = found
    assert sorted(importances, key=lambda name: -importances[name])[:2] == ["income", "plan"]
    assert importances["age"] + importances["plan_code"] < 0.05 * importances["income"]
    assert source.endswith(f"of {type(last).__name__}")


def test_coefficients_are_weighed_by_the_spread_of_their_feature(customers: pd.DataFrame, spent: Any) -> None:
    numbers = customers[["age", "income"]]
    found = fitted_importances(LinearRegression().fit(numbers, spent), numbers)
    assert found is not None
    assert found[0]["income"] > 10 * found[0]["age"]  # its coefficient alone is a ten-thousandth


def test_the_estimator_that_a_search_found_is_asked(customers: pd.DataFrame, spent: Any) -> None:
    numbers = customers[["age", "income"]]
    search = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [1.0]}, cv=2)
    found = fitted_importances(search.fit(numbers, spent > np.median(spent)), numbers)
    assert found is not None
    assert found[1] == "coef_ of LogisticRegression"


def test_features_that_carry_no_inputs_name_have_no_importances(customers: pd.DataFrame, spent: Any) -> None:
    numbers = customers[["age", "income"]]
    assert fitted_importances(make_pipeline(PCA(2), LinearRegression()).fit(numbers, spent), numbers) is None
    assert fitted_importances(object(), numbers) is None


@pytest.mark.parametrize("as_probabilities", [False, True])
def test_shuffling_columns_finds_what_any_model_relies_on(
    customers: pd.DataFrame, spent: Any, as_probabilities: bool
) -> None:
    labels = np.where(spent > np.median(spent), "much", "little").astype(object)
    numbers = customers[["age", "income", "plan_code"]]
    model = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(numbers, labels)
    predict = model.predict_proba if as_probabilities else model.predict
    found = permutation_importances(predict, numbers, labels)
    assert found is not None
    assert found["income"] > 10 * (found["age"] + found["plan_code"])
    assert found == permutation_importances(predict, numbers, labels)


def test_answers_of_another_shape_than_the_labels_measure_nothing(customers: pd.DataFrame) -> None:
    numbers = customers[["age"]]
    assert permutation_importances(lambda frame: np.zeros((len(frame), 7)), numbers, np.arange(len(numbers))) is None
    assert permutation_importances(len, numbers, np.full(len(numbers), np.nan)) is None


def _register(name: str, model: Any, training: pd.DataFrame) -> str:
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=name,
            signature=infer_signature(training, model.predict(training)),
            pip_requirements=[],
            serialization_format="cloudpickle",
        )
    return f"models:/{name}/{info.registered_model_version}"


def test_a_drifting_column_that_the_model_ignores_does_not_lead(sqlite_context: JobContext, tiny: TinyModel) -> None:
    """The model is age - 2 * income: tenure moves most of all and counts nothing."""
    reference.save(sqlite_context.engine, tiny.built, sqlite_context.home)
    assert tiny.built.reference.importances_from == "coef_ of LinearRegression"
    send(sqlite_context, tiny, rows(1_500, seed=2, tenure=3.0, income=0.5, age=0.6))
    outcome = drift_job.run(sqlite_context).outcomes["tiny/1"]
    assert outcome.message.endswith("drift in prediction, income, age, tenure")
    version, now = sqlite_context.watched()[0], now_us()
    with sqlite_context.engine.connect() as connection:
        judged = judge(connection, version, version.arms[0], (now - 3_600_000_000, now), sqlite_context.drift)
    assert judged is not None
    assert [d.name for d in judged.ranked] == ["prediction", "income", "age", "tenure"]
    shares = {d.name: judged.importance(d) for d in judged.drifts}
    assert shares["income"] == pytest.approx(2 / 3, abs=0.02)
    assert shares["tenure"] == pytest.approx(0, abs=0.01)
    assert shares["prediction"] is None


def test_labels_let_a_model_be_measured_whose_fit_says_nothing(tiny: TinyModel) -> None:
    training = rows(1_000, seed=5)
    labels = (training["income"] > 0).to_numpy()
    link = MlflowLink()
    identity = link.resolve(
        _register("boosted", HistGradientBoostingClassifier(max_iter=10).fit(training, labels), training)
    )
    assert reference.build(link, identity, training, "rows").reference.importances is None
    built = reference.build(link, identity, training.assign(bought=labels), "rows", labels="bought").reference
    assert built.importances is not None
    assert built.importances["in_income"] > 0.9
    assert "shuffling" in built.importances_from
    again = Reference.from_bytes(built.to_bytes())
    assert again.importances == built.importances
    assert again.importances_from == built.importances_from


def test_importances_that_the_user_gives_come_before_the_models(tiny: TinyModel) -> None:
    link, given = MlflowLink(), {"tenure": 3, "age": 1.0}
    built = reference.build(link, tiny.built.identity, tiny.training, "rows", importances=given).reference
    assert built.importances == {"in_age": 0.25, "in_income": 0.0, "in_tenure": 0.75}
    assert built.importances_from == "given"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tenor": 1.0}, "importances name tenor, which the model does not take: it takes age, income, tenure"),
        ({"age": -1.0}, "numbers of at least 0"),
        ({"age": "much"}, "numbers of at least 0"),
        ({"age": 10**400}, "numbers of at least 0"),
        ({"age": 1e308, "income": 1e308}, "numbers of at least 0"),
        ({"age": 0.0}, "all 0"),
    ],
)
def test_importances_that_cannot_be_are_refused(tiny: TinyModel, given: Any, said: str) -> None:
    with pytest.raises(TrainingDataMismatch, match=said):
        reference.build(MlflowLink(), tiny.built.identity, tiny.training, "rows", importances=given)


@pytest.mark.parametrize(("labels", "said"), [("age", "is an input"), ("absent", "is not in the data.*there is left")])
def test_a_column_of_labels_that_cannot_be_is_named(tiny: TinyModel, labels: str, said: str) -> None:
    data = tiny.training.assign(left=0)
    with pytest.raises(TrainingDataMismatch, match=f"labels {labels} {said}"):
        reference.build(MlflowLink(), tiny.built.identity, data, "rows", labels=labels)
