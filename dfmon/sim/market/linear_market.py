"""Spot, perpetual and dated-future markets of every venue: book, taker trades, funding, interest, liquidations.

They follow the index with a small mean-reverting premium. Quantities are coins; each venue's view converts to its
own contracts on the wire.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.model.units import DAY, HOUR, MILLISECOND
from dfmon.sim.market.candles import MinuteLog
from dfmon.sim.market.funding_log import FundingHour, FundingLog, funding_rate
from dfmon.sim.market.ladder import Ladder, LadderSpec
from dfmon.sim.market.past_path import PastPath
from dfmon.sim.market.surface import FloatArray

_INVERSE: Final = frozenset({"BTC", "ETH"})
_MEDIAN_LIQUIDATION_USD: Final = 9_000.0
_LIQUIDATION_LOG_SD: Final = 1.3
MEAN_LIQUIDATION_USD: Final = _MEDIAN_LIQUIDATION_USD * math.exp(0.5 * _LIQUIDATION_LOG_SD**2)


@dataclass(frozen=True, slots=True)
class LinearSpec:
    """One market: activity in trades per second and coins, turnover and depth in USD."""

    venue: str
    symbol: str
    currency: str
    kind: str  # spot, perpetual or future
    tick: float
    spread: int
    lot_digits: int
    depth_usd: float
    adv_usd: float
    trades_per_s: float
    median_trade_usd: float = 2_500.0
    open_interest_usd: float = 0.0
    expiry_ns: int = 0
    contract_usd: float = 0.0  # of an inverse swap, which trades in whole contracts; 0 elsewhere

    @property
    def in_coins(self) -> bool:
        """True where Deribit counts contracts in coins (linear), false for USD (inverse)."""
        return "_" in self.symbol

    @property
    def digits(self) -> int:
        """Decimals of a price, two at least."""
        return max(2, math.ceil(-math.log10(self.tick)))


@dataclass(frozen=True, slots=True)
class LinearTrade:
    """One taker trade. `side` is the taker's."""

    market: LinearMarket
    ts_ns: int
    price: float
    coins: float
    side: int
    trade_id: int
    mark: float
    index: float


@dataclass(frozen=True, slots=True)
class Liquidation:
    """A forced order; `side` -1 sells out a long."""

    market: LinearMarket
    ts_ns: int
    price: float
    coins: float
    side: int


