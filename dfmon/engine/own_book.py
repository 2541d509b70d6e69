"""The user's own book beside the dealers': greeks of both by the same formulas, and what a move of spot does to either.

The book comes from a file and stays in the process: nothing that is published, stored or recorded knows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from msgspec import UNSET

from dfmon.core.exposure.outlook import MIN_SIGMA
from dfmon.core.exposure.volatility_move import tenor_of
from dfmon.core.pricing.greek_buffers import Greeks
from dfmon.core.pricing.greek_calc import greeks
from dfmon.core.scenario.tick_result import TickResult
from dfmon.core.snapshot.build import BookResult
from dfmon.engine.forward_map import forward_map_of
from dfmon.model.frames import F64
from dfmon.model.hedging import Hedge
from dfmon.model.snapshot import FlowSnapshot

MOVES: Final = (-0.08, -0.05, -0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.03, 0.05, 0.08)
"""Fractions of spot."""
EXPOSURES: Final = ("delta", "ngi", "vega", "vss", "volg", "chl", "theta")


class OwnOption(NamedTuple):
    """One option of the book: coins, price and exposures of the position in USD (`EXPOSURES`)."""

    name: str
    position: float
    price: float
    exposures: Mapping[str, float]


class OwnMove(NamedTuple):
    """Spot moved at once, with the volatility that goes with it: USD, a hedge is + to buy.

    `pnl` is the change of the book's value by full reprice, `delta` its delta after the move, `hedge` the trade that
    takes the delta back to what it was. `dealers` is their hedge of the move with its 5-95 % band.
    """

    move: float
    pnl: float
    delta: float
    hedge: float
    dealers: Hedge


class OwnBook(NamedTuple):
    """The book on one underlying. `missing` are its options without a price on the board, `mine` and `dealers` sums.

    `others` are the names of the file that are no options of the underlying.
    """

    options: tuple[OwnOption, ...]
    missing: tuple[str, ...]
    others: tuple[str, ...]
    mine: Mapping[str, float]
    dealers: Mapping[str, float]
    moves: tuple[OwnMove, ...]


def own_book(snapshot: FlowSnapshot, positions: Mapping[str, float], moves: Sequence[float] = MOVES) -> OwnBook | None:
    """The book beside the dealers of the snapshot's position model; None without one, or from another process.

    Options of other underlyings are named and left out.

    Units: `positions` coins by option name, + long; `moves` fractions of spot. Source: Black (1976), each option on its
    own forward, inside its settlement window on the part of the average that is open.
    """
    result = None if snapshot.views is UNSET else snapshot.views.result
    if not isinstance(result, BookResult) or not result.tick.has_book:
        return None
    tick = result.tick
    names = [tick.chain.names[row] for row in tick.cols.rows.tolist()]
    column = {name: i for i, name in enumerate(names)}
    coins_by_name = {name: coins for name, coins in positions.items() if _is_of(name, snapshot.underlying)}
    found = [name for name in coins_by_name if name in column]
    rows = np.array([column[name] for name in found], dtype=np.intp)
    coins = np.array([coins_by_name[name] for name in found])
    table = _exposures(tick, rows, coins)
    price = _priced(tick, rows, 0.0).price
    options = [
        OwnOption(name, coins_by_name[name], float(price[i]), {key: float(values[i]) for key, values in table.items()})
        for i, name in enumerate(found)
    ]
    return OwnBook(
        options=tuple(options),
        missing=tuple(name for name in coins_by_name if name not in column),
        others=tuple(name for name in positions if name not in coins_by_name),
        mine={key: float(values.sum()) for key, values in table.items()},
        dealers=_dealers(tick),
        moves=_moves(snapshot, tick, rows, coins, moves),
    )


def _is_of(name: str, underlying: str) -> bool:
    """True for an option of the underlying: `BTC-...`, `SOL_USDC-...`."""
    return name.partition("-")[0].partition("_")[0] == underlying


def _priced(tick: TickResult, rows: np.ndarray[tuple[int], np.dtype[np.intp]], move: float) -> Greeks:
    """The options at spot moved, with the volatility that goes with it. Not valid rows are NaN."""
    cols = tick.cols
    tau = cols.tau[rows]
    sigma = np.maximum(cols.sigma[rows] + move * tick.moves.beta.value[tenor_of(tau)], MIN_SIGMA)
    return greeks(
        cols.forward[rows] * (1.0 + move),
        cols.strike[rows],
        sigma,
        tau,
        cols.option_type[rows],
        settlement="average",
        average=None if cols.average is None else cols.average[rows],
        numeraire=tick.numeraire,
        inverse=tick.chain.inverse[cols.rows[rows]],
    )


def _exposures(tick: TickResult, rows: np.ndarray[tuple[int], np.dtype[np.intp]], coins: F64) -> dict[str, F64]:
    """Exposures of positions in some of the board's options, USD."""
    board, delta = tick.exposure.board, np.nan_to_num(_priced(tick, rows, 0.0).delta)
    unit = board.unit.for_rows(board.points.point[rows])
    table = {name: unit.column(name) * coins for name in EXPOSURES if name != "delta"}
    return {"delta": tick.cols.forward[rows] * delta * coins, **table}


def _dealers(tick: TickResult) -> dict[str, float]:
    table = _exposures(tick, np.arange(tick.cols.size), tick.cols.position)
    return {name: float(values.sum()) for name, values in table.items()}


def _moves(
    snapshot: FlowSnapshot,
    tick: TickResult,
    rows: np.ndarray[tuple[int], np.dtype[np.intp]],
    coins: F64,
    moves: Sequence[float],
) -> tuple[OwnMove, ...]:
    drawn = forward_map_of(snapshot, np.array(moves), np.zeros(1))
    forward, now = tick.cols.forward[rows], _priced(tick, rows, 0.0)
    price, delta = np.nan_to_num(now.price), np.nan_to_num(now.delta)
    out = []
    for i, move in enumerate(moves):
        moved = _priced(tick, rows, move)
        then, moved_forward = np.nan_to_num(moved.delta), forward * (1.0 + move)
        dealers: Hedge = (None, None, None)
        if drawn is not None:
            values = (float(part[i, 0]) for part in (drawn.trade, drawn.lo, drawn.hi))
            value, low, high = (None if number != number else number for number in values)
            dealers = value, low, high
        out.append(
            OwnMove(
                move=move,
                pnl=float(coins @ (np.nan_to_num(moved.price) - price)),
                delta=float(coins @ (moved_forward * then)),
                hedge=-float(coins @ (moved_forward * (then - delta))),
                dealers=dealers,
            )
        )
    return tuple(out)
