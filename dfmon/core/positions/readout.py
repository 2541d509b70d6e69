"""Read-out of the position filter: the mean of each option's mixture within open interest, scaled by what was taught.

The filter is over-sure early and under-sure late, and it believes sides and openings also on boards where they tell
nothing. A slope that depends on what the board shows corrects it, and eight plain sums of the prints add what the
filter does not use. Their coefficients come from simulated markets, see `calibration`. Where the filter knows a
position exactly neither is applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.core.positions import calibration
from dfmon.core.positions import position_state as columns
from dfmon.core.positions.netting_filter import MEAN_Q, VAR_Q, WEIGHT, fold_nodes
from dfmon.core.positions.opening_rates import OpeningRates
from dfmon.core.positions.position_state import PositionState
from dfmon.core.pricing.normal import density, mills_ratio
from dfmon.model.frames import F64, I64

FEATURES: Final = 8
MAX_SHARE: Final = 0.97  # of open interest, where the position is not known exactly
EXACT_SD: Final = 0.02  # of open interest: below it the filter's mean stands for itself
LOW_REVERSION: Final = 0.3
_MIN_SD: Final = 1e-9


@dataclass(frozen=True, slots=True)
class ReadOut:
    """Customers' position of k options over open interest: mean, its error, and what the filter alone says."""

    share: F64
    sd: F64
    filter_mean: F64
    filter_sd: F64


def read_out(state: PositionState, rows: I64) -> ReadOut:
    """Position of `rows` over open interest.

    Shapes: (k,) -> (k,) each. Domain: 0 without open interest.
    """
    interest, sums = state.interest[rows], state.sums[rows]
    inverse = np.where(interest > 0.0, 1.0 / np.maximum(interest, 1e-300), 0.0)
    mean, sd = truncated_mixture(state.moments.take(rows, axis=2), inverse)
    unpaired = unpaired_share(sums)
    terms = slope_terms(mean, unpaired, state.rates)
    features = sum_features(sums, inverse, state.rates.mean_u)
    regressors = np.concatenate([terms, taught_features(features, state.rates)])
    taught = np.clip(weighted_sum(calibration.RIDGE, regressors), -MAX_SHARE, MAX_SHARE)
    doubt = 1.0 - np.exp(-sd / EXACT_SD)
    share = mean + (taught - mean) * doubt
    share = np.clip(np.where(doubt == 0.0, mean, share), -1.0, 1.0)
    drift = sums[:, columns.DRIFT] * inverse * inverse
    return ReadOut(share, error_sd(share, sd, unpaired, drift, state.rates), mean, sd)


def truncated_mixture(moments: F64, inverse: F64) -> tuple[F64, F64]:
    """Mean and standard deviation of the position over open interest, within [-1, 1].

    Shapes: (6, NODES, k), (k,) -> (k,), (k,). Source: moments of the truncated normal.
    """
    mean = np.clip(moments[MEAN_Q] * inverse, -1.0, 1.0)
    sd = np.sqrt(moments[VAR_Q]) * inverse
    wide = np.maximum(sd, _MIN_SD)
    upper, lower = (1.0 - mean) / wide, (1.0 + mean) / wide
    at_upper, at_lower = density(upper), density(lower)
    mass = 1.0 - (at_upper * mills_ratio(upper) + at_lower * mills_ratio(lower))
    shift = (at_lower - at_upper) / mass
    inside = np.where(sd > _MIN_SD, mean + sd * shift, mean)
    shrink = 1.0 - (lower * at_lower + upper * at_upper) / mass - shift * shift
    variance = np.where(sd > _MIN_SD, sd * sd * np.maximum(shrink, 0.0), 0.0)
    weight = moments[WEIGHT] * mass
    weight = weight / fold_nodes(weight)
    total = fold_nodes(weight * inside)
    spread = inside - total
    spread = np.where(np.abs(spread) > _MIN_SD, spread, 0.0)
    return total, np.sqrt(fold_nodes(weight * (variance + spread * spread)))


