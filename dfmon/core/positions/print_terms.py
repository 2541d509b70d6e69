"""Contributions of prints to the sums of the board and of their options.

`filter_loops` has the same sums in the same order, for the same bits: what changes here changes there.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dfmon.core.positions import position_state as columns
from dfmon.core.positions.netting_filter import (
    DIRECTIONS,
    MEAN_G,
    MEAN_Q,
    NODES,
    REVERSION_SCALE,
    VAR_Q,
    WEIGHT,
    FilterInput,
    fold_nodes,
    inverse_interest,
)
from dfmon.core.positions.opening_rates import MIN_INTEREST_RATIO, SUMS
from dfmon.core.positions.print_kinds import BLOCK, COMBO, DIRECTION_WEIGHTS, RFQ, PositionPriors, share_table
from dfmon.model.frames import F64

SPREAD_FACTOR: Final = 5.4  # of the variance: a normal position makes the mean of tanh smaller
SOURCE_OF_KIND: Final = np.array([
    columns.FROM_SCREEN, columns.FROM_BLOCK, columns.FROM_RFQ, columns.FROM_COMBO, columns.FROM_LIQUIDATION,
    columns.FROM_LIQUIDATION, columns.FROM_LIQUIDATION,
])  # fmt: skip
_REGRESSED: Final = slice(columns.REGRESSED, columns.REGRESSED_UY + 1)


def board_terms(moments: F64, prints: FilterInput, priors: PositionPriors) -> F64:
    """Contribution of each print to the sums of the board, from the state before it.

    Shapes: (6, NODES, k), k prints -> (SUMS, k).
    """
    taken, made, customers, dealers = share_table(priors)[:, prints.kind]
    weight, side, inverse = moments[WEIGHT], prints.side, inverse_interest(prints.open_interest)
    parts = np.empty((NODES, 4, side.size))
    parts[:, 0], parts[:, 1], parts[:, 2] = DIRECTIONS[:, None], moments[MEAN_Q], moments[MEAN_G]
    parts[:, 3] = moments[VAR_Q] + moments[MEAN_Q] * moments[MEAN_Q]
    parts *= weight[:, None]
    direction, mean_q, mean_g, square = fold_nodes(parts)
    informative = DIRECTION_WEIGHTS[prints.kind]
    direction = direction * informative
    variance = np.maximum(square - mean_q * mean_q, 0.0) * inverse * inverse
    position = mean_q * inverse
    index = np.minimum(np.maximum(mean_g * inverse, -1.0), 1.0)
    tilt = side * direction
    l0, l1 = 0.5 * taken * (1.0 + tilt), 0.5 * made * (1.0 - tilt)
    y = side * index * (l0 - l1) / (l0 + l1 + 0.5 * (customers + dealers))
    known = ~np.isnan(prints.u)
    u = np.where(known, prints.u, 0.0)
    reduction = np.tanh(REVERSION_SCALE * position / np.sqrt(1.0 + SPREAD_FACTOR * variance))
    asymmetry = taken - made
    x = np.where(informative > 0.0, -asymmetry * (direction + reduction), 0.0)
    terms = np.empty((SUMS, side.size))
    terms[0] = known & (prints.open_interest > MIN_INTEREST_RATIO * prints.size)
    np.multiply(terms[0], y, out=terms[1])
    np.multiply(terms[1], y, out=terms[2])
    np.multiply(terms[0], u, out=terms[3])
    np.multiply(terms[3], y, out=terms[4])
    np.multiply(terms[3], u, out=terms[5])
    np.multiply(x, x, out=terms[6])
    np.multiply(x, side - asymmetry * direction, out=terms[7])
    terms[8], terms[9], terms[11] = known, u, 1.0
    np.multiply(u, u, out=terms[10])
    return terms


def option_terms(prints: FilterInput, by_print: F64, by_interest: F64, board: F64 | None) -> F64:
    """Contribution of each print to the sums of its option; `board` is that to the sums of the board.

    Units: coins. Shapes: k prints, (SUMS, k) -> (k, ACCUMULATORS).
    """
    side, size = prints.side, prints.size
    known = (~np.isnan(prints.u)).astype(np.float64)
    u, flow = np.where(known > 0.0, prints.u, 0.0), side * size
    terms = np.zeros((columns.ACCUMULATORS, side.size))
    terms[columns.COUNT_U] = terms[columns.RECENT_COUNT] = known
    terms[columns.SIDE_U] = terms[columns.RECENT_SIDE_U] = side * u
    terms[columns.SIDE_OF_U] = terms[columns.RECENT_SIDE] = side * known
    terms[columns.FLOW], terms[columns.FLOW_U] = flow, flow * u
    terms[columns.FLOW_MIXED] = flow * (1.0 - np.abs(u)) * known
    terms[columns.SIDES], terms[columns.COUNT], terms[columns.VOLUME] = side, 1.0, size
    terms[columns.BLOCK_FLOW] = flow * ((prints.kind == BLOCK) | (prints.kind == RFQ))
    terms[columns.COMBO_FLOW] = flow * (prints.kind == COMBO)
    terms[SOURCE_OF_KIND[prints.kind], np.arange(side.size)] = by_print
    terms[columns.FROM_OPENINGS] = by_interest
    if board is not None:
        terms[_REGRESSED] = board[: _REGRESSED.stop - _REGRESSED.start]
    return terms.T
