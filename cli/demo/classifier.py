"""The demo's model: a logistic regression that answers with the class and its probability.

A module of its own, as scikit-learn is imported with it; the model is served where driftline is installed.
"""

from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    import pandas as pd


class ProbableClassifier(Pipeline):  # type: ignore[misc]  # scikit-learn has no types
    """A pipeline whose answers are the columns ``prediction`` (0 or 1) and ``probability`` (of 1)."""

    @classmethod
    def of_defaults(cls) -> Self:
        """Return scaling and a logistic regression, not fitted yet."""
        return cls([("scale", StandardScaler()), ("classify", LogisticRegression())])

    def predict(self, X: "pd.DataFrame") -> "pd.DataFrame":
        """Return one row of two columns for each row of inputs."""
        import pandas as pd

        probability = self.predict_proba(X)[:, 1]
        return pd.DataFrame({"prediction": (probability >= 0.5).astype(np.int64), "probability": probability})
