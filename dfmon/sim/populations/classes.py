"""A market of four positions an option: customers and dealers, long and short, without accounts.

The customers are those of `dfmon.sim.market.flow`: each option is sold or bought by the segments that trade its strike
and tenor, so customers of one option tend to one side and keep to it. Every print has a latent class (customer takes,
dealer takes a customer's order, customers among themselves, dealers among themselves); legs of a combo share it. Four
non-negative numbers an option are moved by it and open interest is their sum. Now and then something happens without a
print: an account's longs and shorts are netted and open interest falls, or longs pass between a customer and a dealer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.sim.market.flow import POPULATION
from dfmon.sim.market.surface import FloatArray
from dfmon.sim.populations.history import SPOT

IntArray = NDArray[np.int64]

SCREEN, BLOCK, RFQ, COMBO, LIQUIDATION = range(5)
KIND_SHARES: Final = (0.795, 0.025, 0.030, 0.145, 0.005)  # of the events
SIZE_FACTORS: Final = (1.0, 8.5, 8.5, 1.15, 1.0)  # than a screen print
NOT_A_PRINT: Final = -1
_BLOCK_CLASS_SHARES, _SCREEN_CLASS_SHARES = (0.52, 0.30, 0.13, 0.05), (0.74, 0.12, 0.08, 0.06)
_FORCED_CLASS_SHARES: Final = (0.88, 0.02, 0.09, 0.01)
CLOSE_PROBABILITY: Final = 0.3  # chance that a party closes what it may before it opens
UNPRINTED_PER_DAY: Final = 0.04  # chance of a change without a print: a netting or a transfer, by halves
NETTED_SHARE: Final = 0.3  # share of what can be netted that is
TRANSFERRED_SHARE: Final = 0.1  # share of open interest that a transfer passes on, if there is so much
EXPIRY_DAYS: Final = (32.0, 39.0, 53.0, 81.0, 120.0)  # days


@dataclass(frozen=True, slots=True)
class PopulationHistory:
    """k changes of the true books of n options in time order, most of them prints.

    `time` in days, the watch begins at 0; `kind` NOT_A_PRINT marks what left no print. `open_interest` and
    `customer_net` (net, coins) are those of the option right after the change; `listed` (n,) in days.
    """

    strike: FloatArray
    expiry: FloatArray
    option_type: FloatArray
    listed: FloatArray
    time: FloatArray
    option: IntArray
    side: IntArray
    size: FloatArray
    kind: IntArray
    event: IntArray
    seq: IntArray
    open_interest: FloatArray
    customer_net: FloatArray

    @property
    def print_rows(self) -> NDArray[np.intp]:
        """The rows that are prints."""
        return np.flatnonzero(self.kind != NOT_A_PRINT)

    def state_at(self, day: float, column: FloatArray) -> FloatArray:
        """`column` (interest or customers) of every option as it stood at `day`, zero before its first print."""
        out = np.zeros(self.strike.size)
        end_row = int(np.searchsorted(self.time, day, side="right"))
        out[self.option[:end_row]] = column[:end_row]  # the last of repeated rows wins
        return out


def simulate_population(
    seed: int,
    *,
    options: int = 200,
    days: float = 30.0,
    listed_before_days: float = 10.0,
    prints_per_day: float = 12.0,
    persistent: bool = True,
    screen: tuple[float, float] | None = None,
    closing: float = CLOSE_PROBABILITY,
    unprinted_per_day: float = UNPRINTED_PER_DAY,
) -> PopulationHistory:
    """Simulates `options` options up to `days`; three in four were listed `listed_before_days` days ahead of the watch.

    `closing` is the chance that a party closes what it may before it opens, `unprinted_per_day` that of a change
    without a print. `persistent` False lets customers of every option buy and sell alike. `screen` overrides the shares
    of the first two classes of screen and combo prints.
    """
    rng = np.random.default_rng(seed)
    strike, expiry, sign = _chain(options)
    buy_probability = _draw_buy_probability(strike, expiry, sign, rng) if persistent else np.full(options, 0.5)
    listed = np.where(rng.random(options) < 0.25, rng.uniform(0.0, 0.7 * days, options), -listed_before_days)
    events = _draw_legs(rng, listed, days, prints_per_day, (strike, expiry, sign))
    shares = _SCREEN_CLASS_SHARES if screen is None else (*screen, *(np.array([0.57, 0.43]) * (1.0 - sum(screen))))
    return _simulate_prints(
        rng, (strike, expiry, sign, listed), buy_probability, events, days, shares, (closing, unprinted_per_day)
    )


def _chain(options: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    rows = np.arange(options)
    expiry = np.array(EXPIRY_DAYS)[rows % len(EXPIRY_DAYS)]
    sign = np.where(rows // len(EXPIRY_DAYS) % 2, -1.0, 1.0)
    step = rows // (2 * len(EXPIRY_DAYS))
    steps = max(int(step.max()), 1)
    return SPOT * (0.8 + 0.4 * step / steps), expiry, sign


def _draw_buy_probability(
    strike: FloatArray, expiry: FloatArray, sign: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Probability that a customer of each option buys: the mix of the segments that trade it, and its own taste."""
    moneyness = strike / SPOT - 1.0
    buy_weight, weight = np.zeros(strike.size), np.zeros(strike.size)
    for segment in POPULATION:
        is_traded = (segment.sign == 0) | (sign == segment.sign)
        is_traded &= (moneyness >= segment.moneyness[0] - 0.01) & (moneyness <= segment.moneyness[1] + 0.01)
        moneyness_width = segment.moneyness[1] - segment.moneyness[0]
        weight += is_traded * segment.weight / moneyness_width
        buy_weight += is_traded * (segment.side > 0) * segment.weight / moneyness_width
    mean = 0.5 + 0.4 * (buy_weight / weight - 0.5)
    return rng.beta(4.5 * mean, 4.5 * (1.0 - mean))


