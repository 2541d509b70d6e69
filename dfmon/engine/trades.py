"""Option prints between two ticks: collected one by one, handed to `core` as columns."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from dfmon.model.events import OptionTrade
from dfmon.model.frames import TradeColumns


def event_key(event: str) -> int:
    """64 bits that stand for the id of a print or of the event it belongs to, the same in every run."""
    return int.from_bytes(blake2b(event.encode(), digest_size=8).digest(), "little")


class TradeBuffer:
    """Prints of one underlying since the last `drain`, in the order in which they were applied."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._trades: list[OptionTrade] = []

    def add(self, row: int, trade: OptionTrade) -> None:
        self._rows.append(row)
        self._trades.append(trade)

    def drain(self) -> TradeColumns:
        """The prints as read-only columns; the buffer is empty afterwards."""
        rows, trades = self._rows, self._trades
        self._rows, self._trades = [], []
        columns = TradeColumns(
            uid=np.array(rows, np.int64),
            seq=np.array([t.seq for t in trades], np.int64),
            key=np.array([event_key(t.event_id or t.trade_id) for t in trades], np.uint64),
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
