"""Deribit's channel names and what each of them carries.

Names nobody knows have no topic; the session drops them silently, as the venue does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.deribit import records, trades
from dfmon.sim.deribit.option_book import OptionBook
from dfmon.sim.deribit.records import Record
from dfmon.sim.deribit.rpc import SETTLEMENT_CURRENCIES, DeribitMethods, RpcError, levels
from dfmon.sim.deribit.topics import (
    SECOND_TICKS,
    BookChanges,
    Events,
    Increments,
    MarkPrices,
    Platform,
    State,
    Topic,
)
from dfmon.sim.faults import Faults
from dfmon.sim.market.currency import CurrencyMarket, Happenings
from dfmon.sim.market.linear import LinearMarket
from dfmon.sim.market.listing import OptionContract, is_linear, settlement_of
from dfmon.sim.market.market import Market

_STRUCTURES: Final = frozenset({"CS", "PS", "STRD", "STRG", "RR", "BOX", "FS"})
_PACE: Final = {"100ms": 1, "agg2": SECOND_TICKS}


class TopicMaker:
    """Channel name to topic."""

    def __init__(self, market: Market, methods: DeribitMethods, faults: Faults) -> None:
        self._market, self._methods, self._faults = market, methods, faults
        name, pace = r"([\w]+-[\w-]+)", r"(100ms|agg2)"
        kinds: dict[str, Callable[..., Topic | None]] = {
            rf"trades\.(option|future|any)\.(\w+)\.{pace}": self._kind_trades,
            rf"trades\.(?:option_combo|combo)\.(\w+)\.{pace}": lambda code, p: self._combos(code, "", p),
            rf"trades\.{name}\.{pace}": self._trades,
            rf"perpetual\.{name}\.{pace}": self._perpetual,
            r"deribit_price_statistics\.(\w+_usdc?)": self._statistics,
            r"announcements": Topic,
            r"markprice\.options\.(\w+_usdc?)": self._marks,
            r"(deribit_price_index|deribit_volatility_index|estimated_expiration_price)\.(\w+_usdc?)": self._index,
            rf"incremental_ticker\.{name}": lambda n: self._ticker(Increments, n, SECOND_TICKS),
            rf"ticker\.{name}\.{pace}": lambda n, p: self._ticker(State, n, _PACE[p]),
            rf"quote\.{name}": self._quote,
            rf"book\.{name}\.none\.(1|10|20)\.{pace}": self._window,
            rf"book\.{name}\.{pace}": self._book,
            r"instrument\.creation\.(option|future|any)\.(\w+)": self._creation,
            r"instrument\.state\.(option|future|any)\.(\w+)": self._states,
            r"block_rfq\.trades\.(\w+)": self._requests,
            r"platform_state": Platform,
            r"platform_state\.public_methods_state": lambda: State(
                lambda: {"allow_unauthenticated_public_requests": True}, 600
            ),
        }
        self._kinds = [(re.compile(pattern), make) for pattern, make in kinds.items()]

    def make(self, channel: str) -> Topic | None:
        """The topic of `channel`, None for an unknown one."""
        if channel.endswith(".raw"):
            raise RpcError(13778, "raw_subscriptions_not_available_for_unauthorized")
        for pattern, make in self._kinds:
            if match := pattern.fullmatch(channel):
                return make(*match.groups())
        return None

    def _kind_trades(self, kind: str, code: str, pace: str) -> Topic | None:
        if code not in SETTLEMENT_CURRENCIES:
            return None

        def records(happened: Happenings) -> list[Record]:
            rows: list[Record] = []
            if kind in {"option", "any"}:
                for trade in happened.option_trades:
                    currency = trade.name.partition("-")[0]
                    if code in {settlement_of(currency), "any"}:
                        rows.append(trades.option_trade(trade, currency))
            if kind in {"future", "any"}:
                mine = [t for t in happened.linear_trades if t.market.spec.venue == "deribit"]
                rows += [trades.future_trade(t) for t in mine if code in {_settled(t.market), "any"}]
            return rows

        return Events(records, _PACE[pace], batch=True)

    def _trades(self, name: str, pace: str) -> Topic | None:
        code = name.partition("-")[0]
        if self._methods.option(name):
            return Events(
                lambda h: [trades.option_trade(t, code) for t in h.option_trades if t.name == name],
                _PACE[pace],
                batch=True,
            )
        if self._methods.future(name):
            return Events(
                lambda h: [trades.future_trade(t) for t in h.linear_trades if t.market.spec.symbol == name],
                _PACE[pace],
                batch=True,
            )
        code, _, kind = name.partition("-")
        return self._combos(code, name, pace) if kind.partition("-")[0] in _STRUCTURES else None

    def _combos(self, code: str, name: str, pace: str) -> Topic | None:
        """Parents of combo trades, of a settlement currency or of one combo. Their legs are on the option channels."""
        markets = self._market.currencies
        if code not in SETTLEMENT_CURRENCIES and code not in markets:
            return None

        def records(happened: Happenings) -> list[Record]:
            rows = []
            for order, legs in happened.combos:
                currency = legs[0].name.partition("-")[0]
                if name in {"", legs[0].combo} and code in {settlement_of(currency), currency, "any"}:
                    seq = markets[currency].combos[legs[0].combo]
                    rows.append(trades.combo_trade(order, legs, currency, seq))
            return rows

        return Events(records, _PACE[pace], batch=True)

    def _perpetual(self, name: str, pace: str) -> Topic | None:
        found = self._methods.future(name)
        if found is None or found[1].spec.kind != "perpetual":
            return None
        currency, market = found

        def read() -> Record:
            stamp = currency.now_ns // MILLISECOND
            return {"interest": market.funding, "index_price": currency.index, "timestamp": stamp}

        return State(read, _PACE[pace])

    def _statistics(self, index: str) -> Topic | None:
        currency = self._market.indexed(index)
        if currency is None:
            return None
        market = currency.perpetual

        def read() -> Record:
            change = round(100.0 * (market.last / market.open_24h - 1.0), 4)
            day = {"low24h": market.low, "high24h": market.high, "change24h": change}
            return {"index_name": index, "high_volatility": False, **day}

        return State(read, SECOND_TICKS)

    def _marks(self, index: str) -> Topic | None:
        currency = self._market.indexed(index)
        return MarkPrices(currency) if currency and currency.price_index == index else None

    def _index(self, channel: str, index: str) -> Topic | None:
        currency = self._market.indexed(index)
        if currency is None:
            return None
        if channel == "deribit_price_index":
            return State(lambda: _index_record(currency, index, "price", currency.index), SECOND_TICKS)
        if channel == "deribit_volatility_index":
            if currency.price_index != index or is_linear(currency.name):
                return None
            return State(lambda: _index_record(currency, index, "volatility", currency.volatility_index), SECOND_TICKS)
        return State(lambda: _estimate(currency), SECOND_TICKS)

    def _ticker(self, shape: type[State], name: str, every: int) -> Topic | None:
        if self._methods.ticker(name) is None:
            return None
        if not self._methods.option(name):
            return shape(lambda: self._methods.ticker(name), every)
        last: Record | None = None

        def read() -> Record | None:
            """The ticker, and after delivery once more with what the venue says of the dead."""
            nonlocal last
            record = self._methods.ticker(name)
            if record is None and last is not None:
                record, last = last | records.EXPIRED, None
            elif record is not None:
                last = record
            return record

        return shape(read, SECOND_TICKS)  # options are repriced once a second

    def _quote(self, name: str) -> Topic | None:
        keys = (
            "instrument_name",
            "best_bid_price",
            "best_ask_price",
            "best_bid_amount",
            "best_ask_amount",
            "timestamp",
        )

        def read() -> Record | None:
            ticker = self._methods.ticker(name)
            return {key: ticker[key] for key in keys} if ticker else None

        return State(read, SECOND_TICKS if self._methods.option(name) else 1) if read() else None

    def _window(self, name: str, depth: str, pace: str) -> Topic | None:
        found, option = self._methods.future(name), self._methods.option(name)
        if option is not None:
            return State(OptionBook(option[0], name, int(depth)).window, SECOND_TICKS)
        if found is None:
            return None
        currency, market = found

        def read() -> Record:
            bids, asks = levels(market, int(depth))
            stamp, change_id = currency.now_ns // MILLISECOND, market.book.version
            return {"timestamp": stamp, "instrument_name": name, "change_id": change_id, "bids": bids, "asks": asks}

        return State(read, _PACE[pace])

    def _book(self, name: str, pace: str) -> Topic | None:
        found, option = self._methods.future(name), self._methods.option(name)
        if option is not None:
            return OptionBook(option[0], name, 20)
        return BookChanges(*found, _PACE[pace]) if found else None

    def _creation(self, kind: str, code: str) -> Topic | None:
        if code not in SETTLEMENT_CURRENCIES:
            return None
        return Events(lambda h: [records.option_instrument(c) for c in _wanted(h.listed, kind, code)])

    def _states(self, kind: str, code: str) -> Topic | None:
        if code not in SETTLEMENT_CURRENCIES:
            return None

        def records(happened: Happenings) -> list[Record]:
            stamp = self._market.now_ns // MILLISECOND
            return [
                {"timestamp": stamp, "state": state, "instrument_name": c.name}
                for state, c in happened.states
                if _wanted([c], kind, code) and not (state == "archivized" and self._faults.never_archive)
            ]

        return Events(records)

    def _requests(self, code: str) -> Topic | None:
        if code not in SETTLEMENT_CURRENCIES:
            return None
        return Events(
            lambda h: [
                trades.block_request(o, t)
                for o, t in h.requests
                if code in {settlement_of(t[0].name.partition("-")[0]), "any"}
            ]
        )


def _index_record(currency: CurrencyMarket, index: str, key: str, value: float) -> Record:
    return {"timestamp": currency.now_ns // MILLISECOND, key: value, "index_name": index}


def _estimate(currency: CurrencyMarket) -> Record:
    seconds, done, total = currency.delivery_clock
    record: Record = {"is_estimated": currency.in_window, "price": currency.estimated_delivery, "seconds": seconds}
    return record | {"left_ticks": total - done, "total_ticks": total} if currency.in_window else record


def _wanted(contracts: list[OptionContract], kind: str, code: str) -> list[OptionContract]:
    return [c for c in contracts if code in {settlement_of(c.currency), "any"}] if kind in {"option", "any"} else []


def _settled(market: LinearMarket) -> str:
    """The settlement currency of a future."""
    return settlement_of(market.spec.symbol.partition("-")[0])
