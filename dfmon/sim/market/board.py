"""The option board of one currency: columns of every listed option, repriced once a second.

Marks come from the surface; quotes lie around them, wider in the wings and absent in the deepest ones.
Prices are in coin (inverse options), volatilities in percent as Deribit prints them, NaN where nobody quotes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt

from dfmon.model.units import DAY, MINUTE
from dfmon.sim.market.listing import Expiry, OptionContract
from dfmon.sim.market.surface import FloatArray, Greeks, Smile, greeks

IV_CAP: Final = 500.0  # what Deribit prints as ask_iv where nobody offers
_AVERAGING: Final = 30 * MINUTE
_PULLED_SHARE, _PULLED_NS = 0.4, 2 * MINUTE


@dataclass(frozen=True, slots=True)
class Quotation:
    """How a board quotes: in coin (inverse) or USDC (linear), with a finer tick below `step_at`; `digits` of a mark.

    `index_digits` are those of the index and the forwards.
    """

    linear: bool = False
    fine: float = 0.0001
    coarse: float = 0.0005
    step_at: float = 0.005
    digits: int = 4
    index_digits: int = 2

    def price(self, usd: FloatArray, forward: FloatArray) -> FloatArray:
        """A value in USD as it is quoted."""
        return usd if self.linear else usd / forward

    def tick(self, price: float) -> float:
        """The tick at `price`."""
        return self.fine if price < self.step_at else self.coarse

    def on_tick(self, price: FloatArray, *, up: bool) -> FloatArray:
        """The next price on the grid outwards."""
        tick = np.where(price < self.step_at, self.fine, self.coarse)
        steps = price / tick
        whole = np.ceil(steps - 1e-9) if up else np.floor(steps + 1e-9)
        return np.round(whole * tick, self.digits)

    def usd(self, price: float, index: float) -> float:
        """A quoted price in USD."""
        return price if self.linear else price * index


INVERSE: Final = Quotation()


@dataclass(frozen=True, slots=True)
class Slice:
    """One expiry's part of the board."""

    expiry: Expiry
    strikes: list[float]
    calls: list[int]
    puts: list[int]
    days: float

    def row(self, strike: float, sign: int) -> int:
        """Row of the listed option nearest to `strike`."""
        n = self.nearest(strike)
        return self.calls[n] if sign > 0 else self.puts[n]

    def nearest(self, strike: float) -> int:
        """Index of the nearest listed strike."""
        n = min(max(bisect_left(self.strikes, strike), 1), len(self.strikes) - 1)
        return n if self.strikes[n] - strike < strike - self.strikes[n - 1] else n - 1