def _draw_legs(
    rng: np.random.Generator, listed: FloatArray, days: float, rate: float, chain: tuple[FloatArray, ...]
) -> tuple[IntArray, FloatArray, IntArray, IntArray, FloatArray]:
    """Legs in time order: option, time, event, kind, and whether the leg goes with (+1) or against the event."""
    counts = rng.poisson(rate * (days - listed) / (1.0 + KIND_SHARES[COMBO]))
    option = np.repeat(np.arange(listed.size), counts)
    time = listed[option] + rng.random(option.size) * (days - listed[option])
    kind = rng.choice(len(KIND_SHARES), option.size, p=KIND_SHARES)
    event = np.arange(1, option.size + 1)
    second = (option + 2 * len(EXPIRY_DAYS)) % listed.size  # the next strike of the same kind and expiry
    combo_rows = np.flatnonzero((kind == COMBO) & (listed[second] < time) & (chain[2][second] == chain[2][option]))
    leg_direction = np.where(rng.random(combo_rows.size) < 0.7, -1.0, 1.0)  # mostly spreads
    legs = (
        np.concatenate([option, second[combo_rows]]),
        np.concatenate([time, time[combo_rows]]),
        np.concatenate([event, event[combo_rows]]),
        np.concatenate([kind, kind[combo_rows]]),
        np.concatenate([np.ones(option.size), leg_direction]),
    )
    order = np.argsort(legs[1], kind="stable")
    return legs[0][order], legs[1][order], legs[2][order], legs[3][order], legs[4][order]


