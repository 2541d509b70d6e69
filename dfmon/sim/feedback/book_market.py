"""Markets with an option book: psi is the gamma of the dealers' true positions over the depth of the minute."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.sim.feedback.cascades import Cascades
from dfmon.sim.feedback.desks import HedgingDesks
from dfmon.sim.feedback.minute_path import DAY_MINUTES, MINUTES_A_YEAR, MinutePath
from dfmon.sim.feedback.option_columns import AVERAGING_MINUTES, BookGamma, OptionColumns
from dfmon.sim.feedback.price_spec import PSI_LIMIT, TREND_DECAY, PriceSpec
from dfmon.sim.feedback.psi_market import autoregression
from dfmon.sim.market.surface import Smile

_REFILL: Final = 0.97  # of the drained depth is still missing a minute later
_HOURLY_DEPTH: Final = 1.0 + 0.25 * np.sin(2.0 * np.pi * (np.arange(24.0) + 2.0) / 24.0)


@dataclass(frozen=True, slots=True)
class Regime:
    """A stretch of a script. `customers` is the mean side of their orders (+1: all buy, and dealers become short),
    `orders` multiplies their number.
    """

    name: str
    days: float
    customers: float = 0.0
    orders: float = 1.0
    log_vol: float = 0.0
    depth: float = 1.0
    cascades_per_day: float = 0.0
    unwind: float = 0.0
    """Share of the book that is closed at the start."""
    pin: float = 0.0
    """Coins that customers sell at the money at the start, in the nearest expiry."""


REGIMES: Final = (
    Regime("long gamma", 3.0, customers=-0.9, orders=4.0),
    Regime("unwind", 1.0, unwind=0.9),
    Regime("short gamma", 3.0, unwind=1.0, customers=0.9, orders=4.0),
    Regime("forced orders", 2.0, unwind=1.0, cascades_per_day=8.0),
    Regime("volatility", 1.0, customers=0.9, orders=4.0, log_vol=0.5),
    Regime("thin depth", 2.0, customers=0.9, depth=0.6),
    Regime("pin", 1.0, unwind=1.0, pin=2_000.0),
)
"""A script with every kind of market, two weeks less a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSpec(PriceSpec):
    """A market with a book.

    Depth is USD within 1 %; `drain` the share of it that a move of one standard deviation takes; `turn_days` the half
    life of the customers' common direction; orders are a minute, with a median size in coins.
    """

    expiries: int = 5
    strikes: int = 20
    spot: float = 100_000.0
    depth: float = 600e6
    drain: float = 0.02
    weekend_depth: float = 0.6
    orders: float = 1.0
    order_size: float = 1.2
    turn_days: float = 4.0
    regimes: tuple[Regime, ...] = ()


def simulate_book(spec: BookSpec, seed: int, days: int) -> MinutePath:
    """The path of one market; the same seed gives the same path."""
    market = _Market(spec, np.random.default_rng(seed), days)
    for hour in range(24 * days):
        market.start_hour(hour)
        market.run_hour(hour)
    return market.path()


