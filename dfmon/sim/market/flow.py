"""Customer flow in options: who trades, what, which way, how much, and when.

Yield sellers write calls above the market, hedgers buy puts below it, the impatient buy short-dated calls, volatility
sellers write the money; arrivals excite each other (Hawkes). Blocks carry about 30 % of the volume, combos about 20 %.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np

from dfmon.sim.market.board import Board, Slice
from dfmon.sim.market.ledger import AMONG_DEALERS, CUSTOMER_TAKES, DEALER_TAKES, DESKS

BUY: Final = 1
SELL: Final = -1


@dataclass(frozen=True, slots=True)
class Segment:
    """One kind of customer. `sign` 0: calls and puts alike; `money` is strike / spot - 1."""

    weight: float
    side: int
    sign: int
    days: tuple[float, float]
    money: tuple[float, float]


POPULATION: Final = (
    Segment(0.27, SELL, +1, (5.0, 60.0), (0.05, 0.15)),  # yield sellers
    Segment(0.29, BUY, -1, (5.0, 120.0), (-0.20, -0.04)),  # hedgers
    Segment(0.26, BUY, +1, (0.0, 7.0), (0.01, 0.07)),  # directional
    Segment(0.10, SELL, 0, (0.5, 35.0), (-0.015, 0.015)),  # volatility sellers
    Segment(0.04, BUY, 0, (0.0, 400.0), (-0.3, 0.4)),  # everyone else
    Segment(0.04, SELL, 0, (0.0, 400.0), (-0.3, 0.4)),
)
_BEHIND_SCREEN: Final = list(accumulate((0.74, 0.12, 0.08)))  # shares of the classes of `ledger`, but the last
_BEHIND_BLOCK: Final = list(accumulate((0.52, 0.30, 0.13)))
_DESKS: Final = list(accumulate(DESKS[:-1]))
_WEIGHTS: Final = list(accumulate(s.weight for s in POPULATION))


@dataclass(frozen=True, slots=True)
class Leg:
    """One option of an order: its taker takes `side` for `amount` coins."""

    row: int
    side: int
    amount: float
    taker_closes: bool
    maker_closes: bool


@dataclass(frozen=True, slots=True)
class Order:
    """What is done at once. `structure` names a combo (`CS`, `PS`, `STRD`, `STRG`) or is empty.

    `side` is the taker's side of the structure; a block may have been requested (`rfq`). `who` stands behind it, one
    class for all legs, and `desks` which desk takes and which makes where dealers do: nobody but the ledger learns it.
    """

    legs: tuple[Leg, ...]
    side: int
    structure: str = ""
    block: bool = False
    rfq: bool = False
    who: int = CUSTOMER_TAKES
    desks: tuple[int, int] = (0, 1)


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """Rates and sizes of one currency: orders per second at rest, coins, finest and round strike steps."""

    rate: float
    median_size: float
    lot: float
    block_min: float
    strike_step: float
    excitation: float = 0.45
    decay_per_s: float = 0.25
    combo_chance: float = 0.135
    block_chance: float = 0.0095


class CustomerFlow:
    """Draws orders against a board."""

    def __init__(self, spec: FlowSpec, rng: np.random.Generator) -> None:
        self._spec, self._rng = spec, rng
        self._rng_desks = rng.spawn(1)[0]  # whose dealer it was changes nothing that the market shows
        self._heat = 0.0
        self._board: Board | None = None
        self._menus: dict[Segment, tuple[list[Slice], list[float]]] = {}

    def arrivals(self, seconds: float) -> int:
        """How many orders come in this slice: a Hawkes process with an exponential kernel."""
        spec = self._spec
        self._heat *= math.exp(-spec.decay_per_s * seconds)
        n = int(self._rng.poisson((spec.rate + self._heat) * seconds))
        self._heat += n * spec.excitation * spec.decay_per_s
        return n

    def order(self, board: Board, spot: float, scale: float = 1.0) -> Order:
        """One order; `scale` multiplies screen sizes."""
        rng, spec = self._rng, self._spec
        segment = POPULATION[min(bisect_left(_WEIGHTS, rng.random()), len(POPULATION) - 1)]
        part = self._pick_expiry(board, segment)
        sign = segment.sign or (1 if rng.random() < 0.5 else -1)
        strike = self._pick_strike(part, spot * (1.0 + rng.uniform(*segment.money)))
        u = float(rng.random())
        if u < spec.block_chance:
            amount = self._size(spec.block_min * 1.15, 0.5, spec.block_min)
            structured = rng.random() < 0.5
            return self._build(part, strike, sign, segment, amount, structured, block=True)
        combo = u < spec.block_chance + spec.combo_chance
        tenor = min(max(math.sqrt(part.days / 20.0), 0.3), 1.6)  # short-dated tickets are small
        amount = self._size(spec.median_size * scale * tenor * (1.25 if combo else 1.0), 1.1, spec.lot)
        return self._build(part, strike, sign, segment, amount, combo, block=False)

    def _pick_expiry(self, board: Board, segment: Segment) -> Slice:
        if board is not self._board:
            self._board, self._menus = board, {s: _menu(board, s) for s in POPULATION}
        fitting, shares = self._menus[segment]
        return fitting[min(bisect_left(shares, self._rng.random()), len(fitting) - 1)]

    def _pick_strike(self, part: Slice, target: float) -> float:
        n = part.nearest(target)
        if self._rng.random() < 0.5:
            return part.strikes[n]
        near = part.strikes[max(n - 2, 0) : n + 3]
        step = self._spec.strike_step
        return max(
            near, key=lambda K: (K % (20 * step) == 0, K % (10 * step) == 0, K % (4 * step) == 0, -abs(K - target))
        )

    def _build(
        self, part: Slice, strike: float, sign: int, segment: Segment, amount: float, structured: bool, *, block: bool
    ) -> Order:
        who = self._who(block)
        desks = self._desks(who)
        side = -segment.side if who == DEALER_TAKES else segment.side  # a resting order waits for the other side
        rfq = block and bool(self._rng.random() < 0.6)
        first = self._leg(part.row(strike, sign), side, amount)
        if not structured:
            return Order((first,), side, "", block, rfq, who, desks)
        at_money = abs(segment.money[0]) < 0.02 and segment.side == SELL
        if at_money:
            second = self._leg(part.row(strike, -sign), side, amount)
            return Order((first, second), side, "STRD", block, rfq, who, desks)
        n = part.nearest(strike) + 2 * sign
        if not 0 <= n < len(part.strikes):
            return Order((first,), side, "", block, rfq, who, desks)
        second = self._leg(part.row(part.strikes[n], sign), -side, amount)
        return Order((first, second), side, "CS" if sign > 0 else "PS", block, rfq, who, desks)

    def _who(self, block: bool) -> int:
        return bisect_left(_BEHIND_BLOCK if block else _BEHIND_SCREEN, self._rng.random())

    def _desks(self, who: int) -> tuple[int, int]:
        """The desk that takes and the one that makes, where dealers do; by their shares, and none with itself."""
        takes, makes = (bisect_left(_DESKS, draw) for draw in self._rng_desks.random(2).tolist())
        if who == AMONG_DEALERS and takes == makes:
            makes = (makes + 1 + int(self._rng_desks.integers(len(DESKS) - 1))) % len(DESKS)
        return takes, makes

    def _leg(self, row: int, side: int, amount: float) -> Leg:
        closes = self._rng.random(2)
        return Leg(row, side, amount, bool(closes[0] < 0.25), bool(closes[1] < 0.35))

    def _size(self, median: float, spread: float, least: float) -> float:
        lot = self._spec.lot
        amount = median * math.exp(spread * float(self._rng.standard_normal()))
        return max(round(round(amount / lot) * lot, 1), least)


def _menu(board: Board, segment: Segment) -> tuple[list[Slice], list[float]]:
    """The expiries a segment trades with their cumulative shares: activity thins out with time to expiry."""
    low, high = segment.days
    fitting = [s for s in board.slices if low <= s.days <= high] or [board.slices[0]]
    weights = [1.0 / math.sqrt(max(s.days, 0.3)) for s in fitting]
    return fitting, [share / sum(weights) for share in accumulate(weights)]