def _simulate_prints(
    rng: np.random.Generator,
    chain: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    buy_probability: FloatArray,
    legs: tuple[IntArray, FloatArray, IntArray, IntArray, FloatArray],
    days: float,
    screen: tuple[float, ...],
    hazards: tuple[float, float],
) -> PopulationHistory:
    option, time, event, kind, leg_direction = legs
    close_probability, unprinted_per_day = hazards
    n, count = chain[0].size, int(event.max())
    first = np.full(count + 1, -1)
    first[event[::-1]] = np.arange(event.size)[::-1]
    shares = np.array([screen, _BLOCK_CLASS_SHARES, _BLOCK_CLASS_SHARES, screen, _FORCED_CLASS_SHARES])
    drawn = rng.random(count + 1)
    latent = (drawn[:, None] > np.cumsum(shares[kind[first]], axis=1)[:, :3]).sum(axis=1)
    customer = np.where(rng.random(count + 1) < buy_probability[option[first]], 1, -1)
    taker = np.select([latent == 0, latent == 1], [customer, -customer], rng.choice([-1, 1], count + 1))
    sizes = np.round(np.exp(1.1 * rng.standard_normal(count + 1)) * np.array(SIZE_FACTORS)[kind[first]], 1)
    size, side = np.maximum(sizes, 0.1)[event], (taker[event] * leg_direction).astype(np.int64)

    unprinted_times = np.sort(rng.uniform(-10.0, days, rng.poisson(unprinted_per_day * n * (days + 10.0))))
    merged = np.argsort(np.concatenate([time, unprinted_times]), kind="stable")
    option = np.concatenate([option, rng.integers(0, n, unprinted_times.size)])[merged]
    time = np.concatenate([time, unprinted_times])[merged]
    event = np.concatenate([event, np.zeros(unprinted_times.size, np.int64)])[merged]
    kind = np.concatenate([kind, np.full(unprinted_times.size, NOT_A_PRINT)])[merged]
    side = np.concatenate([side, rng.choice([0, 0, 1, -1], unprinted_times.size)])[merged]
    size = np.concatenate([size, np.zeros(unprinted_times.size)])[merged]
    open_interest, customer_net = _replay_books(
        n, option, side, size, np.where(kind < 0, -1, latent[event]), rng.random((option.size, 2)) < close_probability
    )
    return PopulationHistory(
        *chain, time, option, side, size, kind, event, _sequence_numbers(option, kind), open_interest, customer_net,
    )  # fmt: skip


def _sequence_numbers(option: IntArray, kind: IntArray) -> IntArray:
    """The number of each print among those of its option, from 1."""
    seq = np.zeros(option.size, np.int64)
    rows = np.flatnonzero(kind != NOT_A_PRINT)
    order = rows[np.argsort(option[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(option[order], prepend=-1))
    lengths = np.diff(np.append(starts, order.size))
    seq[order] = np.arange(order.size) - np.repeat(starts, lengths) + 1
    return seq


def _replay_books(
    n: int, option: IntArray, side: IntArray, size: FloatArray, latent: IntArray, closes: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Open interest and customers' net position after each change, by the four true books of each option."""
    books = [[0.0, 0.0, 0.0, 0.0] for _ in range(n)]  # customers long, short, dealers long, short
    open_interest, customer_net = np.empty(option.size), np.empty(option.size)
    taker_of, maker_of = (0, 2, 0, 2), (2, 0, 0, 2)  # first book of each party, by class
    rows = zip(option.tolist(), side.tolist(), size.tolist(), latent.tolist(), closes.tolist())
    for i, (row, taker_side, amount, latent_class, (taker_closes, maker_closes)) in enumerate(rows):
        book = books[row]
        if latent_class < 0 and not taker_side:
            moved_amount = NETTED_SHARE * min(book[0], book[1])
            book[0] -= moved_amount
            book[1] -= moved_amount
        elif latent_class < 0:
            sender, receiver = (0, 2) if taker_side > 0 else (2, 0)
            moved_amount = min(book[sender], TRANSFERRED_SHARE * (book[0] + book[2]))
            book[sender] -= moved_amount
            book[receiver] += moved_amount
        else:
            buyer, seller = taker_of[latent_class], maker_of[latent_class]
            buyer_closes, seller_closes = taker_closes, maker_closes
            if taker_side < 0:
                buyer, seller, buyer_closes, seller_closes = seller, buyer, seller_closes, buyer_closes
            moved_amount = min(amount, book[buyer + 1]) if buyer_closes else 0.0
            book[buyer + 1] -= moved_amount
            book[buyer] += amount - moved_amount
            moved_amount = min(amount, book[seller]) if seller_closes else 0.0
            book[seller] -= moved_amount
            book[seller + 1] += amount - moved_amount
        open_interest[i], customer_net[i] = book[0] + book[2], book[0] - book[1]
    return open_interest, customer_net
