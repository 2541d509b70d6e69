"""The 3-strike x 2-expiry Gaussian: smooths a board of strikes and expiries, holes and all.

Comes after per-node greeks and exposures, before the heat-map. Never before root finding: a smoothed profile has
wider bumps and other zeros. Gather averages intensive fields (sigma, a greek); scatter spreads extensive ones
(USD per node) and keeps their sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing import compiled
from dfmon.core.pricing.black import F64, Mask

StencilMetric: TypeAlias = Literal["log-moneyness", "node"]

STRIKE_BANDWIDTH: Final = 0.5
"""In standard deviations sigma sqrt(T) of the node's own expiry."""
EXPIRY_BANDWIDTH: Final = float(np.log(2.0))
"""In ln T: a doubling of time to expiry."""
MAX_BANDWIDTHS: Final = 3.0
"""Expiries further apart than this many bandwidths do not mix."""
MIN_CONFIDENCE: Final = 0.2
_MIN_WEIGHT_SUM: Final = 1e-300
_SQRT_HALF: Final = math.sqrt(0.5)


@dataclass(frozen=True, slots=True)
class Stencil:
    """Kernel weights of the six neighbours of every node: 1 on the node itself, 0 where there is no neighbour."""

    weights: F64
    """(2, 3, E, N): own and neighbour expiry; strike below, same, above."""
    neighbour: NDArray[np.intp]
    """(E,): the expiry after each one, for the last the one before."""


def stencil(strike: F64, forward: F64, tau: F64, atm_sigma: F64, metric: StencilMetric = "log-moneyness") -> Stencil:
    """Truncated separable Gaussian over {i-1, i, i+1} strikes and {j, j+1} expiries (the last: {j-1, j}).

    Log-moneyness: distances are differences of ln(K/F) over 0.5 sigma sqrt(T), and of ln T over ln 2. Node: index
    differences with bandwidth 1, which gives 0.27407, 0.45186, 0.27407 across and 0.62246, 0.37754 along.

    Units: strike, forward in one currency; tau in years; atm_sigma decimal.
    Shapes: strike (N,), the others (E,).
    Domain: positive and finite, strike and tau strictly ascending, N and E >= 1.
    Source: Nadaraya (1964), Watson (1964): kernel regression with a product kernel.

    >>> s = stencil(np.array([90.0, 100.0, 110.0]), np.array([100.0, 100]), np.array([0.1, 0.2]), np.ones(2), "node")
    >>> six = s.weights[:, :, 0, 1] / s.weights[:, :, 0, 1].sum()
    >>> six.sum(axis=0).round(5).tolist(), six.sum(axis=1).round(5).tolist()
    ([0.27407, 0.45186, 0.27407], [0.62246, 0.37754])
    """
    expiries, strikes = tau.shape[0], strike.shape[0]
    neighbour = np.arange(1, expiries + 1)
    neighbour[-1] = max(expiries - 2, 0)
    kernels = compiled.active_kernels()
    if kernels is not None and metric == "log-moneyness":
        bandwidths = STRIKE_BANDWIDTH, EXPIRY_BANDWIDTH, MAX_BANDWIDTHS
        return Stencil(kernels.stencil(strike, forward, tau, atm_sigma, neighbour, bandwidths), neighbour)
    if metric == "node":
        step, gap, basis = np.ones(strikes - 1), np.ones(expiries), np.zeros(expiries)
        scale = np.full((expiries, 1), _SQRT_HALF)
    else:
        step, gap = np.log(strike[1:] / strike[:-1]), np.log(tau[neighbour] / tau) / EXPIRY_BANDWIDTH
        basis = np.log(forward[neighbour] / forward)
        scale = (_SQRT_HALF / STRIKE_BANDWIDTH) / (atm_sigma * np.sqrt(tau))[:, None]
    along = np.where((np.abs(gap) <= MAX_BANDWIDTHS) & (expiries > 1), -0.5 * gap * gap, -np.inf)
    shift, along = basis[:, None] * scale, along[:, None]
    # to the next strike in an expiry itself, as far up as down; in the other one down, and up
    across, down, up = gaussians = np.empty((3, expiries, strikes - 1))
    np.multiply(step, scale, across)
    np.add(across, shift, down)
    np.subtract(across, shift, up)
    np.multiply(gaussians, gaussians, gaussians)
    np.subtract(0.0, across, across)
    np.subtract(along, gaussians[1:], gaussians[1:])
    np.exp(gaussians, gaussians)
    weights = np.empty((2, 3, expiries, strikes))
    own, other = weights
    own[1], other[1] = 1.0, np.exp(along - shift * shift)
    own[0, :, 1:] = own[2, :, :-1] = across
    other[0, :, 1:], other[2, :, :-1] = down, up
    weights[:, 0, :, 0] = 0.0
    weights[:, 2, :, -1] = 0.0
    return Stencil(weights, neighbour)


