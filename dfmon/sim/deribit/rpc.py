"""Deribit's public methods, the same over websocket and REST: parameters in, result out, or `RpcError`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from dfmon.model.units import MILLISECOND, SECOND
from dfmon.sim.deribit import records, trades
from dfmon.sim.deribit.archive_faults import apply_archive_fault
from dfmon.sim.deribit.records import Record
from dfmon.sim.deribit.summaries import future_summary, option_summaries
from dfmon.sim.faults import Faults
from dfmon.sim.market.board import INVERSE
from dfmon.sim.market.currency_market import CurrencyMarket
from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.market.listing import settlement_currency
from dfmon.sim.market.simulated_market import SimulatedMarket

Params = Mapping[str, Any]
T = TypeVar("T")
SETTLEMENT_CURRENCIES: Final = ("BTC", "ETH", "USDC", "USDT", "EURR", "any")
VERSION: Final = "1.2.26"
_MAX_PAGE: Final = 1_000
_SUMMARY_INTERVAL_NS: Final = 2 * SECOND
_RESOLUTIONS_S: Final = {"1": 1, "60": 60, "3600": 3_600, "43200": 43_200, "1D": 86_400}  # resolutions of the index


class RpcError(Exception):
    """An error reply."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data

    def body(self) -> Record:
        """The `error` member."""
        body: Record = {"code": self.code, "message": self.message}
        if self.data is not None:
            body["data"] = self.data
        return body


def invalid_params(reason: str, param: str) -> RpcError:
    """Deribit's error -32602."""
    return RpcError(-32602, "Invalid params", {"reason": reason, "param": param})


