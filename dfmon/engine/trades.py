"""Option prints between two ticks: collected one by one, handed to `core` as columns."""

from __future__ import annotations

import numpy as np

from dfmon.model.events import OptionTrade
from dfmon.model.frames import TradeColumns


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
        groups: dict[str, int] = {}
        group = [groups.setdefault(t.event_id or f"#{i}", len(groups)) for i, t in enumerate(trades)]
        columns = TradeColumns(
            uid=np.array(rows, np.int64),
            exch_ns=np.array([t.exch_ns for t in trades], np.int64),
            side=np.array([t.side for t in trades], np.int8),
            size=np.array([t.size for t in trades], np.float64),
            price=np.array([t.price for t in trades], np.float64),
            sigma=np.array([t.iv for t in trades], np.float64),
            block=np.array([t.block for t in trades], np.bool_),
            rfq=np.array([t.rfq for t in trades], np.bool_),
            combo=np.array([t.combo for t in trades], np.bool_),
            liquidation=tuple(t.liquidation for t in trades),
            group=np.array(group, np.int64),
        )
        for name in columns.__slots__:
            column = getattr(columns, name)
            if isinstance(column, np.ndarray):
                column.flags.writeable = False
        return columns
