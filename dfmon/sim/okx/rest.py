"""OKX's REST API by route, in the venue's envelope. Futures and options of OKX are not simulated: none is listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.okx import history, records
from dfmon.sim.transport import RestResponse, encode

_INST_TYPES: Final = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS"})
_BOOK_DEPTH: Final = 400
_FULL_BOOK_DEPTH: Final = 5_000


@dataclass(frozen=True, slots=True)
class RestCall:
    """Parameters of a call with the markets that they select. `ts` is the venue's time, `market_ms` the market's."""

    query: dict[str, str]
    matching: list[LinearMarket]
    ts: str
    market_ms: int

    @property
    def swaps(self) -> list[LinearMarket]:
        """The perpetual swaps selected."""
        return [market for market in self.matching if records.is_swap(market)]

    def book(self, max_depth: int) -> list[records.Record]:
        """The book of the market selected."""
        depth = min(max(history.integer(self.query, "sz", 1), 1), max_depth)
        return [{**records.book(market, depth), "ts": self.ts} for market in self.matching[:1]]

    def rows_of_one(self, build: Callable[[LinearMarket, dict[str, str], int], list[Any]]) -> list[Any]:
        """The rows of the market selected."""
        return [row for market in self.matching[:1] for row in build(market, self.query, self.market_ms)]

    def rows_of_swap(self, build: Callable[[LinearMarket, dict[str, str], int], list[Any]]) -> list[Any]:
        """The rows of the swap selected."""
        return [row for market in self.swaps[:1] for row in build(market, self.query, self.market_ms)]


@dataclass(frozen=True, slots=True)
class Route:
    """One call: the parameter without which it is refused, or several of which one is enough, and its rows."""

    required: str
    rows: Callable[[RestCall], list[Any]]


ROUTES: Final = {
    "public/time": Route("", lambda call: [{"ts": call.ts}]),
    "public/instruments": Route("instType", lambda call: [records.instrument(m) for m in call.matching]),
    "public/underlying": Route("instType", lambda call: [sorted({records.family(m) for m in call.swaps})]),
    "public/open-interest": Route("instType", lambda call: [records.open_interest(m, call.ts) for m in call.swaps]),
    "public/funding-rate": Route("instId", lambda call: [records.funding(m, call.ts) for m in call.swaps]),
    "public/funding-rate-history": Route("instId", lambda call: call.rows_of_swap(history.funding_rates)),
    "public/mark-price": Route("instType instId", lambda call: [records.mark_price(m, call.ts) for m in call.swaps]),
    "public/price-limit": Route("instId", lambda call: [records.price_limit(m, call.ts) for m in call.matching]),
    "public/opt-summary": Route("uly", lambda _: []),
    "public/liquidation-orders": Route("instType", lambda _: []),
    "system/status": Route("", lambda _: []),
    "market/ticker": Route("instId", lambda call: [records.ticker(m, call.ts) for m in call.matching]),
    "market/tickers": Route("instType", lambda call: [records.ticker(m, call.ts) for m in call.matching]),
    "market/index-tickers": Route("", lambda call: records.index_tickers(call.matching, call.query, call.ts)),
    "market/books": Route("instId", lambda call: call.book(_BOOK_DEPTH)),
    "market/books-full": Route("instId", lambda call: call.book(_FULL_BOOK_DEPTH)),
    "market/trades": Route("instId", lambda call: call.rows_of_one(lambda m, q, _: history.trades(m, q, 500))),
    "market/history-trades": Route("instId", lambda call: call.rows_of_one(lambda m, q, _: history.trades(m, q, 100))),
    "market/candles": Route("instId", lambda call: call.rows_of_one(history.candles)),
    "market/history-candles": Route("instId", lambda call: call.rows_of_one(history.candles)),
}
_FUNDING_CALL: Final = "public/funding-rate"
_ANY: Final = "ANY"  # as instId: every swap
_INDEX_CALL: Final = "market/index-tickers"
PREFIX: Final = "/api/v5/"


def respond(
    path: str, query: dict[str, str], markets: dict[str, LinearMarket], ts: str, market_ms: int
) -> RestResponse:
    """The response to a call: an unknown instrument is an error inside a good one."""
    endpoint = path.removeprefix(PREFIX)
    route = ROUTES.get(endpoint)
    if route is None:
        return _refuse(HTTPStatus.NOT_FOUND, "404", "Not Found")
    required = route.required.split()
    if required and not any(query.get(name) for name in required):
        return _refuse(HTTPStatus.BAD_REQUEST, "50014", f"Parameter {required[0]} cannot be empty")
    if endpoint == _FUNDING_CALL and query["instId"] == _ANY:
        query = {**query, "instType": "SWAP"}
        del query["instId"]
    if query.get("instType", "SPOT") not in _INST_TYPES:
        return _refuse(HTTPStatus.BAD_REQUEST, "51000", "Parameter instType error")
    of_index = endpoint == _INDEX_CALL  # whose instId is that of an index
    matching = [m for m in markets.values() if of_index or _fits(m, query)]
    if "instId" in query and not matching:
        return _refuse(HTTPStatus.OK, "51001", "Instrument ID doesn't exist")
    try:
        rows = route.rows(RestCall(query, matching, ts, market_ms))
    except KeyError:
        return _refuse(HTTPStatus.BAD_REQUEST, "51000", "Parameter bar error")
    return RestResponse(HTTPStatus.OK, encode({"code": "0", "msg": "", "data": rows}))


def _fits(market: LinearMarket, query: dict[str, str]) -> bool:
    """True where a market has the id, the type, the underlying and the family asked for."""
    family = records.family(market)
    own = {
        "instId": market.spec.symbol,
        "instType": records.inst_type(market),
        "uly": family,
        "instFamily": family,
    }
    return all(query.get(name, value) == value for name, value in own.items())


def _refuse(status: HTTPStatus, code: str, message: str) -> RestResponse:
    return RestResponse(status, encode({"code": code, "msg": message, "data": []}))
