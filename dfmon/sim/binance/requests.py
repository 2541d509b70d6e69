"""One REST call to Binance: its parameters, checked as the venue checks them."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from dfmon.sim.market.linear_market import LinearMarket


class BinanceError(Exception):
    """An error response; the status is 400 unless said otherwise."""

    def __init__(self, code: int, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass(frozen=True, slots=True)
class RestCall:
    """Parameters of a call with the markets of the product. `now_ms` is the venue's clock, `market_ms` the market's."""

    markets: dict[str, LinearMarket]
    query: dict[str, str]
    now_ms: int
    market_ms: int
    futures: bool

    def text(self, name: str) -> str:
        """A mandatory parameter."""
        value = self.query.get(name, "")
        if not value:
            raise BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return value

    def integer(self, name: str) -> int | None:
        """An optional whole number."""
        value = self.query.get(name)
        if value is None:
            return None
        if not value.isdecimal():
            raise BinanceError(
                -1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
            )
        return int(value)

    def limit(self, default: int, max_rows: int) -> int:
        """The number of rows asked for; spot cuts what is too many, futures refuse it."""
        limit = self.integer("limit")
        if limit is None:
            return default
        if self.futures and not 1 <= limit <= max_rows:
            raise BinanceError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(max(limit, 1), max_rows)

    @property
    def market(self) -> LinearMarket:
        """The market of the mandatory symbol."""
        return self.find(self.text("symbol"))

    @property
    def is_for_one(self) -> bool:
        """True where one symbol was asked for: the response is an object then, else a list."""
        return "symbol" in self.query

    @property
    def selected(self) -> list[LinearMarket]:
        """The market of `symbol`, those of `symbols`, or all."""
        if self.is_for_one:
            return [self.market]
        if "symbols" not in self.query:
            return list(self.markets.values())
        try:
            symbols = msgspec.json.decode(self.query["symbols"].encode(), type=list[str])
        except msgspec.DecodeError:
            raise BinanceError(-1101, "Data sent for parameter 'symbols' is not valid.") from None
        return [self.find(symbol) for symbol in symbols]

    def find(self, symbol: str) -> LinearMarket:
        """The market of a symbol."""
        market = self.markets.get(symbol)
        if market is None:
            raise BinanceError(-1121, "Invalid symbol.")
        return market
