"""The option board of one currency: columns of every listed option, repriced once a second.

Marks come from the surface; quotes lie around them, wider in the wings and absent in the deepest ones.
Prices are in coin (inverse options), volatilities in percent as Deribit prints them, NaN without a quote.
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
from dfmon.sim.market.surface import FloatArray, GreekColumns, Smile, greeks

IV_CAP: Final = 500.0  # ask_iv of Deribit without an offer
_AVERAGING_NS: Final = 30 * MINUTE
_PULLED_SHARE, _PULLED_NS = 0.4, 2 * MINUTE


@dataclass(frozen=True, slots=True)
class Quotation:
    """The quotation of a board: in coin (inverse) or USDC (linear), with a finer tick below `tick_step_price`.

    `digits` are the decimals of a mark, `index_digits` those of the index and the forwards.
    """

    linear: bool = False
    fine_tick: float = 0.0001
    coarse_tick: float = 0.0005
    tick_step_price: float = 0.005
    digits: int = 4
    index_digits: int = 2

    def from_usd(self, usd: FloatArray, forward: FloatArray) -> FloatArray:
        """A value in USD as it is quoted."""
        return usd if self.linear else usd / forward

    def tick_size(self, price: float) -> float:
        """The tick at `price`."""
        return self.fine_tick if price < self.tick_step_price else self.coarse_tick

    def round_to_tick(self, price: FloatArray, *, up: bool) -> FloatArray:
        """The next price on the grid outwards."""
        tick_size = np.where(price < self.tick_step_price, self.fine_tick, self.coarse_tick)
        steps = price / tick_size
        tick_count = np.ceil(steps - 1e-9) if up else np.floor(steps + 1e-9)
        return np.round(tick_count * tick_size, self.digits)

    def to_usd(self, price: float, index: float) -> float:
        """A quoted price in USD."""
        return price if self.linear else price * index


INVERSE: Final = Quotation()


@dataclass(frozen=True, slots=True)
class ExpirySlice:
    """One expiry's part of the board."""

    expiry: Expiry
    strikes: list[float]
    calls: list[int]
    puts: list[int]
    days: float

    def nearest_row(self, strike: float, sign: int) -> int:
        """Row of the listed option nearest to `strike`."""
        n = self.nearest_index(strike)
        return self.calls[n] if sign > 0 else self.puts[n]

    def nearest_index(self, strike: float) -> int:
        """Index of the nearest listed strike."""
        n = min(max(bisect_left(self.strikes, strike), 1), len(self.strikes) - 1)
        return n if self.strikes[n] - strike < strike - self.strikes[n - 1] else n - 1


class OptionBoard:
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
        self.slices = tuple(_expiry_slices(self.contracts, now_ns))
        self._slice_indices = np.repeat(np.arange(len(self.slices)), [2 * len(s.strikes) for s in self.slices])
        self._rng, self._lot = rng, lot
        self.forwards: FloatArray = np.zeros(len(self.slices))
        self.bid_size: FloatArray = self._draw_sizes(len(self.contracts))
        self.ask_size: FloatArray = self._draw_sizes(len(self.contracts))
        self._pulled: npt.NDArray[np.bool_] = np.zeros(len(self.contracts), np.bool_)
        self._pulled_until = 0

    def slice_index(self, row: int) -> int:
        """Index of the option's expiry in `slices` and `forwards`."""
        return int(self._slice_indices[row])

    @property
    def underlying(self) -> FloatArray:
        """Forward of each option's expiry, USD."""
        column: FloatArray = self.forwards[self._slice_indices]
        return column

    def reprice(self, now_ns: int, index: float, carry: float, smile: Smile) -> None:
        """Marks, greeks and quotes at `now_ns`; forwards are `index * exp(carry * T)`.

        The nearest expiry, within a day, is priced off the index itself.
        """
        years = np.array([s.expiry.years(now_ns) for s in self.slices])
        within_day = np.array([s.expiry.expiry_ns - now_ns <= DAY for s in self.slices])
        self.forwards = np.where(
            within_day, index, np.round(index * np.exp(carry * years), self.quotation.index_digits)
        )
        F, T = self.forwards[self._slice_indices], years[self._slice_indices]
        sigma = smile.volatility(np.log(self.strike / F), T)
        self.greeks: GreekColumns = greeks(F, self.strike, T, sigma, self.sign)
        remaining_share = np.array([min((s.expiry.expiry_ns - now_ns) / _AVERAGING_NS, 1.0) for s in self.slices])
        # delivery is a 30-minute average: what has been averaged already no longer moves
        self.delta = self.greeks.delta * np.maximum(remaining_share, 0.0)[self._slice_indices]
        self.iv = np.round(100.0 * sigma, 2)
        self.mark = self.quotation.from_usd(self.greeks.value, F)
        self._quote(F, now_ns)

    def _quote(self, F: FloatArray, now_ns: int) -> None:
        quotation = self.quotation
        vega = quotation.from_usd(self.greeks.vega, F)
        wing = np.abs(2.0 * np.abs(self.greeks.delta) - 1.0)
        half_spread = vega * (0.35 + 2.5 * wing**4) + 0.4 * quotation.fine_tick
        bid, ask = (
            quotation.round_to_tick(self.mark - half_spread, up=False),
            quotation.round_to_tick(self.mark + half_spread, up=True),
        )
        unquoted = np.abs(self.greeks.delta) < 0.0008
        pulled = self._pulled if now_ns < self._pulled_until else False
        self.bid = np.where((bid < quotation.fine_tick) | unquoted | pulled, np.nan, bid)
        self.ask = np.where(unquoted & (self.strike % 4.0 == 0.0), np.nan, ask)
        vega_floored = np.maximum(vega, 1e-9)
        self.bid_iv = np.round(np.clip(self.iv + (bid - self.mark) / vega_floored, 0.0, IV_CAP), 2)
        self.ask_iv = np.round(np.clip(self.iv + (ask - self.mark) / vega_floored, 0.0, IV_CAP), 2)
        self.bid_iv[np.isnan(self.bid)] = 0.0
        self.ask_iv[np.isnan(self.ask)] = IV_CAP
        resized_rows = self._rng.integers(0, len(self.names), 24)
        self.bid_size[resized_rows[:12]] = self._draw_sizes(12)
        self.ask_size[resized_rows[12:]] = self._draw_sizes(12)

    def pull_quotes(self, now_ns: int) -> None:
        """Removes two bids of five for two minutes, as when a large maker withdraws."""
        self._pulled = self._rng.random(len(self.contracts)) < _PULLED_SHARE
        self._pulled_until = now_ns + _PULLED_NS

    def _draw_sizes(self, n: int) -> FloatArray:
        lots = np.ceil(np.exp(self._rng.normal(4.0, 0.9, n)))
        return np.round(lots * self._lot, 4)


def _expiry_slices(contracts: Sequence[OptionContract], now_ns: int) -> list[ExpirySlice]:
    slices = []
    numbered = groupby(enumerate(contracts), key=lambda pair: pair[1].expiry.expiry_ns)
    for _, group in numbered:
        members = list(group)
        expiry = members[0][1].expiry
        calls = [n for n, c in members if c.sign > 0]
        puts = [n for n, c in members if c.sign < 0]
        ladder = [c.strike for _, c in members if c.sign > 0]
        slices.append(ExpirySlice(expiry, ladder, calls, puts, (expiry.expiry_ns - now_ns) / DAY))
    return slices
