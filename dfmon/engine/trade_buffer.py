"""Option prints between two ticks: collected one by one, handed to `core` as columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dfmon.model.events import OptionTrade
from dfmon.model.frames import TradeColumns, TradeHistory
from dfmon.model.keys import stable_key


def is_valid_trade(trade: OptionTrade) -> bool:
    """True for a print with a valid size, side and price."""
    return 0.0 < trade.size < math.inf and trade.side in (1, -1) and math.isfinite(trade.price)


def trade_columns(rows: Sequence[int], trades: Sequence[OptionTrade]) -> TradeColumns:
    """Prints with the rows of their options as read-only columns, in the order given."""
    columns = TradeColumns(
        uid=np.array(rows, np.int64),
        seq=np.array([t.seq for t in trades], np.int64),
        key=np.array([stable_key(t.event_id or t.trade_id) for t in trades], np.uint64),
        exch_ns=np.array([t.exch_ns for t in trades], np.int64),
        side=np.array([t.side for t in trades], np.int8),
        size=np.array([t.size for t in trades], np.float64),
        price=np.array([t.price for t in trades], np.float64),
        sigma=np.array([t.iv for t in trades], np.float64),
        block=np.array([t.block for t in trades], np.bool_),
        rfq=np.array([t.rfq for t in trades], np.bool_),
        combo=np.array([t.combo for t in trades], np.bool_),
        liquidation=tuple(t.liquidation for t in trades),
    )
    for name in columns.__slots__:
        column = getattr(columns, name)
        if isinstance(column, np.ndarray):
            column.flags.writeable = False
    return columns


class TradeBuffer:
    """Prints of one underlying since the last computed tick.

    A tick takes them with `drain`. `commit_drained` discards them once it was computed; `restore_drained` returns
    them after a failure, ahead of newer ones.
    """

    def __init__(self) -> None:
        self._pending, self._in_flight = _TradeBatch(), _TradeBatch()

    def add(self, row: int, trade: OptionTrade) -> None:
        self._pending.rows.append(row)
        self._pending.trades.append(trade)

    def add_history(self, history: TradeHistory) -> None:
        """Adds a full history, which includes the earlier prints of its option."""
        self._pending.trade_histories.append(history)

    def add_lost(self, row: int, count: int) -> None:
        self._pending.lost_counts[row] += count

    def drain(self) -> tuple[TradeColumns, tuple[TradeHistory, ...], dict[int, int]]:
        """Prints, full histories, and lost prints by row. A print in a history is not repeated."""
        in_flight, self._pending = self._pending, _TradeBatch()
        self._in_flight = in_flight
        rows, trades = in_flight.rows, in_flight.trades
        if in_flight.trade_histories:
            covered_seq = {
                history.uid: int(history.trades.seq[-1]) if history.trades.seq.size else 0
                for history in in_flight.trade_histories
            }
            uncovered = [index for index, row in enumerate(rows) if trades[index].seq > covered_seq.get(row, -1)]
            rows, trades = [rows[index] for index in uncovered], [trades[index] for index in uncovered]
        return trade_columns(rows, trades), tuple(in_flight.trade_histories), dict(in_flight.lost_counts)

    def commit_drained(self) -> None:
        self._in_flight = _TradeBatch()

    def restore_drained(self) -> None:
        in_flight, pending, self._in_flight = self._in_flight, self._pending, _TradeBatch()
        in_flight.rows += pending.rows
        in_flight.trades += pending.trades
        in_flight.trade_histories += pending.trade_histories
        in_flight.lost_counts += pending.lost_counts
        self._pending = in_flight


@dataclass(slots=True)
class _TradeBatch:
    rows: list[int] = field(default_factory=list)
    trades: list[OptionTrade] = field(default_factory=list)
    trade_histories: list[TradeHistory] = field(default_factory=list)
    lost_counts: Counter[int] = field(default_factory=Counter)
