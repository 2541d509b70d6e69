"""A month of option prints whose true books are known, without an exchange around it: to test estimators against.

The customers are those of `flow`: each option is sold or bought by the segments that trade its strike and tenor, so
customers of one option lean one way and keep leaning. Every print has a latent class (customer takes, dealer takes a
customer's order, customers among themselves, dealers among themselves); legs of a combo share it. Four non-negative
numbers an option are moved by it and open interest is their sum. Now and then something happens without a print: an
account's longs and shorts are netted and open interest falls, or longs pass between a customer and a dealer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.sim.market.flow import POPULATION
from dfmon.sim.market.surface import FloatArray

Ints = NDArray[np.int64]

SPOT: Final = 100_000.0
SCREEN, BLOCK, RFQ, COMBO, LIQUIDATION = range(5)
SHARES: Final = (0.795, 0.025, 0.030, 0.145, 0.005)  # of the events
LARGER: Final = (1.0, 8.5, 8.5, 1.15, 1.0)  # than a screen print
NOT_A_PRINT: Final = -1
_BLOCK, _SCREEN = (0.52, 0.30, 0.13, 0.05), (0.74, 0.12, 0.08, 0.06)
_FORCED: Final = (0.88, 0.02, 0.09, 0.01)
CLOSES: Final = 0.3  # chance that a party closes what it may before it opens
UNPRINTED_A_DAY: Final = 0.04  # chance of a change without a print: a netting or a transfer, by halves
NETTED: Final = 0.3  # share of what can be netted that is
TRANSFERRED: Final = 0.1  # share of open interest that a transfer passes on, if there is so much
EXPIRIES: Final = (32.0, 39.0, 53.0, 81.0, 120.0)  # days


@dataclass(frozen=True, slots=True)
class Life:
    """k changes of the true books of n options in time order, most of them prints.

    `time` in days, the watch begins at 0; `kind` NOT_A_PRINT marks what left no print. `interest` and `customers` (net,
    coins) are those of the option right after the change; `listed` (n,) in days.
    """

    strike: FloatArray
    expiry: FloatArray
    option_type: FloatArray
    listed: FloatArray
    time: FloatArray
    option: Ints
    side: Ints
    size: FloatArray
    kind: Ints
    event: Ints
    seq: Ints
    interest: FloatArray
    customers: FloatArray

    @property
    def prints(self) -> NDArray[np.intp]:
        """The rows that are prints."""
        return np.flatnonzero(self.kind != NOT_A_PRINT)

    def at(self, day: float, of: FloatArray) -> FloatArray:
        """`of` (interest or customers) of every option as it stood at `day`, zero before its first print."""
        out = np.zeros(self.strike.size)
        upto = int(np.searchsorted(self.time, day, side="right"))
        out[self.option[:upto]] = of[:upto]  # the last one written stays
        return out


def live(
    seed: int,
    *,
    options: int = 200,
    days: float = 30.0,
    before: float = 10.0,
    prints_a_day: float = 12.0,
    persistent: bool = True,
    screen: tuple[float, float] | None = None,
) -> Life:
    """Lives of `options` options up to `days`; three in four were listed `before` days ahead of the watch.

    `persistent` False lets customers of every option buy and sell alike. `screen` overrides the shares of the first
    two classes of screen and combo prints.
    """
    rng = np.random.default_rng(seed)
    strike, expiry, sign = _chain(options)
    buys = _direction(strike, expiry, sign, rng) if persistent else np.full(options, 0.5)
    listed = np.where(rng.random(options) < 0.25, rng.uniform(0.0, 0.7 * days, options), -before)
    events = _events(rng, listed, days, prints_a_day, (strike, expiry, sign))
    shares = _SCREEN if screen is None else (*screen, *(np.array([0.57, 0.43]) * (1.0 - sum(screen))))
    return _traded(rng, (strike, expiry, sign, listed), buys, events, days, shares)


def _chain(options: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    rows = np.arange(options)
    expiry = np.array(EXPIRIES)[rows % len(EXPIRIES)]
    sign = np.where(rows // len(EXPIRIES) % 2, -1.0, 1.0)
    step = rows // (2 * len(EXPIRIES))
    steps = max(int(step.max()), 1)
    return SPOT * (0.8 + 0.4 * step / steps), expiry, sign


def _direction(strike: FloatArray, expiry: FloatArray, sign: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Probability that a customer of each option buys: the mix of the segments that trade it, and its own taste."""
    money = strike / SPOT - 1.0
    buying, weight = np.zeros(strike.size), np.zeros(strike.size)
    for segment in POPULATION:
        fits = (segment.sign == 0) | (sign == segment.sign)
        fits &= (money >= segment.money[0] - 0.01) & (money <= segment.money[1] + 0.01)
        reach = segment.money[1] - segment.money[0]
        weight += fits * segment.weight / reach
        buying += fits * (segment.side > 0) * segment.weight / reach
    mean = 0.5 + 0.4 * (buying / weight - 0.5)
    return rng.beta(4.5 * mean, 4.5 * (1.0 - mean))


