"""Bands of positions: marginals bounded by open interest, and members whose errors have common factors.

A position over open interest is tanh(mu + sigma Z). The normal Z of an option is its own draw, keyed by its name, and
six draws that the options of one underlying have in common: level, call or put, moneyness, their product, tenor, and
the position itself (the error of the slope). Half of the members mirror the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from dfmon.core.positions import calibration
from dfmon.core.positions.counter_rng import STREAMS, stratified_normals
from dfmon.core.pricing.normal import density, mills_ratio
from dfmon.model.frames import F64
from dfmon.model.keys import stable_key
from dfmon.model.units import DAY

FACTORS: Final = 6
NORMAL_95: Final = 1.6448536269514722
MAX_COMMON: Final = 0.8  # share of the variance that the factors may take
MAX_MONEYNESS, MONEYNESS_SCALE, TENOR_DAYS, SHARE_SCALE = 1.5, 0.6, 60.0, 0.4
OWN_DRAW, FACTOR_DRAW = 1, 4  # purposes of draws
BAND_SCALE: Final = 0.85  # of the band before it is stretched, against the members
STRETCHED_FROM, STRETCH = 0.6, 0.6  # so that an edge at 0.85 is open interest
_MEANS: Final = 98
_WIDTHS: Final = 59
_MAX_MEAN, _MAX_WIDTH = 0.9995, 0.9
_EXACT: Final = 1e-9
_NEWTON_STEPS: Final = 40
_CONVERGED: Final = 1e-7  # of the error before the last step, which squares it
_NORMAL_POINTS: Final = np.linspace(-7.5, 7.5, 121)
_NORMAL_WEIGHTS: Final = np.exp(-0.5 * _NORMAL_POINTS**2) / np.exp(-0.5 * _NORMAL_POINTS**2).sum()


@dataclass(frozen=True, slots=True)
class Marginals:
    """Parameters of tanh(mu + sigma Z) of k options."""

    mu: F64
    sigma: F64


def marginals(share: F64, sd: F64) -> Marginals:
    """Parameters of the tanh-normal with these means and standard deviations.

    Shapes: (k,), (k,). Domain: |share| <= 1, sd <= 0.9 sqrt(1 - share^2). Source: a table, interpolated bilinearly.
    """
    mu_table, sigma_table = band_table()
    size = np.minimum(np.abs(share), _MAX_MEAN)
    width = sd / np.sqrt(np.maximum(1.0 - size * size, _EXACT))
    row, row_part = _cell(np.arctanh(size) / np.arctanh(_MAX_MEAN), _MEANS)
    column, column_part = _cell(width / _MAX_WIDTH, _WIDTHS)
    corners = ((row, column), (row + 1, column), (row, column + 1), (row + 1, column + 1))
    weights = (
        (1.0 - row_part) * (1.0 - column_part), row_part * (1.0 - column_part),
        (1.0 - row_part) * column_part, row_part * column_part,
    )  # fmt: skip
    mu, sigma = np.zeros(share.size), np.zeros(share.size)
    for weight, corner in zip(weights, corners):
        mu, sigma = mu + weight * mu_table[corner], sigma + weight * sigma_table[corner]
    return Marginals(np.sign(share) * mu, sigma)


def _cell(position: F64, count: int) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.intp]], F64]:
    scaled = np.clip(position, 0.0, 1.0) * (count - 1)
    index = np.minimum(scaled.astype(np.intp), count - 2)
    return index, scaled - index


@lru_cache(maxsize=1)
def band_table() -> tuple[F64, F64]:
    """Both parameters by atanh(mean) and relative width, by Newton's method on mu / sigma and ln sigma.

    Shapes: (means, widths) each. It takes a tenth of a second once, which a new estimate spends before the first tick.
    """
    shape = (_MEANS, _WIDTHS)
    mean = np.tanh(np.linspace(0.0, np.arctanh(_MAX_MEAN), _MEANS))[:, None]
    width = np.maximum(np.linspace(0.0, _MAX_WIDTH, _WIDTHS), 1e-6)
    log_sd = np.log(width * np.sqrt(1.0 - mean * mean)).ravel()
    sigma = np.minimum(width / np.sqrt((1.0 - width * width) * (1.0 - mean * mean)), 2.0)
    ratio, log_sigma = (np.arctanh(mean) / sigma).ravel(), np.log(sigma).ravel()
    means = np.broadcast_to(mean, shape).ravel()
    left = np.arange(means.size)
    for _ in range(_NEWTON_STEPS):
        found, slopes = _tanh_normal(ratio[left], log_sigma[left])
        error_m, error_s = means[left] - found[0], log_sd[left] - found[1]
        (a, b), (c, d) = slopes
        determinant = a * d - b * c
        determinant = np.where(np.abs(determinant) > 1e-12, determinant, 1e-12)
        bound = 0.5 * np.maximum(1.0, np.abs(ratio[left]))
        ratio[left] += np.clip((d * error_m - b * error_s) / determinant, -bound, bound)
        log_sigma[left] += np.clip((a * error_s - c * error_m) / determinant, -0.5, 0.5)
        left = left[np.maximum(np.abs(error_m), np.abs(error_s)) > _CONVERGED]
        if not left.size:
            break
    sigma = np.exp(log_sigma).reshape(shape)
    mu = ratio.reshape(shape) * sigma
    sigma[:, 0] = 0.0
    mu[:, 0] = np.arctanh(mean[:, 0])
    mu[0] = 0.0
    return mu, sigma


def _tanh_normal(ratio: F64, log_sigma: F64) -> tuple[tuple[F64, F64], tuple[tuple[F64, F64], tuple[F64, F64]]]:
    """Mean and ln sd of tanh(sigma (ratio + Z)), and their derivatives by the ratio and by ln sigma.

    Moments by the trapezium rule, whose error is exp(-pi^2 / (sigma h)): that of Gauss and Hermite is large where tanh
    is steep.
    """
    sigma = np.exp(log_sigma)
    arguments = sigma[:, None] * (ratio[:, None] + _NORMAL_POINTS)
    values = np.tanh(arguments)
    mean = values @ _NORMAL_WEIGHTS
    deviation = values - mean[:, None]
    variance = np.maximum((deviation * deviation) @ _NORMAL_WEIGHTS, 1e-60)
    steepness = 1.0 - values * values
    by_sigma = arguments * steepness
    of_mean = sigma * (steepness @ _NORMAL_WEIGHTS), by_sigma @ _NORMAL_WEIGHTS
    of_sd = (
        sigma * ((deviation * steepness) @ _NORMAL_WEIGHTS) / variance,
        ((deviation * by_sigma) @ _NORMAL_WEIGHTS) / variance,
    )
    return (mean, 0.5 * np.log(variance)), (of_mean, of_sd)


def own_draws(names: tuple[str, ...], members: int, seed: int) -> F64:
    """Standard normal draws of each option, one for two members.

    Shapes: n names -> (n, members / 2).
    """
    return _draws([stable_key(name) for name in names], OWN_DRAW, members, seed)


def factor_draws(underlying: str, members: int, seed: int) -> F64:
    """Standard normal draws of the common factors.

    Shapes: (FACTORS, members / 2).
    """
    return _draws([stable_key(f"{underlying} factor {index}") for index in range(FACTORS)], FACTOR_DRAW, members, seed)


def _draws(keys: list[int], purpose: int, members: int, seed: int) -> F64:
    """Stratified normals in blocks of the streams of the generator; a seed of 0 leaves the keys as they are."""
    half = members // 2
    blocks = []
    for block in range(-(-half // STREAMS)):
        shift = stable_key(f"{seed} {block}") if seed or block else 0
        blocks.append(stratified_normals(np.array([key ^ shift for key in keys], np.uint64), purpose))
    return np.concatenate(blocks, axis=1)[:, :half] if blocks else np.zeros((len(keys), 0))


def factor_loadings(share: F64, option_type: F64, log_moneyness: F64, days: F64) -> F64:
    """Loadings of each option's error on the common factors.

    `log_moneyness` is ln(K/S), `days` the time to expiry. Shapes: (k,) each -> (FACTORS, k).
    """
    days = np.maximum(days, 0.5)
    moneyness = np.clip(log_moneyness / (MONEYNESS_SCALE * np.sqrt(days / 365.0)), -MAX_MONEYNESS, MAX_MONEYNESS)
    loadings = np.empty((FACTORS, share.size))
    loadings[0], loadings[1], loadings[2] = 1.0, option_type, moneyness
    loadings[3], loadings[4] = moneyness * option_type, np.log(days / TENOR_DAYS)
    loadings[5] = share / SHARE_SCALE
    return loadings


def correlated_draws(own: F64, factors: F64, loadings: F64) -> tuple[F64, F64]:
    """Draws of each option with its share of the common factors: what half of the members negate, and the rest.

    The error of the slope changes its sign with the position, so that its draw must not change it for the mirror.

    Shapes: (k, m), (FACTORS, m), (FACTORS, k) -> (k, m), (k, m).
    """
    scaled = np.array(calibration.LOADINGS)[:, None] * loadings
    common = scaled[0] * scaled[0]
    for row in scaled[1:]:
        common = common + row * row
    scaled = scaled * np.sqrt(np.minimum(1.0, MAX_COMMON / np.maximum(common, 1e-300)))
    draws = np.sqrt(1.0 - np.minimum(common, MAX_COMMON))[:, None] * own
    for row, factor in zip(scaled[:-1], factors):  # in a fixed order: a matrix product has other bits for other sizes
        draws += row[:, None] * factor
    return draws, scaled[-1][:, None] * factors[-1]


def member_shares(share: F64, sd: F64, marginal: Marginals, draws: tuple[F64, F64]) -> F64:
    """Position over open interest of each member, the mirrored half after the other.

    Shapes: (k,), (k,), k marginals, two of (k, m) -> (k, 2 m).
    """
    mirrored, common = draws
    half = mirrored.shape[1]
    out = np.empty((share.size, 2 * half))
    width = (calibration.MEMBER_SCALE * marginal.sigma)[:, None]
    centre = marginal.mu[:, None] + width * common
    np.tanh(centre + width * mirrored, out=out[:, :half])
    np.tanh(centre - width * mirrored, out=out[:, half:])
    exact = sd < _EXACT
    if exact.any():
        out[exact] = share[exact, None]
    return out


def band_edges(share: F64, sd: F64, marginal: Marginals) -> tuple[F64, F64]:
    """5 % and 95 % quantiles of the position over open interest.

    Where all customers are on one side the position is at its bound, which tanh never reaches: outer edges are
    stretched there.

    Shapes: (k,) each -> (k,), (k,).
    """
    width = NORMAL_95 * BAND_SCALE * calibration.MEMBER_SCALE * marginal.sigma
    exact = sd < _EXACT
    low = np.where(exact, share, np.minimum(-_stretched(-np.tanh(marginal.mu - width)), share))
    high = np.where(exact, share, np.maximum(_stretched(np.tanh(marginal.mu + width)), share))
    return low, high


def _stretched(edge: F64) -> F64:
    """An edge above `STRETCHED_FROM`, stretched up to 1."""
    return np.minimum(edge + STRETCH * np.maximum(edge - STRETCHED_FROM, 0.0), 1.0)


def long_probability(share: F64, sd: F64, marginal: Marginals) -> F64:
    """Probability that the position is above zero; one half of it at exactly zero.

    Shapes: (k,) each -> (k,).
    """
    exact = sd < _EXACT
    ratio = calibration.LONG_FACTOR * marginal.mu / np.maximum(marginal.sigma, 1e-12)
    size = np.minimum(np.abs(ratio), 30.0)
    tail = density(size) * mills_ratio(size)
    likely = np.where(ratio > 0.0, 1.0 - tail, tail)
    return np.asarray(np.where(exact, 0.5 * (1.0 + np.sign(share)), np.where(ratio == 0.0, 0.5, likely)))


def days_to_expiry(expiry_ns: np.ndarray[tuple[int, ...], np.dtype[np.int64]], now_ns: int) -> F64:
    """Time to expiry.

    Units: days. Shapes: (k,) -> (k,).
    """
    return np.asarray((expiry_ns - now_ns) / DAY)
