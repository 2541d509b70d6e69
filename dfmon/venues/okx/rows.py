"""OKX's rows to events: prints, tickers, marks, funding, open interest, forced orders; contracts become coins here.

A stream and the REST call of the same name bring the same rows. `books` has the books, `protocol` the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Raw

from dfmon.model.events import Event, Liquidation, Market, MarketTicker, MarketTrade
from dfmon.venues.decoding import Recent, ns, number, rejected, serial
from dfmon.venues.okx import wire

VENUE: Final = wire.SOURCE
# Coins per contract, and USD per inverse one, until the listing has been read; a swap that is not here waits for it.
_DOCUMENTED: Final = {"BTC-USDT-SWAP": 0.01, "ETH-USDT-SWAP": 0.1}
_DOCUMENTED_USD: Final = {"BTC-USD-SWAP": 100.0}
_HOURS_8_MS: Final = 8 * 3_600_000

Where = tuple[Market, str]


class Pushes:
    """`instruments` are markets and underlyings by instrument. `by_channel` says who reads the rows of a channel."""

    def __init__(self, instruments: Mapping[str, Where], source: str) -> None:
        self.coins = {name: 1.0 for name, (market, _) in instruments.items() if market is Market.SPOT}
        self.coins |= {name: worth for name, worth in _DOCUMENTED.items() if name in instruments}
        self._usd = {name: worth for name, worth in _DOCUMENTED_USD.items() if name in instruments}
        self._instruments, self._source = instruments, source
        self._last: dict[str, float] = {}
        self._prints = Recent()
        self.by_channel: dict[str, Callable[[Raw], Sequence[Event]]] = {
            "trades": self._on_trades,
            "tickers": self._on_tickers,
            "mark-price": self._on_marks,
            "funding-rate": self._on_funding,
            "open-interest": self._on_interest,
            "liquidation-orders": self._on_liquidations,
        }

    def listed(self, row: wire.Contract) -> None:
        """How much a contract is: coins of a linear swap, USD of an inverse one."""
        market, _ = self._instruments.get(row.instId, (None, ""))
        worth = number(row.ctVal) * (number(row.ctMult) if row.ctMult else 1.0)
        if market is Market.PERP and row.ctType == "linear" and worth > 0:
            self.coins[row.instId] = worth
        elif market is Market.INVERSE and row.ctType == "inverse" and row.ctValCcy in ("USD", "") and worth > 0:
            self._usd[row.instId] = worth

    def _size(self, inst: str, size: float, price: float) -> float | None:
        """Coins of `size` on the wire at `price`, USD; None where nobody has said what a contract is."""
        if inst in self.coins:
            return size * self.coins[inst]
        return size * self._usd[inst] / price if inst in self._usd else None

    def _on_trades(self, data: Raw) -> Sequence[Event]:
        rows, bad = wire.trades.decode(data)
        events: list[Event] = [*bad]
        for row in rows:
            where, coins = self._instruments.get(row.instId), self._size(row.instId, row.sz, row.px)
            if where is None or coins is None:
                events.append(rejected(self._source, "instrument", row.instId))
                continue
            if not self._prints.fresh(row.instId, serial(row.tradeId)):
                continue  # two connections brought it
            side = 1 if row.side == "buy" else -1
            events.append(MarketTrade(VENUE, *where, ns(row.ts), row.px, coins, side))
        return events

    def _on_tickers(self, data: Raw) -> Sequence[Event]:
        rows, bad = wire.tickers.decode(data)
        events: list[Event] = [*bad]
        for row in rows:
            where = self._instruments.get(row.instId)
            if where is None:
                events.append(rejected(self._source, "instrument", row.instId))
                continue
            last, volume = number(row.last), number(row.volCcy24h)
            self._last[row.instId] = last
            usd = volume if where[0] is Market.SPOT else volume * last  # quote currency, or coins of the swap
            bid, ask = number(row.bidPx), number(row.askPx)
            events.append(MarketTicker(VENUE, *where, ns(row.ts), last=last, volume_usd=usd, bid=bid, ask=ask))
        return events

    def _on_marks(self, data: Raw) -> Sequence[Event]:
        rows, bad = wire.marks.decode(data)
        return [
            *bad,
            *(
                MarketTicker(VENUE, *self._instruments[row.instId], ns(row.ts), mark=number(row.markPx))
                for row in rows
                if row.instId in self._instruments
            ),
        ]

    def _on_funding(self, data: Raw) -> Sequence[Event]:
        """The rate is per period of the contract; a period that is not eight hours is scaled to eight."""
        rows, bad = wire.fundings.decode(data)
        events: list[Event] = [*bad]
        for row in rows:
            where = self._instruments.get(row.instId)
            if where is None or not row.fundingRate:
                continue
            period = number(row.nextFundingTime) - number(row.fundingTime)
            rate = number(row.fundingRate) * (_HOURS_8_MS / period if period > 0 else 1.0)
            events.append(MarketTicker(VENUE, *where, ns(row.ts), funding_8h=rate))
        return events

    def _on_interest(self, data: Raw) -> Sequence[Event]:
        rows, bad = wire.interests.decode(data)
        events: list[Event] = [*bad]
        for row in rows:
            where = self._instruments.get(row.instId)
            if where is None:
                continue
            usd = number(row.oiUsd)
            if usd != usd:
                usd = number(row.oiCcy) * self._last.get(row.instId, number(""))
            events.append(MarketTicker(VENUE, *where, ns(row.ts), open_interest_usd=usd))
        return events

    def _on_liquidations(self, data: Raw) -> Sequence[Event]:
        """All swaps come on one channel, so most rows are of contracts that nobody here watches."""
        rows, bad = wire.liquidations.decode(data)
        events: list[Event] = [*bad]
        for row in rows:
            where = self._instruments.get(row.instId)
            if where is None:
                continue
            for order in row.details:
                coins = self._size(row.instId, order.sz, order.bkPx)
                if coins is None:
                    continue
                side = -1 if order.side == "sell" else 1  # the order's side: a long is sold out
                events.append(Liquidation(VENUE, *where, ns(order.ts), side, order.bkPx, coins * order.bkPx))
        return events
