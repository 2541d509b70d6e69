"""Filter of customers' net position in each option: a mixture of Gaussians over the direction of their trading.

Customers' net position is q; g = q + e is the netting index, that position as it shows in the opening and closing of
dealers' accounts. Each direction node has a weight and the moments of (q, g). A print moves them by the class of its
parties; the change of open interest around it tells whether accounts opened or closed. Options lie on the last axis,
and sums over nodes and points run in mirrored pairs, so that exchanging buys and sells negates the state to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from dfmon.core.positions.opening_rates import OpeningRates
from dfmon.core.positions.print_kinds import DIRECTION_WEIGHTS, PositionPriors, share_table
from dfmon.model.frames import F64, I64

NODES: Final = 7
WEIGHT, MEAN_Q, MEAN_G, VAR_Q, COV, VAR_G = range(6)  # rows of the moments
CENTERED: Final = np.arange(-(NODES // 2), NODES // 2 + 1) / NODES
"""Probability of a customer to buy at each node, less one half."""
DIRECTIONS: Final = 2.0 * CENTERED
_PRIOR: Final = (0.25 - CENTERED**2) ** 0.6 / ((0.25 - CENTERED**2) ** 0.6).sum()
NODE_PRIOR: Final = 0.5 * (_PRIOR + _PRIOR[::-1])
_OUTER, _INNER = 2.8569700138728056, 1.3556261799742659  # roots of the Hermite polynomial He5
POINTS: Final = np.array([-_OUTER, -_INNER, 0.0, _INNER, _OUTER])
_POINTS: Final = POINTS[:, None, None]
_W2, _W1 = 0.011257411327720691, 0.22207592200561266
POINT_WEIGHTS: Final = np.array([_W2, _W1, 8.0 / 15.0, _W1, _W2])
_POINT_WEIGHTS: Final = POINT_WEIGHTS[:, None, None]

TAKES, DEALERS, MADE, CUSTOMERS = range(4)  # classes: a customer takes, both dealers, a dealer takes, both customers
_SHARE_ROWS: Final = [0, 3, 1, 2]  # of the priors
CUSTOMER_TILT, DEALER_TILT = 0.12, 0.88  # shares of the opening slope
PARTY_TILTS: Final = np.array([CUSTOMER_TILT, DEALER_TILT, -DEALER_TILT, -CUSTOMER_TILT, CUSTOMER_TILT])
"""Of the two parties of each class: each party and the next one."""
_PARTY_TILTS: Final = PARTY_TILTS[:, None, None, None]
OPENING_BOUNDS: Final = (0.04, 0.96)
REVERSION_SCALE: Final = 3.0
NETTED_MOVE: Final = 0.5  # share of a print that moves the netting index, and its standard deviation
NETTING_SD, NETTING_DAYS = 0.4, 30.0  # of the netting noise, in open interest
DIRECTION_DAYS: Final = 20.0
TRANSFER_SHARE: Final = 0.5  # of an unexplained change of open interest, as standard deviation of the position
MAX_INDEX, MAX_VAR_Q, MAX_VAR_G = 1.2, 0.30, 0.45  # bounds in open interest
KNOWN_SD: Final = 1e-6  # of a position: less is rounding
TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class FilterInput:
    """k prints of distinct options: taker side +-1, size and open interest before (coins), kind code, u.

    u is the change of open interest over the size, within +-1; NaN where it is unknown.
    """

    side: F64
    size: F64
    kind: I64
    u: F64
    open_interest: F64


@dataclass(frozen=True, slots=True)
class PrintTables:
    """Rates and priors by kind of print: halves of the class shares (4, kinds), in the order of the classes here, the
    direction of its side at each node (NODES, kinds), and how strongly customers reduce (kinds,).
    """

    half_shares: F64
    direction: F64
    reversion: F64
    base: float
    slope: float


@lru_cache(maxsize=8)
def print_tables(rates: OpeningRates, priors: PositionPriors) -> PrintTables:
    """Tables of the hour, by kind of print."""
    reversion = np.where(DIRECTION_WEIGHTS > 0.0, rates.reversion, 0.0)
    direction = (1.0 - reversion) * DIRECTION_WEIGHTS * DIRECTIONS[:, None]
    return PrintTables(0.5 * share_table(priors)[_SHARE_ROWS], direction, reversion, rates.base, rates.slope)


def inverse_interest(open_interest: F64) -> F64:
    """1 / open interest, 0 where there is none.

    Units: 1 / coins. Shapes: (k,) -> (k,).
    """
    inverse = 1.0 / np.maximum(open_interest, TINY)
    inverse[open_interest <= 0.0] = 0.0
    return np.asarray(inverse)


def fold_nodes(values: F64) -> F64:
    """Sums over the nodes on the first axis.

    Shapes: (NODES, ...) -> (...).
    """
    a, b, c, d, e, f, g = values
    return np.asarray((((a + g) + (b + f)) + (c + e)) + d)


def start_moments(open_interest: F64, priors: PositionPriors) -> F64:
    """Moments of options whose listing was not seen.

    Units: coins. Shapes: (k,) -> (6, NODES, k).
    """
    moments = np.empty((6, NODES, open_interest.size))
    share = np.clip(priors.start_mean + priors.trend_coefficient * DIRECTIONS, -0.9, 0.9)
    moments[WEIGHT] = NODE_PRIOR[:, None]
    moments[MEAN_Q] = moments[MEAN_G] = share[:, None] * open_interest
    moments[VAR_Q] = moments[COV] = (priors.start_sd * open_interest) ** 2
    moments[VAR_G] = moments[VAR_Q] + (NETTING_SD * open_interest) ** 2
    return bounded(moments, open_interest)


def known_moments(count: int) -> F64:
    """Moments of options without any position.

    Shapes: (6, NODES, count).
    """
    moments = np.zeros((6, NODES, count))
    moments[WEIGHT] = NODE_PRIOR[:, None]
    return moments


def bounded(moments: F64, open_interest: F64) -> F64:
    """Moments within what open interest allows, in place.

    Units: coins. Shapes: (6, NODES, k), (k,) -> (6, NODES, k).
    """
    squared, limit = open_interest * open_interest, MAX_INDEX * open_interest
    _limit(moments[MEAN_Q], -open_interest, open_interest)
    _limit(moments[MEAN_G], -limit, limit)
    _limit(moments[VAR_Q], 0.0, MAX_VAR_Q * squared)
    _limit(moments[VAR_G], 0.0, MAX_VAR_G * squared)
    limit = np.sqrt(moments[VAR_Q] * moments[VAR_G])
    _limit(moments[COV], -limit, limit)
    return moments


def known_positions(moments: F64) -> F64:
    """Size of the positions that are known exactly, 0 for others. Open interest is never below it.

    Units: coins. Shapes: (6, NODES, k) -> (k,).
    """
    size = np.abs(moments[MEAN_Q])
    return np.asarray(np.where(moments[VAR_Q] <= (KNOWN_SD * size) * (KNOWN_SD * size), size, 0.0).max(axis=0))


def _limit(values: F64, low: F64 | float, high: F64 | float) -> None:
    """`np.clip` in place, at a third of its cost for short columns."""
    np.maximum(values, low, out=values)
    np.minimum(values, high, out=values)


def apply_prints(
    moments: F64, prints: FilterInput, rates: OpeningRates, priors: PositionPriors
) -> tuple[F64, F64, F64]:
    """Moments after one print of each option, and how the mean position moved.

    The second result are the coins that the print itself moved, by its class and its side; the third those that the
    change of open interest around it moved, by making other positions likelier. `filter_loops` has the same sums in the
    same order, for the same bits: what changes here changes there.

    Units: coins. Shapes: (6, NODES, k), k prints -> (6, NODES, k), (k,), (k,).
    Source: generalised pseudo-Bayes (interacting multiple models), Gauss-Hermite quadrature of five points.
    """
    weight, mean_q, mean_g, var_q, cov, var_g = moments
    deviation = np.sqrt(var_g)
    slope = cov / np.maximum(deviation, TINY)
    sums = _quadrature(moments, deviation, slope, prints, print_tables(rates, priors))
    mass, prior_mass, prior_first = sums[0], sums[6], sums[7]
    moved, first, second, moved_first, moving = sums[1:6] / np.maximum(mass, TINY)
    signed, squared = prints.side * prints.size, prints.size * prints.size
    var_point = np.maximum(second - first * first, 0.0)
    cov_point = signed * (moved_first - moved * first)
    var_move = squared * np.maximum(moving - moved * moved, 0.0)
    out = np.empty_like(moments)
    parts = np.empty((NODES, 4, mass.shape[1]))
    parts[:, 0], parts[:, 1] = mass, prior_mass
    parts[:, 2], parts[:, 3] = prior_mass * mean_q + slope * prior_first, weight * mean_q
    total, side_total, side_mean, mean_before = fold_nodes(parts)
    np.divide(mass, total, out=out[WEIGHT])
    moved_index = NETTED_MOVE * signed * moved
    shifted = mean_q + slope * first
    np.add(shifted, signed * moved, out=out[MEAN_Q])
    np.add(mean_g + deviation * first, moved_index, out=out[MEAN_G])
    residual = np.maximum(var_q - slope * slope, 0.0)
    out[VAR_Q] = residual + slope * slope * var_point + 2.0 * slope * cov_point + var_move
    out[COV] = slope * deviation * var_point + (NETTED_MOVE * slope + deviation) * cov_point + NETTED_MOVE * var_move
    out[VAR_G] = (
        var_g * var_point + 2.0 * NETTED_MOVE * deviation * cov_point + NETTED_MOVE**2 * (var_move + squared * moving)
    )
    given_side = side_mean / side_total
    np.multiply(out[WEIGHT], moved, out=parts[:, 0])
    np.multiply(out[WEIGHT], shifted, out=parts[:, 1])
    move, moved_mean = fold_nodes(parts[:, :2])
    by_print = signed * move + (given_side - mean_before)
    by_interest = moved_mean - given_side
    return out, by_print, by_interest


def _quadrature(moments: F64, deviation: F64, slope: F64, prints: FilterInput, tables: PrintTables) -> F64:
    """Weighted sums over the points of each node: of 1, move, point, point^2, move point, |move|, and two of the side.

    Shapes: (8, NODES, k).
    """
    kind, inverse = prints.kind, inverse_interest(prints.open_interest)
    shares = tables.half_shares[:, kind]
    bias = np.tanh((moments[MEAN_Q] + _POINTS * slope) * (REVERSION_SCALE * inverse))
    bias *= -tables.reversion[kind]
    bias += tables.direction[:, kind]
    bias *= prints.side
    classes = np.empty((4, *bias.shape))
    classes[:] = shares[:, None, None]
    classes[TAKES] *= 1.0 + bias
    classes[MADE] *= 1.0 - bias
    takes, made = classes[TAKES], classes[MADE]
    against = takes + made
    side_mass = against + (shares[DEALERS] + shares[CUSTOMERS])
    weighted = _POINT_WEIGHTS * moments[WEIGHT]
    stack = np.empty((8, *bias.shape))
    mass = stack[0]
    np.multiply(weighted, side_mass, out=stack[6])
    np.multiply(stack[6], _POINTS, out=stack[7])
    unknown = np.isnan(prints.u)
    if unknown.all():  # as in whole lives
        mass[...] = stack[6]
    else:
        np.multiply(weighted, _interest_likelihood(moments, deviation, prints, inverse, tables, classes), out=mass)
        if unknown.any():
            mass[..., unknown] = stack[6][..., unknown]
    np.divide(takes - made, side_mass, out=stack[1])  # exactly 1 where all takers are customers
    np.divide(against, side_mass, out=stack[5])
    stack[1] *= mass
    stack[5] *= mass
    np.multiply(mass, _POINTS, out=stack[2])
    np.multiply(stack[2], _POINTS, out=stack[3])
    np.multiply(stack[1], _POINTS, out=stack[4])
    return np.asarray(((stack[:, 0] + stack[:, 4]) + (stack[:, 1] + stack[:, 3])) + stack[:, 2])


def _interest_likelihood(
    moments: F64, deviation: F64, prints: FilterInput, inverse: F64, tables: PrintTables, classes: F64
) -> F64:
    """Probability of the side times that of the change of open interest, summed over the classes.

    Each party opens or closes; open interest rises where both open, falls where both close. The opening probability
    is mirrored for a fall, so that one formula serves both. Shapes: (4, points, NODES, k) -> (points, NODES, k).
    """
    size = np.abs(prints.u)
    falls = prints.u < 0.0
    index = (moments[MEAN_G] + _POINTS * deviation) * (prints.side * inverse)
    _limit(index, -1.0, 1.0)
    index *= np.where(falls, -tables.slope, tables.slope)
    opening = _PARTY_TILTS * index
    opening += np.where(falls, 1.0 - tables.base, tables.base)
    _limit(opening, *OPENING_BOUNDS)
    one, other = opening[:-1], opening[1:]
    both, either = one * other, one + other
    both *= 3.0 * size - 2.0
    either *= 1.0 - size
    both += either
    both *= classes
    return np.asarray((both[0] + both[1]) + (both[2] + both[3]))


def add_unexplained(moments: F64, coins: F64) -> None:
    """Widens moments by a change of open interest without a print, in place.

    Units: coins. Shapes: (6, NODES, k), (k,).
    """
    moments[VAR_Q : VAR_G + 1] += (TRANSFER_SHARE * coins) ** 2


def ageing(days: float | F64) -> tuple[F64, F64]:
    """Decay of the netting noise, and the share of the directions that has turned.

    Units: days. Shapes: () or (n,) -> two of the same.
    """
    return np.exp(-days / NETTING_DAYS), 1.0 - np.exp(-days / DIRECTION_DAYS)


def age(moments: F64, open_interest: F64, days: float | F64) -> F64:
    """Moments after some time without prints: netting noise is renewed, directions mix.

    Units: coins, days. Shapes: (6, NODES, n), (n,), () or (n,) -> (6, NODES, n).
    `filter_loops` has the same sums in the same order, for the same bits.
    Source: Ornstein-Uhlenbeck process of g - q; a Markov chain of directions, moments matched.
    """
    decay, turned = ageing(days)
    weight, mean_q, mean_g, var_q, cov, var_g = moments
    mean_g = mean_q + decay * (mean_g - mean_q)
    var_g = var_q + 2.0 * decay * (cov - var_q) + decay**2 * ((var_g - 2.0 * cov) + var_q)
    var_g = var_g + (NETTING_SD * open_interest) ** 2 * (1.0 - decay**2)
    cov = var_q + decay * (cov - var_q)
    share = turned * NODE_PRIOR[:, None]
    out = np.empty_like(moments)
    out[WEIGHT] = weight + turned * (NODE_PRIOR[:, None] - weight)  # an untouched option stays to the bit
    stay = (1.0 - turned) * weight / out[WEIGHT]
    enter = share / out[WEIGHT]
    all_q, all_g = fold_nodes(weight * mean_q), fold_nodes(weight * mean_g)
    from_q, from_g = mean_q - all_q, mean_g - all_g
    spread_q = fold_nodes(weight * (var_q + from_q * from_q))
    spread_c = fold_nodes(weight * (cov + from_q * from_g))
    spread_g = fold_nodes(weight * (var_g + from_g * from_g))
    out[MEAN_Q], out[MEAN_G] = mean_q - enter * from_q, mean_g - enter * from_g
    both = stay * enter
    out[VAR_Q] = stay * var_q + enter * spread_q + both * from_q * from_q
    out[COV] = stay * cov + enter * spread_c + both * from_q * from_g
    out[VAR_G] = stay * var_g + enter * spread_g + both * from_g * from_g
    return bounded(out, open_interest)