class _Market:
    """State of a market and the columns it leaves behind."""

    def __init__(self, spec: BookSpec, rng: np.random.Generator, days: int) -> None:
        self._spec, self._rng = spec, rng
        hours, size = 24 * days, DAY_MINUTES * days
        spread = spec.vol_of_vol / math.sqrt(2.0 * math.log(2.0) / (spec.vol_half_life_days / 365.0))
        noise = rng.standard_normal((3, hours))
        self._log_vol = np.clip(spread * autoregression(noise[0], 24.0 * spec.vol_half_life_days), -0.9, 0.9)
        self._customers = 0.5 * autoregression(noise[1], 24.0 * spec.turn_days)
        self._momentum = spec.momentum[0] + spec.momentum[1] * autoregression(noise[2], 24.0)
        self._returns, self._psi, self._gross, self._stale, self._forced, self._own, self._iv, self._heavy = (
            np.empty(size) for _ in range(8)
        )
        self._scripted = _by_hour(spec.regimes, hours)
        self._price, self._trend, self._drained = spec.spot, 0.0, 0.0
        self._delivery = spec.spot
        self._hedge, self._push = np.zeros(1), np.zeros(1)
        self._desks, self._cascades = HedgingDesks(spec.desks, 1), Cascades(1)
        self._options = OptionColumns(spec.expiries, spec.strikes, spec.spot, self._smile(0))

    def _smile(self, hour: int) -> Smile:
        level = self._spec.vol * math.exp(self._log_vol[hour] + self._regime_at(hour).log_vol)
        return Smile(v0=(1.04 * level) ** 2, v_inf=(1.08 * self._spec.vol) ** 2)

    def _regime_at(self, hour: int) -> Regime:
        return self._scripted[hour] if self._scripted else Regime("", 0.0)

    def start_hour(self, hour: int) -> None:
        """Rolls at 08:00, starts the regime of the script, and reprices the board."""
        options, smile, minute = self._options, self._smile(hour), 60 * hour
        if hour % 24 == 0 and hour:
            options.roll(hour // 24, self._price, smile)
        elif hour:
            options.reprice(minute, self._price, smile)
        regime = self._regime_at(hour)
        if self._scripted and (hour == 0 or self._scripted[hour - 1] is not regime):
            options.close(regime.unwind)
            options.trade(options.at_the_money(self._price), regime.pin)
        self._heavy[minute : minute + 60] = options.heavy_strike(minute, self._price)

    def run_hour(self, hour: int) -> None:
        """Sixty minutes: orders, the book's gamma, shocks, forced orders and hedges."""
        spec, rng, regime = self._spec, self._rng, self._regime_at(hour)
        psi_before = self._psi[60 * hour - 1] if hour else 0.0
        level = spec.vol * math.exp(self._log_vol[hour] + regime.log_vol + spec.vol_on_psi * psi_before)
        step_sd = level / math.sqrt(MINUTES_A_YEAR)
        shocks = step_sd * rng.standard_normal(60)
        shocks += np.where(
            rng.random(60) < spec.jumps_per_day / DAY_MINUTES, spec.jump_size, 0.0
        ) * rng.standard_normal(60)
        starts, lengths = rng.random((60, 1)), np.ceil(spec.cascades.minutes * rng.standard_exponential((60, 1)))
        depth = (
            spec.depth * regime.depth * _HOURLY_DEPTH[hour % 24] * (spec.weekend_depth if hour // 24 % 7 > 4 else 1.0)
        )
        self._iv[60 * hour : 60 * hour + 60] = 1.04 * level
        self._take_orders(hour)
        for n, minute in enumerate(range(60 * hour, 60 * hour + 60)):
            own = float(shocks[n]) + float(self._push[0])
            r = own + float(self._hedge[0]) + self._momentum[hour] * self._trend
            self._price *= math.exp(r)
            self._trend = TREND_DECAY * self._trend + (1.0 - TREND_DECAY) * r
            self._drained = min(_REFILL * self._drained + spec.drain * abs(r) / step_sd, 0.7)
            book, available = self._gamma(minute + 1), depth * (1.0 - self._drained)
            psi = min(max(book.net / available, -PSI_LIMIT), PSI_LIMIT)
            self._desks.add(np.array([spec.response * psi * r]))
            self._hedge = self._desks.hedge()
            self._returns[minute], self._psi[minute], self._own[minute] = r, psi, own
            self._gross[minute], self._stale[minute] = book.gross / available, book.stale / available
            self._forced[minute] = self._push[0]
            rate = spec.cascades.per_day + regime.cascades_per_day - spec.cascades.per_day_short * min(psi, 0.0)
            self._push = self._cascades.push(
                (starts[n] < rate / DAY_MINUTES).astype(float), lengths[n], np.array([self._trend]),
                np.array([spec.cascades.strength * step_sd]),
            )  # fmt: skip

    def _gamma(self, minute: int) -> BookGamma:
        """The book's gamma now; in the last half hour before 08:00 beside the average so far."""
        elapsed = minute % DAY_MINUTES - (DAY_MINUTES - AVERAGING_MINUTES)
        if elapsed <= 0:
            return self._options.gamma(minute, self._price)
        self._delivery += (self._price - self._delivery) / elapsed
        return self._options.gamma(minute, self._price, self._delivery)

    def _take_orders(self, hour: int) -> None:
        """Customers' orders of an hour: near the money and short-dated for the larger part, on their common side."""
        rng, options, spec = self._rng, self._options, self._spec
        regime = self._regime_at(hour)
        count = int(rng.poisson(60.0 * spec.orders * regime.orders))
        sd = options.vol * np.sqrt(np.maximum(options.expiry - 60.0 * hour, 30.0) / MINUTES_A_YEAR)
        distance = np.log(options.strike / self._price) / sd
        weight = np.exp(-0.5 * (distance / 1.2) ** 2) / np.sqrt(np.maximum(options.expiry - 60.0 * hour, 60.0))
        rows = rng.choice(weight.size, count, p=weight / weight.sum())
        bias = min(max(regime.customers if self._scripted else self._customers[hour], -0.9), 0.9)
        sides = np.where(rng.random(count) < 0.5 + 0.5 * bias, 1.0, -1.0)
        sizes = spec.order_size * np.exp(0.9 * rng.standard_normal(count))
        for row, amount in zip(rows.tolist(), (-sides * sizes).tolist()):
            options.trade(row, amount)
        options.close(0.004)

    def path(self) -> MinutePath:
        """The columns, with what is published of forced orders and order flow."""
        rng, size = self._rng, self._returns.size
        printed = self._forced * np.exp(self._spec.cascades.seen * rng.standard_normal(size))
        imbalance = 0.7 * self._own + 0.5 * float(self._own.std()) * rng.standard_normal(size)
        return MinutePath(
            self._returns, self._psi, self._gross, self._stale, printed, imbalance, self._iv,
            self._spec.spot * np.exp(np.cumsum(self._returns)), self._heavy,
        )  # fmt: skip


def _by_hour(regimes: tuple[Regime, ...], hours: int) -> list[Regime]:
    """The regime of each hour, repeated from the start; empty without a script."""
    cycle = [regime for regime in regimes for _ in range(round(24.0 * regime.days))]
    return [cycle[n % len(cycle)] for n in range(hours)] if cycle else []


def regime_names(regimes: tuple[Regime, ...], days: int) -> list[str]:
    """The name of the regime of each hour of a path."""
    return [regime.name for regime in _by_hour(regimes, 24 * days)]