class DeribitMethods:
    """The methods that read the market; `venue` has sessions and subscriptions."""

    def __init__(self, market: SimulatedMarket, clock: Callable[[], int], faults: Faults) -> None:
        self._market, self._clock, self._faults = market, clock, faults
        self._summary_cache: dict[str, tuple[int, list[Record]]] = {}
        self._handlers: dict[str, Callable[[Params], object]] = {
            "public/hello": lambda _: {"version": VERSION},
            "public/test": self._test,
            "public/get_time": lambda _: clock() // MILLISECOND,
            "public/status": lambda _: {"locked": "false", "locked_indices": []},
            "public/get_instruments": self._instruments,
            "public/get_book_summary_by_currency": self._summaries,
            "public/ticker": self._ticker,
            "public/get_order_book": self._order_book,
            "public/get_index_price": self._index_price,
            "public/get_volatility_index_data": self._volatility_candles,
            "public/get_delivery_prices": self._delivery_prices,
            "public/get_expirations": self._expirations,
            "public/get_last_trades_by_currency": self._trades_by_currency,
            "public/get_last_trades_by_currency_and_time": self._trades_by_currency,
            "public/get_last_trades_by_instrument": self._trades_by_instrument,
            "public/get_last_trades_by_instrument_and_time": self._trades_by_instrument,
        }

    def call(self, method: str, params: Params) -> object:
        """The result of `method`."""
        handler = self._handlers.get(method)
        if handler is None:
            raise RpcError(-32601, "Method not found")
        return handler(params)

    def option(self, name: str) -> tuple[CurrencyMarket, int] | None:
        """The board row of a listed option."""
        currency = self._market.currencies.get(name.partition("-")[0])
        row = currency.board.rows.get(name) if currency else None
        return None if currency is None or row is None else (currency, row)

    def future(self, name: str) -> tuple[CurrencyMarket, LinearMarket] | None:
        """The perpetual or dated future called `name`."""
        code, _, label = name.partition("-")
        currency = self._market.currencies.get(code)
        if currency is None:
            return None
        market = currency.perpetual if label == "PERPETUAL" else currency.futures.get(label)
        return None if market is None else (currency, market)

    def ticker(self, name: str) -> Record | None:
        """The full ticker of any listed instrument."""
        if option := self.option(name):
            return records.option_ticker(*option)
        future = self.future(name)
        return records.future_ticker(*future) if future else None

    # -- methods --------------------------------------------------------------------------------------------------

    def _test(self, params: Params) -> object:
        if params.get("expected_result") == "exception":
            raise RpcError(-32603, "Internal error", {"reason": "expected"})
        return {"version": VERSION}

    def _instruments(self, params: Params) -> list[Record]:
        kind = params.get("kind")
        expired = str(params.get("expired", False)).lower() == "true"
        rows: list[Record] = []
        for currency in self._selected_markets(params):
            if kind in {None, "any", "option"}:
                selected_contracts = currency.delivered if expired else currency.board.contracts
                rows += [records.option_instrument(c, "archivized" if expired else "open") for c in selected_contracts]
            if kind in {None, "any", "future"} and not expired:
                rows.append(records.future_instrument(currency.perpetual, ""))
                periods = {s.expiry.label: s.expiry.period for s in currency.board.slices}
                rows += [records.future_instrument(m, periods[label]) for label, m in currency.futures.items()]
        return rows

    def _summaries(self, params: Params) -> list[Record]:
        kind = params.get("kind")
        rows: list[Record] = []
        for currency in self._selected_markets(params):
            if kind in {None, "option"}:
                rows += self._option_summaries(currency)
            if kind in {None, "future"}:
                futures = [currency.perpetual, *currency.futures.values()]
                rows += [future_summary(currency, m) for m in futures]
        return rows

    def _option_summaries(self, currency: CurrencyMarket) -> list[Record]:
        """Book summaries, recomputed every two seconds as on the venue."""
        slot = currency.now_ns // _SUMMARY_INTERVAL_NS
        cached = self._summary_cache.get(currency.name)
        if cached is None or cached[0] != slot:
            cached = self._summary_cache[currency.name] = slot, option_summaries(currency)
        return cached[1]

    def _expirations(self, params: Params) -> Record:
        """Labels by currency and kind."""
        expirations: Record = {}
        for market in self._selected_markets(params):
            options = [s.expiry.label for s in market.board.slices]
            expirations[market.name.lower()] = {"option": options, "future": [*market.futures, "PERPETUAL"]}
        return expirations

    def _ticker(self, params: Params) -> Record:
        record = self.ticker(_string_param(params, "instrument_name"))
        if record is None:
            raise invalid_params("instrument not found", "instrument_name")
        return record

    def _order_book(self, params: Params) -> Record:
        record = self._ticker(params)
        depth = _integer_param(params, "depth") or 5
        future = self.future(record["instrument_name"])
        if future is None:
            bid, ask = record["best_bid_price"], record["best_ask_price"]
            bids = [[bid, record["best_bid_amount"]]] if bid else []
            asks = [[ask, record["best_ask_amount"]]] if ask else []
            return record | {"bids": bids, "asks": asks, "change_id": record["timestamp"]}
        bids, asks = book_levels(future[1], depth)
        return record | {"bids": bids, "asks": asks, "change_id": future[1].book.version}

    def _index_price(self, params: Params) -> Record:
        currency = self._currency_by_index(params)
        return {"index_price": currency.index, "estimated_delivery_price": currency.estimated_delivery}

    def _volatility_candles(self, params: Params) -> Record:
        """Candles of the volatility index; only the current one is simulated."""
        currency = self._market.currencies.get(_string_param(params, "currency"))
        if currency is None or currency.board.quotation is not INVERSE:
            raise invalid_params("invalid currency", "currency")
        step_s = _RESOLUTIONS_S.get(_string_param(params, "resolution"))
        if step_s is None:
            raise invalid_params("must be one of 1, 60, 3600, 43200, 1D", "resolution")
        start, end = _integer_param(params, "start_timestamp"), _integer_param(params, "end_timestamp")
        if start is None or end is None:
            raise invalid_params("value is required", "start_timestamp" if start is None else "end_timestamp")
        candle_start = currency.now_ns // SECOND // step_s * step_s * 1_000
        row = [candle_start, *[currency.volatility_index] * 4]
        return {"data": [row] if start <= candle_start <= end else [], "continuation": None}

    def _delivery_prices(self, params: Params) -> Record:
        deliveries = self._currency_by_index(params).deliveries
        offset, count = _integer_param(params, "offset") or 0, _integer_param(params, "count") or 10
        rows = [{"date": day, "delivery_price": price} for day, price in deliveries[offset : offset + count]]
        return {"data": rows, "records_total": len(deliveries)}

    def _trades_by_currency(self, params: Params) -> Record:
        start, end = _integer_param(params, "start_timestamp"), _integer_param(params, "end_timestamp")
        first, last = _trade_number_param(params, "start_id"), _trade_number_param(params, "end_id")
        markets = self._selected_markets(params)
        if params.get("kind", "any") not in {"option", "any"}:
            return {"trades": [], "has_more": False}
        selected = [t for market in markets for t in market.trade_log.trades_between(start, end)]
        if len(markets) > 1:
            selected.sort(key=lambda t: t.ts_ms)
        if first is not None or last is not None:
            low, high = first or 0, last if last is not None else max(m.trade_log.last_number for m in markets)
            selected = [t for t in selected if low <= t.number <= high]
        page, has_more = _page(selected, params, forward=start is not None or first is not None)
        now_ms = self._market.now_ns // MILLISECOND
        records = [trades.option_trade(t, t.name.partition("-")[0], now_ms) for t in page]
        return {"trades": records, "has_more": has_more}

    def _trades_by_instrument(self, params: Params) -> Record:
        name = _string_param(params, "instrument_name")
        start, end = _integer_param(params, "start_timestamp"), _integer_param(params, "end_timestamp")
        first, last = _integer_param(params, "start_seq"), _integer_param(params, "end_seq")
        if future := self.future(name):
            records = [trades.future_trade(t) for t in future[1].recent_trades]
        else:
            currency = self._market.currencies.get(name.partition("-")[0])
            if currency is None or not (currency.trade_log.instrument_trades(name) or name in currency.board.rows):
                raise invalid_params("instrument not found", "instrument_name")
            now_ms = self._market.now_ns // MILLISECOND
            prints = currency.trade_log.instrument_trades(name)
            records = [trades.option_trade(t, currency.name, now_ms) for t in prints]
        selected = [
            r
            for r in records
            if (first is None or r["trade_seq"] >= first)
            and (last is None or r["trade_seq"] <= last)
            and (start is None or r["timestamp"] >= start)
            and (end is None or r["timestamp"] <= end)
        ]
        page, has_more = _page(selected, params, forward=start is not None or first is not None)
        if self._faults.archive and params.get("include_old"):
            page, truncated = apply_archive_fault(
                page, [r for r in records if r["trade_seq"] < (first or 0)], self._faults.archive
            )
            has_more = has_more or truncated
        return {"trades": page, "has_more": has_more}

    def _selected_markets(self, params: Params) -> list[CurrencyMarket]:
        """The markets settled in `currency`; USDT and other known currencies list nothing here."""
        code = _string_param(params, "currency")
        if code not in SETTLEMENT_CURRENCIES:
            raise invalid_params("invalid currency", "currency")
        return [m for name, m in self._market.currencies.items() if code in {"any", settlement_currency(name)}]

    def _currency_by_index(self, params: Params) -> CurrencyMarket:
        name = _string_param(params, "index_name")
        currency = self._market.currency_by_index(name)
        if currency is None or not name.endswith(("_usd", "_usdc")):
            raise invalid_params("invalid index", "index_name")
        return currency


