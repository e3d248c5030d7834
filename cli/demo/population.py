"""The demo's data and model: the RAND Health Insurance Experiment, 20,190 person-years that ship with statsmodels.

Families were assigned at random to insurance plans. The model learns who sees a doctor at least twice a year on the
plans that pay all or three quarters of a bill; the shifted traffic comes from families on the plans that pay half or
less. Because the assignment
was random, what describes the plan moves (`lncoins`, `lpi`, `fmde`, and `idp` a little) and what describes people's
health (`physlm`, `disea`, `hlthg`, `hlthf`, `hlthp`) does not: a drift monitor should say exactly that.

Source: Newhouse, J. P. and the Insurance Experiment Group (1993), Free for All?; columns as in Deb and Trivedi (2002).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MODEL = "doctor-visits"
TARGET = "two_visits"  # 1: at least two in the year
_VISITS = "mdvis"
# ln(coinsurance rate in percent + 1): 25 % and below were trained on.
_GENEROUS_LNCOINS = 3.3
_HELD_OUT_ROWS = 3_000
_SEED = 20_190


@dataclass(frozen=True, slots=True)
class Population:
    """Three disjoint samples of person-years: to train on, held out from the same plans, and from the other plans.

    Each has the column ``TARGET`` beside the model's inputs.
    """

    training: "pd.DataFrame"
    like_training: "pd.DataFrame"
    shifted: "pd.DataFrame"


def load_population() -> Population:
    """Read the experiment and split it by plan; rows are shuffled with a fixed seed."""
    from statsmodels.datasets import randhie

    people = randhie.load_pandas().data.sample(frac=1, random_state=_SEED).reset_index(drop=True)
    people[TARGET] = (people.pop(_VISITS) >= 2).astype("int64")
    generous = people[people["lncoins"] <= _GENEROUS_LNCOINS]
    return Population(
        training=generous[_HELD_OUT_ROWS:].reset_index(drop=True),
        like_training=generous[:_HELD_OUT_ROWS].reset_index(drop=True),
        shifted=people[people["lncoins"] > _GENEROUS_LNCOINS].reset_index(drop=True),
    )


def train_and_register(training: "pd.DataFrame", alias: str = "champion") -> str:
    """Train on the rows, log the model to the current MLflow, register it, and return ``models:/name/version``."""
    import mlflow
    from mlflow.models import infer_signature
    from sklearn.metrics import roc_auc_score

    from driftline.cli.demo.classifier import ProbableClassifier

    features = training.drop(columns=TARGET)
    mlflow.set_experiment(MODEL)
    with mlflow.start_run(run_name="train"):
        model: Any = ProbableClassifier.of_defaults().fit(features, training[TARGET])
        answers = model.predict(features)
        mlflow.log_metric("training_roc_auc", roc_auc_score(training[TARGET], answers["probability"]))
        # MLflow warns that integer inputs cannot hold missing values.
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="cloudpickle",  # the default holds no classes but scikit-learn's own
            registered_model_name=MODEL,
            input_example=features.head(5),
            signature=infer_signature(features, answers),
        )
    version = str(info.registered_model_version)
    mlflow.MlflowClient().set_registered_model_alias(MODEL, alias, version)
    return f"models:/{MODEL}/{version}"