class LinearMarket:
    """One market of one venue."""

    def __init__(self, spec: LinearSpec, price: float, rng: np.random.Generator, first_id: int) -> None:
        self.spec = spec
        self._rng = rng
        level_spacing = max(round(price * 6e-5 / spec.tick), 1)
        levels = math.ceil(0.014 * price / (level_spacing * spec.tick))
        if spec.kind == "future":
            level_spacing, levels = level_spacing * 4, levels // 4
        shape = LadderSpec(spec.tick, level_spacing, levels, spec.depth_usd / price, spec.lot_digits, spec.spread)
        self.book = Ladder(shape, price, rng)
        self.premium = 0.0
        self.index = self.mark = self.last = self.open_24h = self.high = self.low = price
        self.last_size = 0.0
        self.trade_id = self.first_id = first_id
        self.volume = spec.adv_usd / price
        self.open_interest = spec.open_interest_usd / price
        self.recent_trades: deque[LinearTrade] = deque(maxlen=1000)
        self.minutes = MinuteLog()
        self._funding_log = FundingLog()
        self.revision = 0  # moves with every change a ticker would show

    def set_past(self, index_history: FloatArray, now_ns: int, vol: float) -> None:
        """Gives the market a past along the hourly index, which ends now; `vol` is annual."""
        scale = self.mark / float(index_history[-1])
        spec, start_ms = self.spec, now_ns // MILLISECOND
        past = PastPath(index_history, start_ms, scale, spec.tick, vol, spec.adv_usd, spec.trades_per_s)
        day = past.minutes(start_ms - DAY // MILLISECOND, start_ms)
        self.open_24h = float(day.open[0])
        self.high, self.low = max(self.high, float(day.high.max())), min(self.low, float(day.low.min()))
        self.minutes.past = past

    @property
    def funding(self) -> float:
        """Rate per 8 h."""
        return funding_rate(self.premium)

    def funding_hours(self, start_ms: int, end_ms: int) -> list[FundingHour]:
        """The rates at the full hours in [start_ms, end_ms]."""
        return self._funding_log.between(start_ms, end_ms, self.minutes.past)

    @staticmethod
    def next_funding_ns(now_ns: int, hours: int = 8) -> int:
        """The end of the period under way; periods begin at 00:00 UTC."""
        return now_ns - now_ns % (hours * HOUR) + hours * HOUR

    def step_market(
        self, now_ns: int, index: float, taker_imbalance: float, seconds: float, carry: float = 1.0
    ) -> list[LinearTrade]:
        """Follows `index * carry`; `taker_imbalance` is the takers' net side, in [-1, 1]. Returns the trades."""
        spec = self.spec
        draw = self._rng.standard_normal()
        reversion = seconds / 120.0
        self.premium += -reversion * self.premium + 1.6e-4 * math.sqrt(2.0 * reversion) * float(draw)
        premium = self.premium * (0.15 if spec.kind == "spot" else 1.0)
        self.index = index
        mid = index * carry * (1.0 + premium)
        self.mark = index * carry * (1.0 + 0.5 * premium)
        self.book.move_to(mid)
        if spec.kind == "perpetual":
            self._funding_log.record(now_ns // MILLISECOND, self.premium, index)
        n = int(self._rng.poisson(spec.trades_per_s * seconds * (1.0 + 1.5 * abs(taker_imbalance))))
        return [self._trade(now_ns, taker_imbalance) for _ in range(n)]

    def liquidate(self, now_ns: int, side: int) -> Liquidation:
        """Force one position out at the far touch."""
        usd = _MEDIAN_LIQUIDATION_USD * math.exp(_LIQUIDATION_LOG_SD * float(self._rng.standard_normal()))
        price = (self.book.ask if side > 0 else self.book.bid) * self.spec.tick
        coins = self._round_to_lots(usd, price)
        self.open_interest = max(self.open_interest - coins, 0.0)
        self.revision += 1
        return Liquidation(self, now_ns, price, coins, side)

    def _trade(self, now_ns: int, taker_imbalance: float) -> LinearTrade:
        spec = self.spec
        u = self._rng.random(2)
        side = 1 if u[0] < 0.5 + 0.35 * taker_imbalance else -1
        usd = spec.median_trade_usd * math.exp(1.2 * float(self._rng.standard_normal()))
        self.last = (self.book.ask if side > 0 else self.book.bid) * spec.tick
        coins = self._round_to_lots(usd, self.last)
        self.high, self.low = max(self.high, self.last), min(self.low, self.last)
        self.last_size = coins
        self.volume += coins
        if spec.open_interest_usd:
            self.open_interest += coins * 0.3 * (1 if u[1] < 0.5 else -1)
        self.trade_id += 1
        self.revision += 1
        trade = LinearTrade(self, now_ns, self.last, coins, side, self.trade_id, self.mark, self.index)
        self.recent_trades.append(trade)
        self.minutes.add_trade(now_ns // MILLISECOND, self.last, coins, side, self.trade_id)
        return trade

    def _round_to_lots(self, usd: float, price: float) -> float:
        """Whole lots worth about `usd`, in coins; those of an inverse contract hang on the trade's price."""
        if contract := self.spec.contract_usd:
            return max(round(usd / contract), 1) * contract / price
        digits = self.spec.lot_digits
        return max(round(usd / self.index, digits), 10.0**-digits)


def liquidation_rate(move_sd: float) -> float:
    """Forced orders per second: rare in quiet, dozens of times likelier on a 3 sd minute."""
    return 0.006 * math.exp(min(abs(move_sd), 4.0))


@dataclass(frozen=True, slots=True)
class _CoinScale:
    """The size of a coin's markets relative to BTC's, and their price and lot grids."""

    market_scale: float
    activity_scale: float
    tick: float
    spot_tick: float
    deribit_tick: float
    lot_digits: int
    spot_lot_digits: int
    swap_lot_digits: int  # a hundredth of an OKX contract
    inverse_contract_usd: float = 0.0  # of a contract of OKX's inverse swap; 0 where there is none


_COINS: Final = {
    "BTC": _CoinScale(1.0, 1.0, 0.1, 0.01, 0.5, 3, 5, 4, 100.0),
    "ETH": _CoinScale(0.5, 0.6, 0.01, 0.01, 0.05, 2, 4, 3, 10.0),
    "SOL": _CoinScale(0.15, 0.4, 0.01, 0.01, 0.01, 0, 3, 2),
    "XRP": _CoinScale(0.12, 0.4, 0.0001, 0.0001, 0.0001, 1, 1, 0),
}


def hedge_specs(board: str, volume_scale: float = 1.0, depth_scale: float = 1.0) -> tuple[LinearSpec, ...]:
    """The hedging markets of a board: its Deribit perpetual, and the other venues' unless an inverse board has them.

    The scales are shares of the usual turnover and depth.
    """
    base, _, counter = board.partition("_")
    coin = _COINS[base]

    def linear_spec(
        venue: str,
        symbol: str,
        kind: str,
        market_sizes: tuple[float, ...],
        tick: float,
        lot_digits: int,
        contract: float = 0.0,
    ) -> LinearSpec:
        depth_musd, adv_musd, trades_per_s, open_interest = market_sizes
        return LinearSpec(
            venue, symbol, base, kind, tick=tick, spread=1, lot_digits=lot_digits,
            depth_usd=1e6 * depth_scale * (depth_musd * coin.market_scale),
            adv_usd=1e6 * volume_scale * (adv_musd * coin.market_scale),
            trades_per_s=volume_scale * trades_per_s * coin.activity_scale,
            open_interest_usd=1e6 * (open_interest * coin.market_scale), contract_usd=contract,
        )  # fmt: skip

    name = f"{board}-PERPETUAL"
    if counter and base in _INVERSE:
        return (linear_spec("deribit", name, "perpetual", (5.0, 200.0, 0.3, 250.0), coin.tick, 4),)
    venue_specs = (
        linear_spec(
            "binance-futures", f"{base}USDT", "perpetual", (55.0, 15_000.0, 6.0, 8_000.0), coin.tick, coin.lot_digits
        ),
        linear_spec(
            "binance-spot", f"{base}USDT", "spot", (28.0, 2_500.0, 4.0, 0.0), coin.spot_tick, coin.spot_lot_digits
        ),
        linear_spec(
            "okx", f"{base}-USDT-SWAP", "perpetual", (26.0, 6_000.0, 3.0, 2_500.0), coin.tick, coin.swap_lot_digits
        ),
        linear_spec("okx", f"{base}-USDT", "spot", (10.0, 800.0, 1.5, 0.0), coin.tick, coin.spot_lot_digits),
        linear_spec("deribit", name, "perpetual", (14.0, 700.0, 1.0, 1_100.0), coin.deribit_tick, 4),
    )
    if not coin.inverse_contract_usd:
        return venue_specs
    market_sizes = (9.0, 1_000.0, 0.6, 700.0)
    return (
        *venue_specs,
        linear_spec("okx", f"{base}-USD-SWAP", "perpetual", market_sizes, coin.tick, 4, coin.inverse_contract_usd),
    )


def future_spec(currency: str, name: str, expiry_ns: int) -> LinearSpec:
    """A dated future on Deribit."""
    is_btc = currency == "BTC"
    return LinearSpec(
        "deribit", name, currency, "future",
        tick=2.5 if is_btc else 0.25, spread=4, lot_digits=4, depth_usd=1e6 * (3.0 if is_btc else 1.0),
        adv_usd=1e6 * (15.0 if is_btc else 5.0), trades_per_s=0.02, open_interest_usd=1e6 * (60.0 if is_btc else 20.0),
        expiry_ns=expiry_ns,
    )  # fmt: skip