def book_levels(market: LinearMarket, depth: int) -> tuple[list[list[float]], list[list[float]]]:
    """Bids and asks as `[price, amount]`, best first."""
    book = market.book
    bids = [[records.ladder_price(market, p), records.contract_amount(market, s)] for p, s in book.top_bids(depth)]
    asks = [[records.ladder_price(market, p), records.contract_amount(market, s)] for p, s in book.top_asks(depth)]
    return bids, asks


def _page(rows: list[T], params: Params, *, forward: bool) -> tuple[list[T], bool]:
    """`count` rows in the order of `sorting`; by default from the start when one was given, else the newest."""
    count = min(max(_integer_param(params, "count") or 10, 1), _MAX_PAGE)
    sorting = params.get("sorting", "default")
    ascending = forward if sorting == "default" else sorting == "asc"
    page = rows[:count] if ascending else rows[-count:][::-1]
    return page, len(rows) > count


def _string_param(params: Params, key: str) -> str:
    value = params.get(key)
    if not isinstance(value, str) or not value:
        raise RpcError(-32602, "Invalid params", {"reason": "value is required", "param": key})
    return value


def _integer_param(params: Params, key: str) -> int | None:
    value = params.get(key)
    if value is None or value == "":
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise invalid_params("must be an integer", key) from None


def _trade_number_param(params: Params, key: str) -> int | None:
    """The counter inside a trade id, with or without its currency."""
    value = params.get(key)
    return None if value is None else _integer_param({key: str(value).rpartition("-")[2]}, key)