def gather(kernel: Stencil, values: F64, certainty: F64) -> tuple[F64, F64]:
    """Normalised convolution of an intensive field, and its confidence.

    u = sum w c f / sum w c. A node of certainty 0 (or of value NaN) is a hole: it gives nothing and is filled from
    its neighbours where they carry enough. The confidence is sum w c / sum w; below 0.2 the result is NaN.

    Units: those of the field; certainty in [0, 1], e.g. a quote's quality.
    Shapes: (E, N), (E, N) -> (E, N), (E, N).
    Source: Knutsson & Westin, Normalized and differential convolution (CVPR 1993), eq. 5.

    >>> k = stencil(np.array([9.0, 10.0, 11.0]), np.ones(1), np.ones(1), np.ones(1), "node")
    >>> gather(k, np.array([[4.0, np.nan, 4.0]]), np.ones((1, 3)))[0].tolist()
    [[4.0, 4.0, 4.0]]
    """
    valid_certainty = np.where(np.isfinite(values) & (certainty > 0.0), certainty, 0.0)
    field = np.where(valid_certainty > 0.0, values, 0.0)
    field *= valid_certainty
    stacked = np.stack([field, valid_certainty])
    weighted, confidence = _weighted_neighbours(kernel.weights, stacked, stacked[:, kernel.neighbour])
    total_weight = kernel.weights.sum(axis=(0, 1))
    relative_confidence = confidence / total_weight
    with np.errstate(all="ignore"):
        weighted /= confidence
    weighted[relative_confidence < MIN_CONFIDENCE] = np.nan
    return weighted, relative_confidence


def scatter(kernel: Stencil, exposure: F64, listed: Mask | None = None) -> F64:
    """Spreads an extensive field over its neighbours and preserves its sum.

    e'_i = sum over j of w_ij / (sum over i of w_ij) e_j: each node gives away all it has, so the sum over the board is
    preserved to rounding. Nodes that are not listed and are 0 in every field receive nothing; NaN counts as 0.

    Units: any, additive (USD per node).
    Shapes: (E, N) or (k, E, N), for k fields at once; listed (E, N) -> as the exposure.
    Domain: finite or NaN.
    Source: the adjoint of `gather` with weights normalised over the receivers.

    >>> k = stencil(np.array([9.0, 10.0, 11.0]), np.ones(1), np.ones(1), np.ones(1), "node")
    >>> round(float(scatter(k, np.array([[0.0, 5.0, 2.0]])).sum()), 12)
    7.0
    """
    mass, kernels = exposure.reshape(-1, *exposure.shape[-2:]), compiled.active_kernels()
    if kernels is not None:
        board = np.ones(mass.shape[1:], dtype=np.bool_) if listed is None else listed
        return kernels.scatter(kernel.weights, kernel.neighbour, mass, board, _MIN_WEIGHT_SUM).reshape(exposure.shape)
    if not math.isfinite(np.add.reduce(mass, axis=None)):
        mass = np.where(np.isfinite(mass), mass, 0.0)
    receivers = np.ones(mass.shape[1:]) if listed is None else (listed | mass.any(axis=0)).astype(np.float64)
    weight_sums = _weight_sums(kernel, receivers)
    share = mass * (1.0 / np.maximum(weight_sums, _MIN_WEIGHT_SUM))  # where nobody receives there is nothing to give
    smoothed = _weighted_neighbours(kernel.weights, share, share[:, kernel.neighbour])
    smoothed *= receivers
    return smoothed.reshape(exposure.shape)


def _weighted_neighbours(weights: F64, own: F64, other: F64) -> F64:
    """Weighted sum of k fields over the six neighbours of each node; `other` is the field of the neighbour expiry.

    The board is walked as one long row: where a shift runs over the end of an expiry, the weight is 0.
    """
    shape = own.shape
    total = own.reshape(shape[0], -1).copy()  # a node weighs 1 on itself
    shifted = (weights[1, 1] * other).reshape(shape[0], -1)
    total += shifted
    shifted = shifted[:, 1:]
    for field, kernel in zip((own, other), weights):
        row = field.reshape(shape[0], -1)
        total[:, 1:] += np.multiply(kernel[0].reshape(-1)[1:], row[:, :-1], shifted)
        total[:, :-1] += np.multiply(kernel[2].reshape(-1)[:-1], row[:, 1:], shifted)
    return np.asarray(total.reshape(shape))


def _weight_sums(kernel: Stencil, receivers: F64) -> F64:
    """Sum of the weights that each node gives before normalising: those of all receivers beside it."""
    by_expiry = (kernel.weights[:, 1] * receivers).reshape(2, -1)
    by_expiry[:, :-1] += (kernel.weights[:, 0] * receivers).reshape(2, -1)[:, 1:]
    by_expiry[:, 1:] += (kernel.weights[:, 2] * receivers).reshape(2, -1)[:, :-1]
    weight_sums, along = by_expiry.reshape(2, *receivers.shape)
    weight_sums[1:] += along[:-1]
    weight_sums[kernel.neighbour[-1]] += along[-1]
    return np.asarray(weight_sums)
