"""Polled statistics of USD-M perpetuals: marks, funding per eight hours, open interest.

Open interest has no stream. The rate of a stream is per period of the contract, and only REST has the period. Where
there is no websocket, marks and funding are polled too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dfmon.model.events import Event, Market, MarketTicker
from dfmon.model.units import HOUR, NAN, SECOND
from dfmon.venues.binance import wire
from dfmon.venues.decoding import ms_to_ns, parse_number
from dfmon.venues.health.status import StatusTracker
from dfmon.venues.rest.fallback import RestFallback
from dfmon.venues.rest.queue import RestQueue
from dfmon.venues.timers import is_time_reached

VENUE: Final = "binance"
_POLL_INTERVAL_S: Final = 15.0
_OPEN_INTEREST_INTERVAL: Final = 15 * SECOND
_FUNDING_INFO_INTERVAL: Final = HOUR  # the venue shortens a period when a rate hits its bound
_DEFAULT_FUNDING_HOURS: Final = 8.0  # of a contract whose period was never changed
_EIGHT_HOUR_COINS: Final = ("BTC", "ETH")  # of eight hours; for other contracts only the venue's own period counts


class PerpStats:
    """`symbols` are underlyings by symbol, lower case. `kinds` are the kinds of the calls that this class decodes."""

    kinds: Final = ("interest", "premium", "periods")

    def __init__(self, symbols: Mapping[str, str], rest: RestQueue, status: StatusTracker, source: str) -> None:
        self.fallback = RestFallback(status, source, _POLL_INTERVAL_S)
        self._symbols, self._rest = symbols, rest
        self._marks: dict[str, float] = {}
        self._funding_hours = {name: _DEFAULT_FUNDING_HOURS for name in symbols.values() if name in _EIGHT_HOUR_COINS}
        self._next_open_interest_ns = self._next_funding_info_ns = 0

    def restart(self, now_ns: int) -> None:
        """The websocket is open: its first mark price comes within two seconds."""
        self.fallback.stop()
        self._marks.clear()
        self._next_open_interest_ns, self._next_funding_info_ns = now_ns + 2 * SECOND, now_ns

    def poll(self, now_ns: int) -> None:
        if is_time_reached(now_ns, self._next_funding_info_ns, _FUNDING_INFO_INTERVAL):
            self._next_funding_info_ns = now_ns + _FUNDING_INFO_INTERVAL
            self._rest.enqueue("periods", "/fapi/v1/fundingInfo")
        if self.fallback.poll_due(now_ns):
            self._request_each("premium", "/fapi/v1/premiumIndex")
        if is_time_reached(now_ns, self._next_open_interest_ns, _OPEN_INTEREST_INTERVAL):
            self._next_open_interest_ns = now_ns + _OPEN_INTEREST_INTERVAL
            self._request_each("interest", "/fapi/v1/openInterest")

    def _request_each(self, kind: str, path: str) -> None:
        for symbol, name in self._symbols.items():
            self._rest.enqueue(f"{kind}:{name}", path, retry=False, symbol=symbol.upper())

    def decode_response(self, kind: str, name: str, body: bytes) -> list[Event]:
        """Decodes a response that is not empty. Raises one of UNREADABLE."""
        if kind == "periods":
            return self._on_funding_info(body)
        return self._on_premium(name, body) if kind == "premium" else self._on_open_interest(name, body)

    def on_no_response(self, kind: str) -> list[Event]:
        return list(self.fallback.on_failure()) if kind == "premium" else []

    def mark(self, name: str, row: wire.MarkPrice) -> MarketTicker:
        """A mark price, with the index and the rate of the current period."""
        return self._ticker(name, ms_to_ns(row.E), row.p, parse_number(row.i), parse_number(row.r))

    def _ticker(self, name: str, exch_ns: int, mark: float, index: float, rate: float) -> MarketTicker:
        self._marks[name] = mark
        funding = rate * _DEFAULT_FUNDING_HOURS / self._funding_hours.get(name, NAN)
        return MarketTicker(VENUE, Market.PERP, name, exch_ns, mark=mark, index=index, funding_8h=funding)

    def _on_funding_info(self, body: bytes) -> list[Event]:
        """Contracts whose period or bounds were ever changed; of the others it is eight hours."""
        hours = {row.symbol.lower(): row.fundingIntervalHours for row in wire.funding_info.decode(body)}
        self._funding_hours = {
            name: hours.get(symbol, _DEFAULT_FUNDING_HOURS) for symbol, name in self._symbols.items()
        }
        return []

    def _on_premium(self, name: str, body: bytes) -> list[Event]:
        row = wire.premium_index.decode(body)
        event = self._ticker(
            name, ms_to_ns(row.time), row.markPrice, parse_number(row.indexPrice), parse_number(row.lastFundingRate)
        )
        return [*self.fallback.on_response(), event]

    def _on_open_interest(self, name: str, body: bytes) -> list[Event]:
        """Open interest comes in coins; without a mark price it cannot be converted to USD."""
        row = wire.open_interest.decode(body)
        mark = self._marks.get(name)
        if mark is None:
            return []
        usd = row.openInterest * mark
        return [MarketTicker(VENUE, Market.PERP, name, ms_to_ns(row.time), open_interest_usd=usd)]