def _events(
    rng: np.random.Generator, listed: FloatArray, days: float, rate: float, chain: tuple[FloatArray, ...]
) -> tuple[Ints, FloatArray, Ints, Ints, FloatArray]:
    """Legs in time order: option, time, event, kind, and whether the leg goes with (+1) or against the event."""
    counts = rng.poisson(rate * (days - listed) / (1.0 + SHARES[COMBO]))
    option = np.repeat(np.arange(listed.size), counts)
    time = listed[option] + rng.random(option.size) * (days - listed[option])
    kind = rng.choice(len(SHARES), option.size, p=SHARES)
    event = np.arange(1, option.size + 1)
    second = (option + 2 * len(EXPIRIES)) % listed.size  # the next strike of the same kind and expiry
    legged = np.flatnonzero((kind == COMBO) & (listed[second] < time) & (chain[2][second] == chain[2][option]))
    turn = np.where(rng.random(legged.size) < 0.7, -1.0, 1.0)  # mostly spreads
    legs = (
        np.concatenate([option, second[legged]]),
        np.concatenate([time, time[legged]]),
        np.concatenate([event, event[legged]]),
        np.concatenate([kind, kind[legged]]),
        np.concatenate([np.ones(option.size), turn]),
    )
    order = np.argsort(legs[1], kind="stable")
    return legs[0][order], legs[1][order], legs[2][order], legs[3][order], legs[4][order]


def _traded(
    rng: np.random.Generator,
    chain: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    buys: FloatArray,
    legs: tuple[Ints, FloatArray, Ints, Ints, FloatArray],
    days: float,
    screen: tuple[float, ...],
) -> Life:
    option, time, event, kind, turn = legs
    n, count = chain[0].size, int(event.max())
    first = np.full(count + 1, -1)
    first[event[::-1]] = np.arange(event.size)[::-1]
    shares = np.array([screen, _BLOCK, _BLOCK, screen, _FORCED])
    drawn = rng.random(count + 1)
    latent = (drawn[:, None] > np.cumsum(shares[kind[first]], axis=1)[:, :3]).sum(axis=1)
    customer = np.where(rng.random(count + 1) < buys[option[first]], 1, -1)
    taker = np.select([latent == 0, latent == 1], [customer, -customer], rng.choice([-1, 1], count + 1))
    sizes = np.round(np.exp(1.1 * rng.standard_normal(count + 1)) * np.array(LARGER)[kind[first]], 1)
    size, side = np.maximum(sizes, 0.1)[event], (taker[event] * turn).astype(np.int64)

    quiet = np.sort(rng.uniform(-10.0, days, rng.poisson(UNPRINTED_A_DAY * n * (days + 10.0))))
    merged = np.argsort(np.concatenate([time, quiet]), kind="stable")
    option = np.concatenate([option, rng.integers(0, n, quiet.size)])[merged]
    time = np.concatenate([time, quiet])[merged]
    event = np.concatenate([event, np.zeros(quiet.size, np.int64)])[merged]
    kind = np.concatenate([kind, np.full(quiet.size, NOT_A_PRINT)])[merged]
    side = np.concatenate([side, rng.choice([0, 0, 1, -1], quiet.size)])[merged]
    size = np.concatenate([size, np.zeros(quiet.size)])[merged]
    interest, customers = _books(
        n, option, side, size, np.where(kind < 0, -1, latent[event]), rng.random((option.size, 2)) < CLOSES
    )
    return Life(
        *chain, time, option, side, size, kind, event, _counted(option, kind), interest, customers,
    )  # fmt: skip


def _counted(option: Ints, kind: Ints) -> Ints:
    """The number of each print among those of its option, from 1."""
    seq = np.zeros(option.size, np.int64)
    rows = np.flatnonzero(kind != NOT_A_PRINT)
    order = rows[np.argsort(option[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(option[order], prepend=-1))
    lengths = np.diff(np.append(starts, order.size))
    seq[order] = np.arange(order.size) - np.repeat(starts, lengths) + 1
    return seq


def _books(
    n: int, option: Ints, side: Ints, size: FloatArray, latent: Ints, closes: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Open interest and customers' net position after each change, by the four true books of each option."""
    books = [[0.0, 0.0, 0.0, 0.0] for _ in range(n)]  # customers long, short, dealers long, short
    interest, customers = np.empty(option.size), np.empty(option.size)
    taker_of, maker_of = (0, 2, 0, 2), (2, 0, 0, 2)  # first book of each party, by class
    rows = zip(option.tolist(), side.tolist(), size.tolist(), latent.tolist(), closes.tolist())
    for i, (row, taken, amount, which, (taker_closes, maker_closes)) in enumerate(rows):
        book = books[row]
        if which < 0 and not taken:
            part = NETTED * min(book[0], book[1])
            book[0] -= part
            book[1] -= part
        elif which < 0:
            giver, getter = (0, 2) if taken > 0 else (2, 0)
            part = min(book[giver], TRANSFERRED * (book[0] + book[2]))
            book[giver] -= part
            book[getter] += part
        else:
            buyer, seller = taker_of[which], maker_of[which]
            buyer_closes, seller_closes = taker_closes, maker_closes
            if taken < 0:
                buyer, seller, buyer_closes, seller_closes = seller, buyer, seller_closes, buyer_closes
            part = min(amount, book[buyer + 1]) if buyer_closes else 0.0
            book[buyer + 1] -= part
            book[buyer] += amount - part
            part = min(amount, book[seller]) if seller_closes else 0.0
            book[seller] -= part
            book[seller + 1] += amount - part
        interest[i], customers[i] = book[0] + book[2], book[0] - book[1]
    return interest, customers
