"""Topics by Deribit's channel names.

An unknown name has no topic; the session drops it silently, as the venue does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.deribit import records, trades
from dfmon.sim.deribit.catalog import SETTLEMENT_CURRENCIES
from dfmon.sim.deribit.chart_topic import ChartTopic
from dfmon.sim.deribit.charts import RESOLUTIONS
from dfmon.sim.deribit.option_book import OptionBookTopic
from dfmon.sim.deribit.params import RpcError
from dfmon.sim.deribit.records import Record
from dfmon.sim.deribit.rpc import DeribitMethods, book_levels
from dfmon.sim.deribit.topics import (
    SECOND_TICKS,
    BookTopic,
    EventTopic,
    IncrementalTopic,
    MarkPriceTopic,
    PlatformStateTopic,
    StateTopic,
    Topic,
)
from dfmon.sim.faults import Faults
from dfmon.sim.market.currency_market import CurrencyMarket, MarketEvents
from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.market.listing import OptionContract, is_linear, settlement_currency
from dfmon.sim.market.simulated_market import SimulatedMarket

_STRUCTURES: Final = frozenset({"CS", "PS", "STRD", "STRG", "RR", "BOX", "FS"})
_INTERVAL_TICKS: Final = {"100ms": 1, "agg2": SECOND_TICKS}


class TopicFactory:
    """Makes the topic of a channel name."""

    def __init__(self, market: SimulatedMarket, methods: DeribitMethods, faults: Faults) -> None:
        self._market, self._catalog, self._charts, self._faults = market, methods.catalog, methods.charts, faults
        name, interval = r"([\w]+-[\w-]+)", r"(100ms|agg2)"
        builders: dict[str, Callable[..., Topic | None]] = {
            rf"trades\.(option|future|any)\.(\w+)\.{interval}": self._trades_by_kind,
            rf"trades\.(?:option_combo|combo)\.(\w+)\.{interval}": lambda code, p: self._combo_trades(code, "", p),
            rf"trades\.{name}\.{interval}": self._trades,
            rf"chart\.trades\.{name}\.(\w+)": self._chart,
            rf"perpetual\.{name}\.{interval}": self._perpetual,
            r"deribit_price_statistics\.(\w+_usdc?)": self._price_statistics,
            r"announcements": Topic,
            r"markprice\.options\.(\w+_usdc?)": self._mark_prices,
            r"(deribit_price_index|deribit_volatility_index|estimated_expiration_price)\.(\w+_usdc?)": self._index,
            rf"incremental_ticker\.{name}": lambda n: self._ticker(IncrementalTopic, n, SECOND_TICKS),
            rf"ticker\.{name}\.{interval}": lambda n, p: self._ticker(StateTopic, n, _INTERVAL_TICKS[p]),
            rf"quote\.{name}": self._quote,
            rf"book\.{name}\.none\.(1|10|20)\.{interval}": self._depth_window,
            rf"book\.{name}\.{interval}": self._book,
            r"instrument\.creation\.(option|future|any)\.(\w+)": self._instrument_creation,
            r"instrument\.state\.(option|future|any)\.(\w+)": self._instrument_states,
            r"block_rfq\.trades\.(\w+)": self._block_rfqs,
            r"platform_state": PlatformStateTopic,
            r"platform_state\.public_methods_state": lambda: StateTopic(
                lambda: {"allow_unauthenticated_public_requests": True}, 600
            ),
        }
        self._topic_patterns = [(re.compile(pattern), build_topic) for pattern, build_topic in builders.items()]

    def create_topic(self, channel: str) -> Topic | None:
        """The topic of `channel`, None for an unknown one."""
        if channel.endswith(".raw"):
            raise RpcError(13778, "raw_subscriptions_not_available_for_unauthorized")
        for pattern, build_topic in self._topic_patterns:
            if match := pattern.fullmatch(channel):
                return build_topic(*match.groups())
        return None

    def _trades_by_kind(self, kind: str, code: str, interval: str) -> Topic | None:
        if code not in SETTLEMENT_CURRENCIES:
            return None

        def records(events: MarketEvents) -> list[Record]:
            rows: list[Record] = []
            if kind in {"option", "any"}:
                for trade in events.option_trades:
                    currency = trade.name.partition("-")[0]
                    if code in {settlement_currency(currency), "any"}:
                        rows.append(trades.option_trade(trade, currency))
            if kind in {"future", "any"}:
                venue_trades = [t for t in events.linear_trades if t.market.spec.venue == "deribit"]
                rows += [trades.future_trade(t) for t in venue_trades if code in {_future_settlement(t.market), "any"}]
            return rows

        return EventTopic(records, _INTERVAL_TICKS[interval], batch=True)

    def _trades(self, name: str, interval: str) -> Topic | None:
        code = name.partition("-")[0]
        if self._catalog.option(name):
            return EventTopic(
                lambda events: [trades.option_trade(t, code) for t in events.option_trades if t.name == name],
                _INTERVAL_TICKS[interval],
                batch=True,
            )
        if self._catalog.future(name):
            return EventTopic(
                lambda events: [trades.future_trade(t) for t in events.linear_trades if t.market.spec.symbol == name],
                _INTERVAL_TICKS[interval],
                batch=True,
            )
        code, _, kind = name.partition("-")
        return self._combo_trades(code, name, interval) if kind.partition("-")[0] in _STRUCTURES else None

    def _combo_trades(self, code: str, name: str, interval: str) -> Topic | None:
        """Parents of combo trades, of a settlement currency or of one combo. Their legs are on the option channels."""
        markets = self._market.currencies
        if code not in SETTLEMENT_CURRENCIES and code not in markets:
            return None

        def records(events: MarketEvents) -> list[Record]:
            rows = []
            for order, legs in events.combos:
                currency = legs[0].name.partition("-")[0]
                if name in {"", legs[0].combo} and code in {settlement_currency(currency), currency, "any"}:
                    seq = markets[currency].combo_trade_counts[legs[0].combo]
                    rows.append(trades.combo_trade(order, legs, currency, seq))
            return rows

        return EventTopic(records, _INTERVAL_TICKS[interval], batch=True)

    def _perpetual(self, name: str, interval: str) -> Topic | None:
        found = self._catalog.future(name)
        if found is None or found[1].spec.kind != "perpetual":
            return None
        currency, market = found

        def build_record() -> Record:
            now_ms = currency.now_ns // MILLISECOND
            return {"interest": market.funding, "index_price": currency.index, "timestamp": now_ms}

        return StateTopic(build_record, _INTERVAL_TICKS[interval])

    def _price_statistics(self, index: str) -> Topic | None:
        currency = self._market.currency_by_index(index)
        if currency is None:
            return None
        market = currency.perpetual

        def build_record() -> Record:
            change = round(100.0 * (market.last / market.open_24h - 1.0), 4)
            day_stats = {"low24h": market.low, "high24h": market.high, "change24h": change}
            return {"index_name": index, "high_volatility": False, **day_stats}

        return StateTopic(build_record, SECOND_TICKS)

    def _mark_prices(self, index: str) -> Topic | None:
        currency = self._market.currency_by_index(index)
        return MarkPriceTopic(currency) if currency and currency.price_index == index else None

    def _index(self, channel: str, index: str) -> Topic | None:
        currency = self._market.currency_by_index(index)
        if currency is None:
            return None
        if channel == "deribit_price_index":
            return StateTopic(lambda: _index_record(currency, index, "price", currency.index), SECOND_TICKS)
        if channel == "deribit_volatility_index":
            if currency.price_index != index or is_linear(currency.name):
                return None
            return StateTopic(
                lambda: _index_record(currency, index, "volatility", currency.volatility_index), SECOND_TICKS
            )
        return StateTopic(lambda: _estimated_delivery_record(currency), SECOND_TICKS)

    def _ticker(self, topic_type: type[StateTopic], name: str, interval_ticks: int) -> Topic | None:
        if self._catalog.ticker(name) is None:
            return None
        if not self._catalog.option(name):
            return topic_type(lambda: self._catalog.ticker(name), interval_ticks)
        last: Record | None = None

        def build_record() -> Record | None:
            """The ticker, and once more after delivery, in the venue's final form."""
            nonlocal last
            record = self._catalog.ticker(name)
            if record is None and last is not None:
                record, last = last | records.EXPIRED_FIELDS, None
            elif record is not None:
                last = record
            return record

        return topic_type(build_record, SECOND_TICKS)  # options are repriced once a second

    def _quote(self, name: str) -> Topic | None:
        keys = (
            "instrument_name",
            "best_bid_price",
            "best_ask_price",
            "best_bid_amount",
            "best_ask_amount",
            "timestamp",
        )

        def build_record() -> Record | None:
            ticker = self._catalog.ticker(name)
            return {key: ticker[key] for key in keys} if ticker else None

        return StateTopic(build_record, SECOND_TICKS if self._catalog.option(name) else 1) if build_record() else None

    def _chart(self, name: str, resolution: str) -> Topic | None:
        interval = RESOLUTIONS.get(resolution)
        if interval is None or self._catalog.ticker(name) is None:
            return None
        return ChartTopic(self._charts, name, interval, self._market)

    def _depth_window(self, name: str, depth: str, interval: str) -> Topic | None:
        found, option = self._catalog.future(name), self._catalog.option(name)
        if option is not None:
            return StateTopic(OptionBookTopic(option[0], name, int(depth)).depth_record, SECOND_TICKS)
        if found is None:
            return None
        currency, market = found

        def build_record() -> Record:
            bids, asks = book_levels(market, int(depth))
            now_ms, change_id = currency.now_ns // MILLISECOND, market.book.version
            return {"timestamp": now_ms, "instrument_name": name, "change_id": change_id, "bids": bids, "asks": asks}

        return StateTopic(build_record, _INTERVAL_TICKS[interval])

    def _book(self, name: str, interval: str) -> Topic | None:
        found, option = self._catalog.future(name), self._catalog.option(name)
        if option is not None:
            return OptionBookTopic(option[0], name, 20)
        return BookTopic(*found, _INTERVAL_TICKS[interval]) if found else None

    def _instrument_creation(self, kind: str, code: str) -> Topic | None:
        if code not in SETTLEMENT_CURRENCIES:
            return None
        return EventTopic(
            lambda events: [records.option_instrument(c) for c in _matching_contracts(events.listed, kind, code)]
        )

    def _instrument_states(self, kind: str, code: str) -> Topic | None:
        if code not in SETTLEMENT_CURRENCIES:
            return None

        def records(events: MarketEvents) -> list[Record]:
            now_ms = self._market.now_ns // MILLISECOND
            return [
                {"timestamp": now_ms, "state": state, "instrument_name": c.name}
                for state, c in events.state_changes
                if _matching_contracts([c], kind, code) and not (state == "archivized" and self._faults.never_archive)
            ]

        return EventTopic(records)

    def _block_rfqs(self, code: str) -> Topic | None:
        if code not in SETTLEMENT_CURRENCIES:
            return None
        return EventTopic(
            lambda events: [
                trades.block_rfq_record(o, t)
                for o, t in events.block_rfqs
                if code in {settlement_currency(t[0].name.partition("-")[0]), "any"}
            ]
        )


def _index_record(currency: CurrencyMarket, index: str, key: str, value: float) -> Record:
    return {"timestamp": currency.now_ns // MILLISECOND, key: value, "index_name": index}


def _estimated_delivery_record(currency: CurrencyMarket) -> Record:
    seconds, sampled, total = currency.delivery_progress
    record: Record = {
        "is_estimated": currency.in_averaging_window,
        "price": currency.estimated_delivery,
        "seconds": seconds,
    }
    return record | {"left_ticks": total - sampled, "total_ticks": total} if currency.in_averaging_window else record


def _matching_contracts(contracts: list[OptionContract], kind: str, code: str) -> list[OptionContract]:
    return (
        [c for c in contracts if code in {settlement_currency(c.currency), "any"}] if kind in {"option", "any"} else []
    )


def _future_settlement(market: LinearMarket) -> str:
    """The settlement currency of a future."""
    return settlement_currency(market.spec.symbol.partition("-")[0])
