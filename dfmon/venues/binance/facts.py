"""The slow facts of USD-M perpetuals: marks, funding per eight hours, open interest; by REST what no stream tells.

Open interest has no stream. The rate of a stream is per period of the contract, and only REST tells the period. Where
no websocket is to be had, marks and funding are asked for too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dfmon.model.events import Event, Market, MarketTicker
from dfmon.model.units import HOUR, NAN, SECOND
from dfmon.venues.binance import wire
from dfmon.venues.decoding import ns, number
from dfmon.venues.health.status import Status
from dfmon.venues.rest.fallback import RestAlone
from dfmon.venues.rest.queue import RestQueue

VENUE: Final = "binance"
_EVERY_S: Final = 15.0
_PERIODS_EVERY: Final = HOUR  # the venue shortens a period when a rate hits its bound
_HOURS: Final = 8.0  # of a contract whose period was never changed
_DOCUMENTED: Final = ("BTC", "ETH")  # of eight hours; other contracts wait for the venue's word


class Facts:
    """`symbols` are underlyings by symbol, lower case. `kinds` are those of the calls whose answers belong here."""

    kinds: Final = ("interest", "premium", "periods")

    def __init__(self, symbols: Mapping[str, str], rest: RestQueue, status: Status, source: str) -> None:
        self.alone = RestAlone(status, source, _EVERY_S)
        self._symbols, self._rest = symbols, rest
        self._marks: dict[str, float] = {}
        self._hours = {name: _HOURS for name in symbols.values() if name in _DOCUMENTED}
        self._interest_ns = self._periods_ns = 0

    def restart(self, now_ns: int) -> None:
        """There is a websocket: its first mark price comes within two seconds."""
        self.alone.over()
        self._marks.clear()
        self._interest_ns, self._periods_ns = now_ns + 2 * SECOND, now_ns

    def due(self, now_ns: int) -> None:
        if now_ns >= self._periods_ns:
            self._periods_ns = now_ns + _PERIODS_EVERY
            self._rest.ask("periods", "/fapi/v1/fundingInfo")
        if self.alone.turn(now_ns):
            self._ask("premium", "/fapi/v1/premiumIndex")
        if now_ns >= self._interest_ns:
            self._interest_ns = now_ns + int(_EVERY_S * SECOND)
            self._ask("interest", "/fapi/v1/openInterest")

    def _ask(self, kind: str, path: str) -> None:
        for symbol, name in self._symbols.items():
            self._rest.ask(f"{kind}:{name}", path, retry=False, symbol=symbol.upper())

    def take(self, kind: str, name: str, body: bytes) -> list[Event]:
        """An answer that is not empty. Raises one of UNREADABLE."""
        if kind == "periods":
            return self._on_periods(body)
        return self._on_premium(name, body) if kind == "premium" else self._on_interest(name, body)

    def unanswered(self, kind: str) -> list[Event]:
        return list(self.alone.failed()) if kind == "premium" else []

    def mark(self, name: str, row: wire.MarkPrice) -> MarketTicker:
        """A mark price, with the index and the rate of the period under way."""
        return self._ticker(name, ns(row.E), row.p, number(row.i), number(row.r))

    def _ticker(self, name: str, exch_ns: int, mark: float, index: float, rate: float) -> MarketTicker:
        self._marks[name] = mark
        funding = rate * _HOURS / self._hours.get(name, NAN)
        return MarketTicker(VENUE, Market.PERP, name, exch_ns, mark=mark, index=index, funding_8h=funding)

    def _on_periods(self, body: bytes) -> list[Event]:
        """Contracts whose period or bounds were ever changed; of the others it is eight hours."""
        hours = {row.symbol.lower(): row.fundingIntervalHours for row in wire.funding_info.decode(body)}
        self._hours = {name: hours.get(symbol, _HOURS) for symbol, name in self._symbols.items()}
        return []

    def _on_premium(self, name: str, body: bytes) -> list[Event]:
        row = wire.premium_index.decode(body)
        told = self._ticker(name, ns(row.time), row.markPrice, number(row.indexPrice), number(row.lastFundingRate))
        return [*self.alone.answered(), told]

    def _on_interest(self, name: str, body: bytes) -> list[Event]:
        """Open interest comes in coins; without a mark price it cannot be said in USD."""
        row = wire.open_interest.decode(body)
        mark = self._marks.get(name)
        if mark is None:
            return []
        usd = row.openInterest * mark
        return [MarketTicker(VENUE, Market.PERP, name, ns(row.time), open_interest_usd=usd)]
