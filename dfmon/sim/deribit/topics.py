"""The kinds of Deribit channels: a snapshot for a new subscriber, then updates on change.

A topic exists while it has a subscriber.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.deribit import records
from dfmon.sim.deribit.records import Record
from dfmon.sim.deribit.rpc import book_levels
from dfmon.sim.market.currency_market import CurrencyMarket, MarketEvents
from dfmon.sim.market.linear_market import LinearMarket

SECOND_TICKS: Final = 10
_NOISE_INDICES: Final = ("sol_usdc", "xrp_usdc", "avax_usdc", "trx_usdc", "ada_usdc")


class Topic:
    """One channel. `interval_ticks` is the number of 100 ms ticks between updates."""

    def __init__(self, interval_ticks: int = 1) -> None:
        self.interval_ticks = interval_ticks

    def snapshot(self) -> object | None:
        """The payloads that a new subscriber gets at once; none on most trade-like channels."""
        return None

    def on_events(self, events: MarketEvents) -> None:
        """Takes the events of every tick, also between updates."""

    def next_payloads(self) -> Iterable[object]:
        """The payloads due now."""
        return ()


class EventTopic(Topic):
    """Payloads made from events: trades in one array, everything else one notification each."""

    def __init__(
        self, build_records: Callable[[MarketEvents], list[Record]], interval_ticks: int = 1, *, batch: bool = False
    ) -> None:
        super().__init__(interval_ticks)
        self._build_records, self._batch = build_records, batch
        self._pending: list[Record] = []

    def on_events(self, events: MarketEvents) -> None:
        self._pending += self._build_records(events)

    def next_payloads(self) -> Iterable[object]:
        pending, self._pending = self._pending, []
        return ([pending] if pending else []) if self._batch else pending


class StateTopic(Topic):
    """A record sent in full whenever anything but its timestamp changed."""

    def __init__(self, build_record: Callable[[], Record | None], interval_ticks: int) -> None:
        super().__init__(interval_ticks)
        self.build_record = build_record
        self.last_record: Record = {}

    def snapshot(self) -> object | None:
        return self.build_record()

    def next_payloads(self) -> Iterable[object]:
        record = self.build_record()
        if record is None or _unchanged(record, self.last_record):
            return ()
        self.last_record = record
        return (record,)


class IncrementalTopic(StateTopic):
    """`incremental_ticker`: the full record once, then only the fields that changed."""

    def snapshot(self) -> object | None:
        record = self.build_record()
        if record is None:
            return None
        if not self.last_record:
            self.last_record = record
        return {"type": "snapshot", **record}

    def next_payloads(self) -> Iterable[object]:
        record = self.build_record()
        if record is None or _unchanged(record, self.last_record):
            return ()
        changed = {key: value for key, value in record.items() if self.last_record.get(key) != value}
        self.last_record = record
        return ({"type": "change", "instrument_name": record["instrument_name"], **changed},)


class MarkPriceTopic(Topic):
    """`markprice.options`: the full chain, then the rows that changed. Here, and only here, iv is a fraction."""

    def __init__(self, currency: CurrencyMarket) -> None:
        super().__init__(SECOND_TICKS)
        self._currency = currency
        self._last_rows: dict[str, tuple[float, float]] = {}

    def snapshot(self) -> object | None:
        rows = self._rows()
        if not self._last_rows:
            self._last_rows = {name: (iv, mark) for name, iv, mark in rows}
        return self._records(rows)

    def next_payloads(self) -> Iterable[object]:
        rows = self._rows()
        changed = [row for row in rows if self._last_rows.get(row[0]) != row[1:]]
        self._last_rows = {name: (iv, mark) for name, iv, mark in rows}
        return (self._records(changed),) if changed else ()

    def _rows(self) -> list[tuple[str, float, float]]:
        board = self._currency.board
        return list(
            zip(
                board.names,
                (board.iv / 100.0).round(4).tolist(),
                board.mark.round(max(board.quotation.digits, 4)).tolist(),
            )
        )

    def _records(self, rows: list[tuple[str, float, float]]) -> list[Record]:
        now_ms = self._currency.now_ns // MILLISECOND
        return [{"timestamp": now_ms, "iv": iv, "instrument_name": name, "mark_price": mark} for name, iv, mark in rows]


class BookTopic(Topic):
    """`book.X.100ms`: the full book, then changes chained by `prev_change_id`."""

    def __init__(self, currency: CurrencyMarket, market: LinearMarket, interval_ticks: int) -> None:
        super().__init__(interval_ticks)
        self._currency, self._market = currency, market
        self._version = market.book.version
        self._bids, self._asks = set(market.book.bids), set(market.book.asks)

    def snapshot(self) -> object | None:
        bids, asks = book_levels(self._market, 10_000)
        return {
            "type": "snapshot",
            **self._head(),
            "bids": [["new", *level] for level in bids],
            "asks": [["new", *level] for level in asks],
        }

    def next_payloads(self) -> Iterable[object]:
        if self._market.book.version == self._version:
            return ()
        change = self._market.book.changes_since(self._version)
        record = {
            "type": "change",
            **self._head(),
            "prev_change_id": self._change_id(self._version),
            "bids": self._side_actions(change.bids, self._bids),
            "asks": self._side_actions(change.asks, self._asks),
        }
        self._version = change.version
        return (record,)

    def _head(self) -> Record:
        return {
            "timestamp": self._currency.now_ns // MILLISECOND,
            "instrument_name": self._market.spec.symbol,
            "change_id": self._change_id(self._market.book.version),
        }

    def _side_actions(self, change: dict[int, float], known: set[int]) -> list[list[Any]]:
        """One side's actions; `known` are the prices that subscribers have."""
        rows: list[list[Any]] = []
        for ticks, size in change.items():
            if size:
                action = "change" if ticks in known else "new"
                rows.append(
                    [action, records.ladder_price(self._market, ticks), records.contract_amount(self._market, size)]
                )
                known.add(ticks)
            elif ticks in known:
                rows.append(["delete", records.ladder_price(self._market, ticks), 0.0])
                known.discard(ticks)
        return rows

    @staticmethod
    def _change_id(version: int) -> int:
        return 193_809_000_000 + 37 * version  # shared between instruments on the venue, so it jumps


class PlatformStateTopic(Topic):
    """`platform_state`: mostly noise about other indices, which clients must not take for an outage."""

    def __init__(self) -> None:
        super().__init__(4)
        self._update_count = 0

    def next_payloads(self) -> Iterable[object]:
        self._update_count += 1
        return (
            {"price_index": _NOISE_INDICES[self._update_count % len(_NOISE_INDICES)], "locked": False, "reasons": []},
        )


def _unchanged(record: Record, last_record: Record) -> bool:
    return (
        record == last_record | {"timestamp": record.get("timestamp")}
        if "timestamp" in record
        else record == last_record
    )
