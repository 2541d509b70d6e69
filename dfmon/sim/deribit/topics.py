"""The kinds of Deribit channels: a snapshot for a new subscriber, then updates on change.

A topic lives while somebody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.deribit import records
from dfmon.sim.deribit.records import Record
from dfmon.sim.deribit.rpc import levels
from dfmon.sim.market.currency import CurrencyMarket, Happenings
from dfmon.sim.market.linear import LinearMarket

SECOND_TICKS: Final = 10
_NOISE: Final = ("sol_usdc", "xrp_usdc", "avax_usdc", "trx_usdc", "ada_usdc")


class Topic:
    """One channel. `every` is the number of 100 ms ticks between updates."""

    def __init__(self, every: int = 1) -> None:
        self.every = every

    def snapshot(self) -> object | None:
        """What a new subscriber gets at once; most trade-like channels say nothing."""
        return None

    def collect(self, happened: Happenings) -> None:
        """See every tick's events, also between updates."""

    def update(self) -> Iterable[object]:
        """The payloads due now."""
        return ()


class Events(Topic):
    """Payloads made from events: trades in one array, everything else one notification each."""

    def __init__(self, make: Callable[[Happenings], list[Record]], every: int = 1, *, batch: bool = False) -> None:
        super().__init__(every)
        self._make, self._batch = make, batch
        self._pending: list[Record] = []

    def collect(self, happened: Happenings) -> None:
        self._pending += self._make(happened)

    def update(self) -> Iterable[object]:
        pending, self._pending = self._pending, []
        return ([pending] if pending else []) if self._batch else pending


class State(Topic):
    """A record sent whole whenever anything but its timestamp changed."""

    def __init__(self, read: Callable[[], Record | None], every: int) -> None:
        super().__init__(every)
        self.read = read
        self.last: Record = {}

    def snapshot(self) -> object | None:
        return self.read()

    def update(self) -> Iterable[object]:
        record = self.read()
        if record is None or _same(record, self.last):
            return ()
        self.last = record
        return (record,)


class Increments(State):
    """`incremental_ticker`: the whole record once, then only the fields that changed."""

    def snapshot(self) -> object | None:
        record = self.read()
        if record is None:
            return None
        if not self.last:
            self.last = record
        return {"type": "snapshot", **record}

    def update(self) -> Iterable[object]:
        record = self.read()
        if record is None or _same(record, self.last):
            return ()
        changed = {key: value for key, value in record.items() if self.last.get(key) != value}
        self.last = record
        return ({"type": "change", "instrument_name": record["instrument_name"], **changed},)


class MarkPrices(Topic):
    """`markprice.options`: the whole chain, then the rows that moved. Here, and only here, iv is a fraction."""

    def __init__(self, currency: CurrencyMarket) -> None:
        super().__init__(SECOND_TICKS)
        self._currency = currency
        self._last: dict[str, tuple[float, float]] = {}

    def snapshot(self) -> object | None:
        rows = self._rows()
        if not self._last:
            self._last = {name: (iv, mark) for name, iv, mark in rows}
        return self._records(rows)

    def update(self) -> Iterable[object]:
        rows = self._rows()
        changed = [row for row in rows if self._last.get(row[0]) != row[1:]]
        self._last = {name: (iv, mark) for name, iv, mark in rows}
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
        stamp = self._currency.now_ns // MILLISECOND
        return [{"timestamp": stamp, "iv": iv, "instrument_name": name, "mark_price": mark} for name, iv, mark in rows]


class BookChanges(Topic):
    """`book.X.100ms`: the whole book, then changes chained by `prev_change_id`."""

    def __init__(self, currency: CurrencyMarket, market: LinearMarket, every: int) -> None:
        super().__init__(every)
        self._currency, self._market = currency, market
        self._version = market.book.version
        self._bids, self._asks = set(market.book.bids), set(market.book.asks)

    def snapshot(self) -> object | None:
        bids, asks = levels(self._market, 10_000)
        return {
            "type": "snapshot",
            **self._head(),
            "bids": [["new", *level] for level in bids],
            "asks": [["new", *level] for level in asks],
        }

    def update(self) -> Iterable[object]:
        if self._market.book.version == self._version:
            return ()
        change = self._market.book.since(self._version)
        record = {
            "type": "change",
            **self._head(),
            "prev_change_id": self._change_id(self._version),
            "bids": self._side(change.bids, self._bids),
            "asks": self._side(change.asks, self._asks),
        }
        self._version = change.version
        return (record,)

    def _head(self) -> Record:
        return {
            "timestamp": self._currency.now_ns // MILLISECOND,
            "instrument_name": self._market.spec.symbol,
            "change_id": self._change_id(self._market.book.version),
        }

    def _side(self, change: dict[int, float], known: set[int]) -> list[list[Any]]:
        """One side's actions; `known` are the prices the listeners hold."""
        rows: list[list[Any]] = []
        for ticks, size in change.items():
            if size:
                action = "change" if ticks in known else "new"
                rows.append([action, records.price_of(self._market, ticks), records.usd_amount(self._market, size)])
                known.add(ticks)
            elif ticks in known:
                rows.append(["delete", records.price_of(self._market, ticks), 0.0])
                known.discard(ticks)
        return rows

    @staticmethod
    def _change_id(version: int) -> int:
        return 193_809_000_000 + 37 * version  # shared between instruments on the venue, so it jumps


class Platform(Topic):
    """`platform_state`: mostly noise about other indices, which clients must not take for an outage."""

    def __init__(self) -> None:
        super().__init__(4)
        self._n = 0

    def update(self) -> Iterable[object]:
        self._n += 1
        return ({"price_index": _NOISE[self._n % len(_NOISE)], "locked": False, "reasons": []},)


def _same(record: Record, last: Record) -> bool:
    return record == last | {"timestamp": record.get("timestamp")} if "timestamp" in record else record == last
