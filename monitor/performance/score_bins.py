"""The bins that probabilities are counted in: fine everywhere in [0, 1], and finer the nearer to 0 and 1.

Equal bins alone would put the scores of a rare event, all below 0.01 say, into a handful of them; so half of the edges
are equally spaced and half are so in log odds. All tenths are edges, for the ten bins of calibration.
"""

import functools

import numpy as np
from numpy.typing import NDArray

_EQUAL = 500
_LOG_ODDS = 501
_FARTHEST = 14.0  # log odds of 0.999999


@functools.cache
def score_edges() -> NDArray[np.float64]:
    """Return the edges of the bins, rising from 0 to 1; a bin holds its lower edge, the last one both."""
    equal = np.arange(_EQUAL + 1) / _EQUAL
    odds = 1 / (1 + np.exp(-np.linspace(-_FARTHEST, _FARTHEST, _LOG_ODDS)))
    edges = np.unique(np.concatenate([equal, odds]))
    edges.flags.writeable = False
    return edges


def score_bins(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each score of [0, 1], shape (rows,)."""
    edges = score_edges()
    return np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, edges.size - 2).astype(np.int64)


def score_histogram(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the rows per bin, shape (2, bins): first those whose label is False, then those whose label is True."""
    bins = score_edges().size - 1
    return np.bincount(labels * bins + score_bins(scores), minlength=2 * bins).reshape(2, bins)
