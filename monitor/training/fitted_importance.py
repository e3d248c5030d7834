"""How much a fitted scikit-learn estimator relies on each of its inputs, by what the fit itself left behind.

``feature_importances_`` as they stand; of ``coef_`` the absolute value times the feature's standard deviation, so that
units do not matter. Through a pipeline they are added up per input wherever the transformed features carry the inputs'
names, as scaling, imputing and one-hot encoding do; PCA does not.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

_WRAPPED_IN = ("best_estimator_", "regressor_")  # of a search over parameters, of a transformed target


def fitted_importances(estimator: Any, features: "pd.DataFrame") -> tuple[dict[str, float], str] | None:
    """Return the importance of each input by its name, and where it came from.

    Args:
        estimator: fitted; anything that follows scikit-learn's conventions.
        features: some of the rows that it was fitted on, its inputs as columns.

    Returns:
        Importances of at least 0, on no particular scale; None where the estimator has none or the names do not map.
    """
    for name in _WRAPPED_IN:
        estimator = getattr(estimator, name, estimator)
    steps = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
    try:
        origins, entering = _entering(estimator, steps, features)
        weights = _weights(steps[-1], entering)
    except Exception:  # steps without names, inputs of another shape: an estimator may be anything
        return None
    if weights is None or origins is None or weights[0].shape != (len(origins),):
        return None
    totals = dict.fromkeys(map(str, features.columns), 0.0)
    for origin, weight in zip(origins, weights[0].tolist(), strict=True):
        totals[origin] += weight
    return totals, f"{weights[1]} of {type(steps[-1]).__name__}"


def _entering(
    estimator: Any, steps: Sequence[Any], features: "pd.DataFrame"
) -> tuple[list[str] | None, NDArray[np.float64] | None]:
    """Return the input that each feature of the last step comes from, and the features' values if needed."""
    names = [str(name) for name in features.columns]
    valued = not hasattr(steps[-1], "feature_importances_")
    if len(steps) == 1:
        return names, features.to_numpy(np.float64) if valued else None
    before = estimator[:-1]
    origins = [_origin(str(name), names) for name in before.get_feature_names_out()]
    if None in origins:
        return None, None
    values = _dense(before.transform(features)) if valued else None
    return [str(origin) for origin in origins], values


def _origin(feature: str, inputs: Sequence[str]) -> str | None:
    """Return the input that a transformed feature is named after: ``plan``, ``plan_B``, ``cat__plan_B``."""
    for name in (feature, feature.partition("__")[2]):
        found = [each for each in inputs if name == each or name.startswith(f"{each}_")]
        if found:
            return max(found, key=len)
    return None


def _dense(values: Any) -> NDArray[np.float64]:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, np.float64)


def _weights(last: Any, entering: NDArray[np.float64] | None) -> tuple[NDArray[np.float64], str] | None:
    for source in ("feature_importances_", "coef_"):
        found = getattr(last, source, None)
        if found is None:
            continue
        found = np.abs(_dense(found))
        if source == "coef_":
            found = found.reshape(-1, found.shape[-1]).mean(axis=0)
            if entering is not None:
                found = found * np.nanstd(entering, axis=0)
        return found, source
    return None