def unpaired_share(sums: F64) -> F64:
    """Share of an option's prints around which the change of open interest is unknown, as in a life from an archive.

    Shapes: (k, ACCUMULATORS) -> (k,). Domain: 0 without a print.
    """
    count = sums[:, columns.COUNT]
    return np.asarray((count - sums[:, columns.COUNT_U]) / np.maximum(count, 1.0))


def slope_terms(mean: F64, unpaired: F64, rates: OpeningRates) -> F64:
    """The filter's mean times what its slope depends on.

    Shapes: (k,), (k,) -> (7, k).
    """
    low, churn, doubt = low_reversion(rates), rates.churn, rates.doubt
    factors = np.array([1.0, low, churn, low * churn, doubt])[:, None] * mean
    return np.concatenate([factors, (unpaired * mean)[None], (doubt * unpaired * mean)[None]])


def low_reversion(rates: OpeningRates) -> float:
    """Lack of reversion: 0 where customers reduce what they have, 1 where they do not at all."""
    return max(0.0, LOW_REVERSION - rates.reversion) / LOW_REVERSION


def sum_features(sums: F64, inverse: F64, mean_u: float) -> F64:
    """Eight sums of the prints of each option, + customers long.

    Side times u less its mean over all prints (with five pseudo-prints) and over the recent ones; side times size over
    open interest: in all, times u, times 1 - |u|; the mean side (six pseudo-prints); blocks and RFQs, and combos.

    Shapes: (k, ACCUMULATORS), (k,) -> (8, k).
    """
    out = np.empty((FEATURES, inverse.size))
    out[0] = (sums[:, columns.SIDE_U] - mean_u * sums[:, columns.SIDE_OF_U]) / (sums[:, columns.COUNT_U] + 5.0)
    recent = sums[:, columns.RECENT_SIDE_U] - mean_u * sums[:, columns.RECENT_SIDE]
    out[1] = recent / (sums[:, columns.RECENT_COUNT] + 5.0)
    out[5] = sums[:, columns.SIDES] / (sums[:, columns.COUNT] + 6.0)
    flows = (columns.FLOW, columns.FLOW_U, columns.FLOW_MIXED, columns.BLOCK_FLOW, columns.COMBO_FLOW)
    for index, column in zip((2, 3, 4, 6, 7), flows):
        out[index] = np.clip(sums[:, column] * inverse, -1.0, 1.0)
    return out


def taught_features(features: F64, rates: OpeningRates) -> F64:
    """The features alone, times three times the signal, times churn, and times three times the direction.

    Shapes: (8, k) -> (32, k).
    """
    signal, direction = 3.0 * rates.likely_signal, 3.0 * rates.likely_direction
    return np.concatenate([features, features * signal, features * rates.churn, features * direction])


def weighted_sum(weights: tuple[float, ...], rows: F64) -> F64:
    """Sum of rows with these weights, in their order.

    Shapes: (r, k) -> (k,).
    """
    total = weights[0] * rows[0]
    for weight, row in zip(weights[1:], rows[1:]):
        total = total + weight * row
    return np.asarray(total)


def error_sd(share: F64, sd: F64, unpaired: F64, drift: F64, rates: OpeningRates) -> F64:
    """Standard deviation of the read-out's error over open interest.

    Shapes: (k,) each. Domain: at most 0.9 of that of a position at one of its bounds.
    """
    doubt = 1.0 - np.exp(-sd / EXACT_SD)
    room = np.maximum(1.0 - share * share, 0.0)
    own, common = np.split(width_terms(sd, room, unpaired, rates), [2])
    variance = weighted_sum(calibration.WIDTH[:2], own) + weighted_sum(calibration.WIDTH[2:], common) * doubt
    return np.asarray(np.sqrt(np.minimum(variance + drift * (1.0 - doubt), 0.81 * room)))


def width_terms(sd: F64, room: F64, unpaired: F64, rates: OpeningRates) -> F64:
    """Parts of the squared error: of the variance of the filter, and of the room 1 - x^2, which it does not know of.

    Shapes: (k,) each -> (5, k).
    """
    own, doubt = sd * sd, rates.doubt
    model = [doubt * doubt * room, doubt * unpaired * room, 3.0 * rates.likely_direction * room]
    return np.stack([own, unpaired * own, *model])
