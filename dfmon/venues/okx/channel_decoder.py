"""Decodes OKX's rows to events: prints, tickers, marks, funding, open interest, forced orders; contracts to coins.

A stream and the REST call of the same name bring the same rows. `books` has the books, `protocol` the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Raw

from dfmon.model.events import Event, Liquidation, Market, MarketTicker, MarketTrade
from dfmon.venues.decoding import TradeDeduplicator, ms_to_ns, parse_number, parse_trade_number, rejected
from dfmon.venues.okx import wire

VENUE: Final = wire.SOURCE
# Coins per contract, and USD per inverse one, until the listing has been read; a swap that is not here waits for it.
_DEFAULT_CONTRACT_COINS: Final = {"BTC-USDT-SWAP": 0.01, "ETH-USDT-SWAP": 0.1}
_DEFAULT_CONTRACT_USD: Final = {"BTC-USD-SWAP": 100.0}
_EIGHT_HOURS_MS: Final = 8 * 3_600_000

MarketKey = tuple[Market, str]


class ChannelDecoder:
    """`instruments` are markets and underlyings by instrument. `by_channel` decodes the rows of each channel."""

    def __init__(self, instruments: Mapping[str, MarketKey], source: str) -> None:
        self.coins = {name: 1.0 for name, (market, _) in instruments.items() if market is Market.SPOT}
        self.coins |= {
            name: contract_value for name, contract_value in _DEFAULT_CONTRACT_COINS.items() if name in instruments
        }
        self._usd = {
            name: contract_value for name, contract_value in _DEFAULT_CONTRACT_USD.items() if name in instruments
        }
        self._instruments, self._source = instruments, source
        self._last_price: dict[str, float] = {}
        self._deduplicator = TradeDeduplicator()
        self.by_channel: dict[str, Callable[[Raw], Sequence[Event]]] = {
            "trades": self._on_trades,
            "tickers": self._on_tickers,
            "mark-price": self._on_marks,
            "funding-rate": self._on_funding,
            "open-interest": self._on_open_interest,
            "liquidation-orders": self._on_liquidations,
        }

    def add_contract(self, row: wire.Contract) -> None:
        """Takes contract sizes: coins of a linear swap, USD of an inverse one."""
        market, _ = self._instruments.get(row.instId, (None, ""))
        contract_value = parse_number(row.ctVal) * (parse_number(row.ctMult) if row.ctMult else 1.0)
        if market is Market.PERP and row.ctType == "linear" and contract_value > 0:
            self.coins[row.instId] = contract_value
        elif (
            market is Market.INVERSE and row.ctType == "inverse" and row.ctValCcy in ("USD", "") and contract_value > 0
        ):
            self._usd[row.instId] = contract_value

    def _to_coins(self, inst_id: str, size: float, price: float) -> float | None:
        """Coins of `size` on the wire at `price`, USD; None while the contract size is unknown."""
        if inst_id in self.coins:
            return size * self.coins[inst_id]
        return size * self._usd[inst_id] / price if inst_id in self._usd else None

    def _on_trades(self, data: Raw) -> Sequence[Event]:
        rows, rejections = wire.trades.decode(data)
        events: list[Event] = [*rejections]
        for row in rows:
            market_key, coins = self._instruments.get(row.instId), self._to_coins(row.instId, row.sz, row.px)
            if market_key is None or coins is None:
                events.append(rejected(self._source, "instrument", row.instId))
                continue
            if not self._deduplicator.is_new(row.instId, parse_trade_number(row.tradeId)):
                continue  # two connections brought it
            side = 1 if row.side == "buy" else -1
            events.append(MarketTrade(VENUE, *market_key, ms_to_ns(row.ts), row.px, coins, side))
        return events

    def _on_tickers(self, data: Raw) -> Sequence[Event]:
        rows, rejections = wire.tickers.decode(data)
        events: list[Event] = [*rejections]
        for row in rows:
            market_key = self._instruments.get(row.instId)
            if market_key is None:
                events.append(rejected(self._source, "instrument", row.instId))
                continue
            last, volume = parse_number(row.last), parse_number(row.volCcy24h)
            self._last_price[row.instId] = last
            usd = volume if market_key[0] is Market.SPOT else volume * last  # quote currency, or coins of the swap
            bid, ask = parse_number(row.bidPx), parse_number(row.askPx)
            events.append(
                MarketTicker(VENUE, *market_key, ms_to_ns(row.ts), last=last, volume_usd=usd, bid=bid, ask=ask)
            )
        return events

    def _on_marks(self, data: Raw) -> Sequence[Event]:
        rows, rejections = wire.marks.decode(data)
        return [
            *rejections,
            *(
                MarketTicker(VENUE, *self._instruments[row.instId], ms_to_ns(row.ts), mark=parse_number(row.markPx))
                for row in rows
                if row.instId in self._instruments
            ),
        ]

    def _on_funding(self, data: Raw) -> Sequence[Event]:
        """The rate is per period of the contract; a period that is not eight hours is scaled to eight."""
        rows, rejections = wire.fundings.decode(data)
        events: list[Event] = [*rejections]
        for row in rows:
            market_key = self._instruments.get(row.instId)
            if market_key is None or not row.fundingRate:
                continue
            period = parse_number(row.nextFundingTime) - parse_number(row.fundingTime)
            rate = parse_number(row.fundingRate) * (_EIGHT_HOURS_MS / period if period > 0 else 1.0)
            events.append(MarketTicker(VENUE, *market_key, ms_to_ns(row.ts), funding_8h=rate))
        return events

    def _on_open_interest(self, data: Raw) -> Sequence[Event]:
        rows, rejections = wire.interests.decode(data)
        events: list[Event] = [*rejections]
        for row in rows:
            market_key = self._instruments.get(row.instId)
            if market_key is None:
                continue
            usd = parse_number(row.oiUsd)
            if usd != usd:
                usd = parse_number(row.oiCcy) * self._last_price.get(row.instId, parse_number(""))
            events.append(MarketTicker(VENUE, *market_key, ms_to_ns(row.ts), open_interest_usd=usd))
        return events

    def _on_liquidations(self, data: Raw) -> Sequence[Event]:
        """All swaps come on one channel, so most rows are of other contracts."""
        rows, rejections = wire.liquidations.decode(data)
        events: list[Event] = [*rejections]
        for row in rows:
            market_key = self._instruments.get(row.instId)
            if market_key is None:
                continue
            for order in row.details:
                coins = self._to_coins(row.instId, order.sz, order.bkPx)
                if coins is None:
                    continue
                side = -1 if order.side == "sell" else 1  # the order's side: a long is sold out
                events.append(Liquidation(VENUE, *market_key, ms_to_ns(order.ts), side, order.bkPx, coins * order.bkPx))
        return events
