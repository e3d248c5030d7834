"""Where the bins of a numeric column lie: cut once from the reference, the same for every profile after.

Three sets of edges are united:

- quantile edges: they bound the error of every distribution-function distance by the mass between two of them;
- edges with density proportional to the square root of the reference's density: of all placings these give the
  least error of an area between two distribution functions, because wide tails get bins too;
- atoms: a value that holds at least one ``1 / bins`` of the rows is a bin ``[v, nextafter(v))`` of its own.

A discrete reference (at most half as many values as bins) has an atom per value and its gaps subdivided, so that live
values off its grid are still located. Both ends are open: ``edges[0]`` is the least reference value and ``edges[-1]``
the float after the greatest, so whatever falls outside was never seen in the reference.
"""

import numpy as np
from numpy.typing import NDArray

QUANTILE_BINS = 256
DENSITY_BINS = 256
BINS = QUANTILE_BINS + DENSITY_BINS

# Beyond this the width of a bin would overflow.
LARGEST = 1e300


def cut_edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return strictly increasing edges, shape (edges,), for the finite values of a reference column.

    Args:
        values: the column without missing and infinite values, any order, shape (rows,). Without any row the
            edges enclose the single value 0.
    """
    ordered = np.sort(np.clip(values, -LARGEST, LARGEST)) + 0.0  # -0.0 becomes 0.0
    if ordered.size == 0:
        ordered = np.zeros(1)
    distinct, counts = np.unique(ordered, return_counts=True)
    if 2 * distinct.size <= BINS:
        return np.unique(np.concatenate([_atoms(distinct), _gap_edges(distinct)]))
    atoms = distinct[counts * BINS >= ordered.size]
    return np.unique(
        np.concatenate(
            [
                _order_statistics(ordered, QUANTILE_BINS),
                _density_edges(ordered),
                _atoms(atoms),
                distinct[:1],
                np.nextafter(distinct[-1:], np.inf),
            ]
        )
    )


def _atoms(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([values, np.nextafter(values, np.inf)])


def _order_statistics(ordered: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    positions = (np.arange(1, bins) * (ordered.size / bins)).astype(np.int64)
    return ordered[np.minimum(positions, ordered.size - 1)]


def _density_edges(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    knots = np.unique(np.concatenate([ordered[:1], _order_statistics(ordered, 8 * DENSITY_BINS), ordered[-1:]]))
    mass = np.diff(np.searchsorted(ordered, knots, side="right")) / ordered.size
    # sqrt(density) * width == sqrt(mass * width)
    weight = np.concatenate([[0.0], np.cumsum(np.sqrt(mass) * np.sqrt(np.diff(knots)))])
    if not weight[-1] > 0:
        return knots
    edges: NDArray[np.float64] = np.interp(np.linspace(0, weight[-1], DENSITY_BINS + 1)[1:-1], weight, knots)
    return edges


def _gap_edges(distinct: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return edges inside the gaps: half of the spare bins to every gap alike, half by the gap's width."""
    spare = BINS - 2 * distinct.size
    widths = np.diff(distinct)
    if widths.size == 0 or spare <= 0:
        return np.empty(0)
    shares = 0.5 / widths.size + 0.5 * widths / widths.sum()
    pieces = 1 + (shares * spare).astype(np.int64)
    inner = [
        low + width * (np.arange(1, count) / count)
        for low, width, count in zip(distinct[:-1], widths, pieces, strict=True)
    ]
    return np.concatenate(inner)
