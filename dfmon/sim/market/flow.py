"""Customer flow in options: segments, instruments, sides, sizes and times.

Yield sellers write calls above the market, hedgers buy puts below it, the impatient buy short-dated calls, volatility
sellers write the money; arrivals excite each other (Hawkes). Blocks carry about 30 % of the volume, combos about 20 %.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

import numpy as np

from dfmon.model.units import DAY
from dfmon.sim.market.board import ExpirySlice, OptionBoard
from dfmon.sim.market.ledger import AMONG_CUSTOMERS, AMONG_DEALERS, CUSTOMER_TAKES, DEALER_TAKES, DESKS
from dfmon.sim.market.listing import next_delivery_ns
from dfmon.sim.market.script import BookLine

BUY: Final = 1
SELL: Final = -1
_CLIPS: Final = 60  # orders of a line of a script


@dataclass(frozen=True, slots=True)
class CustomerSegment:
    """One kind of customer. `sign` 0: calls and puts alike; `moneyness` is strike / spot - 1."""

    weight: float
    side: int
    sign: int
    days: tuple[float, float]
    moneyness: tuple[float, float]


POPULATION: Final = (
    CustomerSegment(0.27, SELL, +1, (5.0, 60.0), (0.05, 0.15)),  # yield sellers
    CustomerSegment(0.29, BUY, -1, (5.0, 120.0), (-0.20, -0.04)),  # hedgers
    CustomerSegment(0.26, BUY, +1, (0.0, 7.0), (0.01, 0.07)),  # directional
    CustomerSegment(0.10, SELL, 0, (0.5, 35.0), (-0.015, 0.015)),  # volatility sellers
    CustomerSegment(0.04, BUY, 0, (0.0, 400.0), (-0.3, 0.4)),  # everyone else
    CustomerSegment(0.04, SELL, 0, (0.0, 400.0), (-0.3, 0.4)),
)
_SCREEN_CLASS_CUM_SHARES: Final = list(
    accumulate((0.74, 0.12, 0.08))
)  # shares of the classes of `ledger`, but the last
_BLOCK_CLASS_CUM_SHARES: Final = list(accumulate((0.52, 0.30, 0.13)))
_LIQUIDATION_SHARE: Final = 0.006  # of single screen orders
_LIQUIDATION_CUM_SHARES: Final = (0.7, 0.9)  # taker, maker; both else
_FORCED_CLASSES: Final = {"T": CUSTOMER_TAKES, "M": DEALER_TAKES, "MT": AMONG_CUSTOMERS}
_DESK_CUM_SHARES: Final = list(accumulate(DESKS[:-1]))
_SEGMENT_CUM_WEIGHTS: Final = list(accumulate(s.weight for s in POPULATION))


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
    """Legs that trade together. `structure` names a combo (`CS`, `PS`, `STRD`, `STRG`) or is empty.

    `side` is the taker's side of the structure; a block may have been requested (`rfq`). `party_class` is the
    class of its parties, one for all legs; `liquidation` is T, M or MT where the taker, the maker or both are closed by
    force; `desks` are the taking and the making desk where dealers trade; both
    are known to the ledger only.
    """

    legs: tuple[Leg, ...]
    side: int
    structure: str = ""
    block: bool = False
    rfq: bool = False
    party_class: int = CUSTOMER_TAKES
    desks: tuple[int, int] = (0, 1)
    liquidation: str = ""


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
        self._rng_desks, self._rng_forced = rng.spawn(2)  # apart, so that they change nothing that is drawn otherwise
        self._excited_rate = 0.0
        self._board: OptionBoard | None = None
        self._expiry_choices_by_segment: dict[CustomerSegment, tuple[list[ExpirySlice], list[float]]] = {}

    def draw_arrivals(self, seconds: float) -> int:
        """Number of orders in this step, by a Hawkes process with an exponential kernel."""
        spec = self._spec
        self._excited_rate *= math.exp(-spec.decay_per_s * seconds)
        n = int(self._rng.poisson((spec.rate + self._excited_rate) * seconds))
        self._excited_rate += n * spec.excitation * spec.decay_per_s
        return n

    def draw_order(self, board: OptionBoard, spot: float, scale: float = 1.0) -> Order:
        """One order; `scale` multiplies screen sizes."""
        rng, spec = self._rng, self._spec
        segment = POPULATION[min(bisect_left(_SEGMENT_CUM_WEIGHTS, rng.random()), len(POPULATION) - 1)]
        expiry_slice = self._pick_expiry(board, segment)
        sign = segment.sign or (1 if rng.random() < 0.5 else -1)
        strike = self._pick_strike(expiry_slice, spot * (1.0 + rng.uniform(*segment.moneyness)))
        u = float(rng.random())
        if u < spec.block_chance:
            amount = self._draw_size(spec.block_min * 1.15, 0.5, spec.block_min)
            is_combo = rng.random() < 0.5
            return self._build_order(expiry_slice, strike, sign, segment, amount, is_combo, block=True)
        is_combo = u < spec.block_chance + spec.combo_chance
        tenor = min(max(math.sqrt(expiry_slice.days / 20.0), 0.3), 1.6)  # short-dated tickets are small
        amount = self._draw_size(spec.median_size * scale * tenor * (1.25 if is_combo else 1.0), 1.1, spec.lot)
        return self._build_order(expiry_slice, strike, sign, segment, amount, is_combo, block=False)

    def _pick_expiry(self, board: OptionBoard, segment: CustomerSegment) -> ExpirySlice:
        if board is not self._board:
            self._board, self._expiry_choices_by_segment = board, {s: _expiry_choices(board, s) for s in POPULATION}
        candidates, cum_shares = self._expiry_choices_by_segment[segment]
        return candidates[min(bisect_left(cum_shares, self._rng.random()), len(candidates) - 1)]

    def _pick_strike(self, expiry_slice: ExpirySlice, target: float) -> float:
        n = expiry_slice.nearest_index(target)
        if self._rng.random() < 0.5:
            return expiry_slice.strikes[n]
        nearby_strikes = expiry_slice.strikes[max(n - 2, 0) : n + 3]
        step = self._spec.strike_step
        return max(
            nearby_strikes,
            key=lambda K: (K % (20 * step) == 0, K % (10 * step) == 0, K % (4 * step) == 0, -abs(K - target)),
        )

    def _build_order(
        self,
        expiry_slice: ExpirySlice,
        strike: float,
        sign: int,
        segment: CustomerSegment,
        amount: float,
        is_combo: bool,
        *,
        block: bool,
    ) -> Order:
        party_class = self._draw_party_class(block)
        desks = self._draw_desks(party_class)
        side = (
            -segment.side if party_class == DEALER_TAKES else segment.side
        )  # a resting order waits for the other side
        rfq = block and bool(self._rng.random() < 0.6)
        first = self._draw_leg(expiry_slice.nearest_row(strike, sign), side, amount)
        if not is_combo:
            order = Order((first,), side, "", block, rfq, party_class, desks)
            return order if block else self._draw_liquidation(order)
        at_the_money = abs(segment.moneyness[0]) < 0.02 and segment.side == SELL
        if at_the_money:
            second = self._draw_leg(expiry_slice.nearest_row(strike, -sign), side, amount)
            return Order((first, second), side, "STRD", block, rfq, party_class, desks)
        n = expiry_slice.nearest_index(strike) + 2 * sign
        if not 0 <= n < len(expiry_slice.strikes):
            return Order((first,), side, "", block, rfq, party_class, desks)
        second = self._draw_leg(expiry_slice.nearest_row(expiry_slice.strikes[n], sign), -side, amount)
        return Order((first, second), side, "CS" if sign > 0 else "PS", block, rfq, party_class, desks)

    def _draw_liquidation(self, order: Order) -> Order:
        """The order, or now and then one in which a customer is closed by force."""
        if self._rng_forced.random() >= _LIQUIDATION_SHARE:
            return order
        flag = ("T", "M", "MT")[bisect_left(_LIQUIDATION_CUM_SHARES, self._rng_forced.random())]
        leg = replace(order.legs[0], taker_closes="T" in flag, maker_closes="M" in flag)
        return replace(order, legs=(leg,), party_class=_FORCED_CLASSES[flag], liquidation=flag)

    def _draw_party_class(self, block: bool) -> int:
        return bisect_left(_BLOCK_CLASS_CUM_SHARES if block else _SCREEN_CLASS_CUM_SHARES, self._rng.random())

    def _draw_desks(self, party_class: int) -> tuple[int, int]:
        """The desk that takes and the one that makes, where dealers do; by their shares, and none with itself."""
        taking_desk, making_desk = (
            bisect_left(_DESK_CUM_SHARES, u_desk) for u_desk in self._rng_desks.random(2).tolist()
        )
        if party_class == AMONG_DEALERS and taking_desk == making_desk:
            making_desk = (making_desk + 1 + int(self._rng_desks.integers(len(DESKS) - 1))) % len(DESKS)
        return taking_desk, making_desk

    def _draw_leg(self, row: int, side: int, amount: float) -> Leg:
        closes = self._rng.random(2)
        return Leg(row, side, amount, bool(closes[0] < 0.25), bool(closes[1] < 0.35))

    def _draw_size(self, median: float, log_sd: float, min_amount: float) -> float:
        lot = self._spec.lot
        amount = median * math.exp(log_sd * float(self._rng.standard_normal()))
        return max(round(round(amount / lot) * lot, 1), min_amount)


def book_orders(board: OptionBoard, lines: Sequence[BookLine], start_ns: int) -> list[Order]:
    """The screen orders with which customers build `lines`, in clips; deliveries count from `start_ns`."""
    orders = []
    for line in lines:
        expiry_ns = next_delivery_ns(start_ns) + line.delivery * DAY
        expiry_slice = next(s for s in board.slices if s.expiry.expiry_ns == expiry_ns)
        row = expiry_slice.nearest_row(line.strike, line.sign)
        clip = round(line.coins / _CLIPS, 1)
        orders += [Order((Leg(row, line.side, clip, line.closes, False),), line.side) for _ in range(_CLIPS)]
    return orders


def _expiry_choices(board: OptionBoard, segment: CustomerSegment) -> tuple[list[ExpirySlice], list[float]]:
    """The expiries a segment trades with their cumulative shares: activity thins out with time to expiry."""
    low, high = segment.days
    candidates = [s for s in board.slices if low <= s.days <= high] or [board.slices[0]]
    weights = [1.0 / math.sqrt(max(s.days, 0.3)) for s in candidates]
    return candidates, [share / sum(weights) for share in accumulate(weights)]