class Board:
    """Columns over `contracts`; everything but identity is rewritten by `reprice`."""

    def __init__(
        self,
        contracts: Sequence[OptionContract],
        now_ns: int,
        lot: float,
        rng: np.random.Generator,
        quotation: Quotation = INVERSE,
    ) -> None:
        self.quotation = quotation
        self.contracts = list(contracts)
        self.rows = {c.name: n for n, c in enumerate(self.contracts)}
        self.names = [c.name for c in self.contracts]
        self.strike: FloatArray = np.array([c.strike for c in self.contracts])
        self.sign: FloatArray = np.array([float(c.sign) for c in self.contracts])
        self.slices = tuple(_slices(self.contracts, now_ns))
        self._of = np.repeat(np.arange(len(self.slices)), [2 * len(s.strikes) for s in self.slices])
        self._rng, self._lot = rng, lot
        self.forwards: FloatArray = np.zeros(len(self.slices))
        self.bid_size: FloatArray = self._draw_sizes(len(self.contracts))
        self.ask_size: FloatArray = self._draw_sizes(len(self.contracts))
        self._pulled: npt.NDArray[np.bool_] = np.zeros(len(self.contracts), np.bool_)
        self._pulled_until = 0

    def forward_index(self, row: int) -> int:
        """Which of `slices` and `forwards` the option belongs to."""
        return int(self._of[row])

    @property
    def underlying(self) -> FloatArray:
        """Forward of each option's expiry, USD."""
        column: FloatArray = self.forwards[self._of]
        return column

    def reprice(self, now_ns: int, index: float, carry: float, smile: Smile) -> None:
        """Marks, greeks and quotes at `now_ns`; forwards are `index * exp(carry * T)`.

        The nearest expiry, within a day, is priced off the index itself.
        """
        years = np.array([s.expiry.years(now_ns) for s in self.slices])
        near = np.array([s.expiry.expiry_ns - now_ns <= DAY for s in self.slices])
        self.forwards = np.where(near, index, np.round(index * np.exp(carry * years), self.quotation.index_digits))
        F, T = self.forwards[self._of], years[self._of]
        sigma = smile.volatility(np.log(self.strike / F), T)
        self.greeks: Greeks = greeks(F, self.strike, T, sigma, self.sign)
        left = np.array([min((s.expiry.expiry_ns - now_ns) / _AVERAGING, 1.0) for s in self.slices])
        # delivery is a 30-minute average: what has been averaged already no longer moves
        self.delta = self.greeks.delta * np.maximum(left, 0.0)[self._of]
        self.iv = np.round(100.0 * sigma, 2)
        self.mark = self.quotation.price(self.greeks.value, F)
        self._quote(F, now_ns)

    def _quote(self, F: FloatArray, now_ns: int) -> None:
        quotation = self.quotation
        vega = quotation.price(self.greeks.vega, F)
        wing = np.abs(2.0 * np.abs(self.greeks.delta) - 1.0)
        half = vega * (0.35 + 2.5 * wing**4) + 0.4 * quotation.fine
        bid, ask = quotation.on_tick(self.mark - half, up=False), quotation.on_tick(self.mark + half, up=True)
        dead = np.abs(self.greeks.delta) < 0.0008
        pulled = self._pulled if now_ns < self._pulled_until else False
        self.bid = np.where((bid < quotation.fine) | dead | pulled, np.nan, bid)
        self.ask = np.where(dead & (self.strike % 4.0 == 0.0), np.nan, ask)
        scale = np.maximum(vega, 1e-9)
        self.bid_iv = np.round(np.clip(self.iv + (bid - self.mark) / scale, 0.0, IV_CAP), 2)
        self.ask_iv = np.round(np.clip(self.iv + (ask - self.mark) / scale, 0.0, IV_CAP), 2)
        self.bid_iv[np.isnan(self.bid)] = 0.0
        self.ask_iv[np.isnan(self.ask)] = IV_CAP
        fresh = self._rng.integers(0, len(self.names), 24)
        self.bid_size[fresh[:12]] = self._draw_sizes(12)
        self.ask_size[fresh[12:]] = self._draw_sizes(12)

    def pull_quotes(self, now_ns: int) -> None:
        """Two bids of five are gone for two minutes, as when one large maker leaves."""
        self._pulled = self._rng.random(len(self.contracts)) < _PULLED_SHARE
        self._pulled_until = now_ns + _PULLED_NS

    def _draw_sizes(self, n: int) -> FloatArray:
        lots = np.ceil(np.exp(self._rng.normal(4.0, 0.9, n)))
        return np.round(lots * self._lot, 4)


def _slices(contracts: Sequence[OptionContract], now_ns: int) -> list[Slice]:
    slices = []
    numbered = groupby(enumerate(contracts), key=lambda pair: pair[1].expiry.expiry_ns)
    for _, group in numbered:
        members = list(group)
        expiry = members[0][1].expiry
        calls = [n for n, c in members if c.sign > 0]
        puts = [n for n, c in members if c.sign < 0]
        ladder = [c.strike for _, c in members if c.sign > 0]
        slices.append(Slice(expiry, ladder, calls, puts, (expiry.expiry_ns - now_ns) / DAY))
    return slices
