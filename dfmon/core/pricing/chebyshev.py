"""Chebyshev interpolation on [-1, 1]: a smooth sum is taken on a few nodes, and one matrix product carries it on.

What does not depend on the board is made once and kept.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dfmon.core.pricing.black import F64


@lru_cache
def nodes(count: int) -> F64:
    """Chebyshev nodes of the first kind on [-1, 1], descending.

    Shapes: -> (count,).
    Domain: count >= 1.
    Source: Berrut & Trefethen, Barycentric Lagrange interpolation (SIAM Review, 2004), section 5.
    """
    return np.asarray(np.cos((np.arange(count) + 0.5) * (np.pi / count)))


def interpolation_matrix(count: int, points: F64) -> F64:
    """The matrix that takes values on the nodes to the points `points` of [-1, 1].

    Shapes: (m,) -> (count, m).
    Domain: -1 <= points <= 1; count >= 1.
    Source: Berrut & Trefethen, Barycentric Lagrange interpolation (SIAM Review, 2004), eqs. 4.2 and 5.4.

    >>> (nodes(8) ** 5 @ interpolation_matrix(8, np.array([0.0, 0.3]))).round(12).tolist()
    [0.0, 0.00243]
    """
    distance = points - nodes(count)[:, None]
    if not distance.all():
        distance[distance == 0.0] = 1e-30  # so large a weight that the value at the node is all that counts
    weights = np.sin((np.arange(count) + 0.5) * (np.pi / count))
    weights[1::2] *= -1.0
    matrix = np.divide(weights[:, None], distance, distance)
    matrix *= 1.0 / matrix.sum(axis=0)
    return np.asarray(matrix)


@lru_cache
def refinement_matrix(count: int, finer_count: int) -> F64:
    """From one set of nodes to a finer one.

    Shapes: -> (count, finer).
    Domain: counts >= 1.
    Source: as `interpolation_matrix`.
    """
    return interpolation_matrix(count, nodes(finer_count))
