"""The board of one currency at moments before the start, as the events a decoder would make of it.

The prints are those of the tape and spot is that of the candles, so that the last moment meets the start. Volatility
moved against spot; an option that expired before the start is absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from dfmon.model.events import (
    BookSnapshot,
    Event,
    IndexPrice,
    Listed,
    Market,
    MarketTicker,
    OptionTicker,
    OptionTrade,
    TradeHistoryComplete,
    VolIndex,
)
from dfmon.model.instrument import Instrument, Kind, OptionType, Settlement
from dfmon.model.units import MILLISECOND, YEAR
from dfmon.sim.market import trade_log
from dfmon.sim.market.currency_market import CurrencyMarket
from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.market.listing import OptionContract, is_linear
from dfmon.sim.market.past_path import MINUTE_MS
from dfmon.sim.market.surface import FloatArray, Smile, black76

_VENUE: Final = "deribit"
_VOL_PER_SPOT: Final = -1.5  # change of log volatility by that of log spot
_MARKETS: Final = {"spot": Market.SPOT, "perpetual": Market.PERP}


class PastBoards:
    """Events of a currency up to each of some moments, in time order."""

    def __init__(self, market: CurrencyMarket, underlying: str) -> None:
        """`underlying` is the name of the currency in the events."""
        self._market, self._underlying, self._start_ns = market, underlying, market.now_ns
        self._listed: set[str] = set()
        self._open_interest = dict.fromkeys(market.board.names, 0.0)
        self._trades = iter(market.trade_log.trades)
        self._next_trade = next(self._trades, None)

    def moments(self, times_ns: Sequence[int]) -> Iterator[tuple[int, list[Event]]]:
        """Each moment with the events since the last one; `times_ns` ascend up to the start."""
        for ts_ns, spot in zip(times_ns, self.spot(times_ns).tolist()):
            events: list[Event] = list(self._listings(ts_ns))
            events += self._prints_until(ts_ns)
            events.append(IndexPrice(_VENUE, self._underlying, spot, ts_ns))
            events += self._tickers(ts_ns, spot)
            for hedge in self._market.hedges:
                events += self._hedge_events(hedge, ts_ns, spot)
            yield ts_ns, events

    def spot(self, times_ns: Sequence[int]) -> FloatArray:
        """The index at each moment, USD: the past of the venue's perpetual, scaled to the index."""
        past = self._market.perpetual.minutes.past
        assert past is not None
        first_ms, last_ms = times_ns[0] // MILLISECOND - MINUTE_MS, self._start_ns // MILLISECOND
        minutes = past.minutes(first_ms, last_ms)
        rows = np.array(times_ns) // MILLISECOND // MINUTE_MS - minutes.first - 1
        spot: FloatArray = minutes.close[np.clip(rows, 0, len(minutes.close) - 1)] / past.scale
        return spot

    def _listings(self, ts_ns: int) -> Iterator[Event]:
        contracts = [
            c for c in self._market.board.contracts if c.expiry.listed_ns <= ts_ns and c.name not in self._listed
        ]
        if not self._listed:
            oldest_ns = min(c.expiry.listed_ns for c in self._market.board.contracts)
            yield TradeHistoryComplete(_VENUE, self._underlying, oldest_ns)
        for contract in contracts:
            self._listed.add(contract.name)
            yield Listed(_instrument(contract, self._underlying))

    def _prints_until(self, ts_ns: int) -> Iterator[Event]:
        while self._next_trade is not None and self._next_trade.ts_ms * MILLISECOND <= ts_ns:
            self._open_interest[self._next_trade.name] = self._next_trade.open_interest
            yield _option_trade(self._next_trade)
            self._next_trade = next(self._trades, None)

    def _tickers(self, ts_ns: int, spot: float) -> Iterator[Event]:
        board, carry = self._market.board, self._market.spec.carry
        rows = [n for n, c in enumerate(board.contracts) if c.name in self._listed]
        years = np.array([(board.contracts[n].expiry.expiry_ns - ts_ns) / YEAR for n in rows])
        forward, strike = spot * np.exp(carry * years), board.strike[rows]
        smile = self._smile(spot)
        vol = smile.volatility(np.log(strike / forward), years)
        mark = board.quotation.from_usd(black76(forward, strike, years, vol, board.sign[rows]), forward)
        month = float(smile.volatility(np.zeros(1), np.array([30.0 / 365.0]))[0])
        yield VolIndex(_VENUE, self._underlying, month, ts_ns)
        for n, f, sigma, price in zip(rows, forward.tolist(), vol.tolist(), mark.tolist()):
            name = board.names[n]
            yield OptionTicker(
                _VENUE, name, ts_ns, mark_iv=sigma, mark=price, open_interest=self._open_interest[name],
                forward=f, index=spot,
            )  # fmt: skip

    def _smile(self, spot: float) -> Smile:
        smile = self._market.path.smile
        scale = (spot / self._market.path.price) ** (2.0 * _VOL_PER_SPOT)
        return replace(smile, v0=smile.v0 * scale, v_inf=smile.v_inf * scale**0.25)

    def _hedge_events(self, hedge: LinearMarket, ts_ns: int, spot: float) -> Iterator[Event]:
        venue, _, _ = hedge.spec.venue.partition("-")
        market = Market.INVERSE if hedge.spec.contract_usd else _MARKETS[hedge.spec.kind]
        place = (venue, market, self._underlying, ts_ns)
        tick, ratio = hedge.spec.tick, spot / self._market.path.price
        bids, asks = (
            tuple((price * tick * ratio, size) for price, size in side.items())
            for side in (hedge.book.bids, hedge.book.asks)
        )
        yield BookSnapshot(*place, bids, asks)
        yield MarketTicker(
            *place, last=spot, mark=spot, index=spot, volume_usd=hedge.spec.adv_usd,
            open_interest_usd=hedge.spec.open_interest_usd, funding_8h=hedge.funding,
        )  # fmt: skip


def _instrument(contract: OptionContract, underlying: str) -> Instrument:
    return Instrument(
        _VENUE, contract.name, Kind.OPTION, underlying,
        Settlement.LINEAR if is_linear(contract.currency) else Settlement.INVERSE,
        contract.expiry.expiry_ns, contract.strike, OptionType(contract.sign), listed_ns=contract.expiry.listed_ns,
    )  # fmt: skip


def _option_trade(trade: trade_log.OptionTrade) -> OptionTrade:
    event_id = str(trade.block or trade.combo_number or "")
    return OptionTrade(
        _VENUE, trade.name, str(trade.number), trade.seq, trade.ts_ms * MILLISECOND, trade.side, trade.price,
        trade.amount, trade.iv / 100.0, trade.index, bool(trade.block), bool(trade.rfq), bool(trade.combo),
        trade.liquidation, event_id,
    )  # fmt: skip
