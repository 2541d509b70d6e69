"""Deribit's public methods, the same over websocket and REST: parameters in, result out, or `RpcError`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dfmon.model.units import MILLISECOND, SECOND
from dfmon.sim.deribit import records, trades
from dfmon.sim.deribit.archive_faults import apply_archive_fault
from dfmon.sim.deribit.catalog import Catalog
from dfmon.sim.deribit.charts import Charts
from dfmon.sim.deribit.params import (
    Params,
    RpcError,
    integer_param,
    invalid_params,
    page,
    string_param,
    trade_number_param,
)
from dfmon.sim.deribit.records import Record
from dfmon.sim.deribit.summaries import future_summary, option_summaries
from dfmon.sim.faults import Faults
from dfmon.sim.market.currency_market import CurrencyMarket
from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.market.simulated_market import SimulatedMarket

VERSION: Final = "1.2.26"
_SUMMARY_INTERVAL_NS: Final = 2 * SECOND


class DeribitMethods:
    """The methods that read the market; `venue` has sessions and subscriptions."""

    def __init__(self, market: SimulatedMarket, clock: Callable[[], int], faults: Faults) -> None:
        self._market, self._clock, self._faults = market, clock, faults
        self._summary_cache: dict[str, tuple[int, list[Record]]] = {}
        self.catalog = Catalog(market)
        self.charts = Charts(market, self.catalog)
        self._handlers: dict[str, Callable[[Params], object]] = {
            "public/hello": lambda _: {"version": VERSION},
            "public/test": self._test,
            "public/get_time": lambda _: clock() // MILLISECOND,
            "public/status": lambda _: {"locked": "false", "locked_indices": []},
            **self.catalog.handlers,
            **self.charts.handlers,
            "public/get_book_summary_by_currency": self._summaries,
            "public/get_book_summary_by_instrument": self._summary,
            "public/ticker": self._ticker,
            "public/get_order_book": self._order_book,
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

    # -- methods --------------------------------------------------------------------------------------------------

    def _test(self, params: Params) -> object:
        if params.get("expected_result") == "exception":
            raise RpcError(-32603, "Internal error", {"reason": "expected"})
        return {"version": VERSION}

    def _summaries(self, params: Params) -> list[Record]:
        kind = params.get("kind")
        rows: list[Record] = []
        for currency in self.catalog.selected_markets(params):
            if kind in {None, "option"}:
                rows += self._option_summaries(currency)
            if kind in {None, "future"}:
                futures = [currency.perpetual, *currency.futures.values()]
                rows += [future_summary(currency, m) for m in futures]
        return rows

    def _summary(self, params: Params) -> list[Record]:
        name = string_param(params, "instrument_name")
        if future := self.catalog.future(name):
            return [future_summary(*future)]
        option = self.catalog.option(name)
        if option is None:
            raise invalid_params("instrument not found", "instrument_name")
        return [self._option_summaries(option[0])[option[1]]]

    def _option_summaries(self, currency: CurrencyMarket) -> list[Record]:
        """Book summaries, recomputed every two seconds as on the venue."""
        slot = currency.now_ns // _SUMMARY_INTERVAL_NS
        cached = self._summary_cache.get(currency.name)
        if cached is None or cached[0] != slot:
            cached = self._summary_cache[currency.name] = slot, option_summaries(currency)
        return cached[1]

    def _ticker(self, params: Params) -> Record:
        record = self.catalog.ticker(string_param(params, "instrument_name"))
        if record is None:
            raise invalid_params("instrument not found", "instrument_name")
        return record

    def _order_book(self, params: Params) -> Record:
        record = self._ticker(params)
        depth = integer_param(params, "depth") or 5
        future = self.catalog.future(record["instrument_name"])
        if future is None:
            bid, ask = record["best_bid_price"], record["best_ask_price"]
            bids = [[bid, record["best_bid_amount"]]] if bid else []
            asks = [[ask, record["best_ask_amount"]]] if ask else []
            return record | {"bids": bids, "asks": asks, "change_id": record["timestamp"]}
        bids, asks = book_levels(future[1], depth)
        return record | {"bids": bids, "asks": asks, "change_id": future[1].book.version}

    def _trades_by_currency(self, params: Params) -> Record:
        start, end = integer_param(params, "start_timestamp"), integer_param(params, "end_timestamp")
        if params.get("kind") == "future":
            return self._future_trades(params, start, end)
        first, last = trade_number_param(params, "start_id"), trade_number_param(params, "end_id")
        markets = self.catalog.selected_markets(params)
        if params.get("kind", "any") not in {"option", "any"}:
            return {"trades": [], "has_more": False}
        selected = [t for market in markets for t in market.trade_log.trades_between(start, end)]
        if len(markets) > 1:
            selected.sort(key=lambda t: t.ts_ms)
        if first is not None or last is not None:
            low, high = first or 0, last if last is not None else max(m.trade_log.last_number for m in markets)
            selected = [t for t in selected if low <= t.number <= high]
        rows, has_more = page(selected, params, forward=start is not None or first is not None)
        now_ms = self._market.now_ns // MILLISECOND
        records = [trades.option_trade(t, t.name.partition("-")[0], now_ms) for t in rows]
        return {"trades": records, "has_more": has_more}

    def _future_trades(self, params: Params, start: int | None, end: int | None) -> Record:
        """The latest prints of the futures of a currency."""
        futures = [m for c in self.catalog.selected_markets(params) for m in (c.perpetual, *c.futures.values())]
        prints = sorted((t for m in futures for t in m.recent_trades), key=lambda t: t.ts_ns)
        records = [trades.future_trade(t) for t in prints]
        selected = [r for r in records if (start or 0) <= r["timestamp"] <= (end or r["timestamp"])]
        rows, has_more = page(selected, params, forward=start is not None)
        return {"trades": rows, "has_more": has_more}

    def _trades_by_instrument(self, params: Params) -> Record:
        name = string_param(params, "instrument_name")
        start, end = integer_param(params, "start_timestamp"), integer_param(params, "end_timestamp")
        first, last = integer_param(params, "start_seq"), integer_param(params, "end_seq")
        if future := self.catalog.future(name):
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
        rows, has_more = page(selected, params, forward=start is not None or first is not None)
        if self._faults.archive and params.get("include_old"):
            preceding = [r for r in records if r["trade_seq"] < (first or 0)]
            rows, truncated = apply_archive_fault(rows, preceding, self._faults.archive)
            has_more = has_more or truncated
        return {"trades": rows, "has_more": has_more}


def book_levels(market: LinearMarket, depth: int) -> tuple[list[list[float]], list[list[float]]]:
    """Bids and asks as `[price, amount]`, best first."""
    book = market.book
    bids = [[records.ladder_price(market, p), records.contract_amount(market, s)] for p, s in book.top_bids(depth)]
    asks = [[records.ladder_price(market, p), records.contract_amount(market, s)] for p, s in book.top_asks(depth)]
    return bids, asks
