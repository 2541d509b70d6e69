"""Option prints between two ticks: collected one by one, handed to `core` as columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dfmon.model.events import OptionTrade
from dfmon.model.frames import Life, TradeColumns
from dfmon.model.keys import stable_key


def sound(trade: OptionTrade) -> bool:
    """Whether a print can be counted: a size, a side and a price."""
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
    """What the prints of one underlying told since the last tick that could be computed.

    A tick takes what is here with `drain`; `confirm` says that it was computed, `put_back` that it failed: then the
    next tick gets the same again, before what came since.
    """

    def __init__(self) -> None:
        self._new, self._taken = _Told(), _Told()

    def add(self, row: int, trade: OptionTrade) -> None:
        self._new.rows.append(row)
        self._new.trades.append(trade)

    def live(self, life: Life) -> None:
        """A whole history: it holds the prints of its option that were added before it."""
        self._new.lives.append(life)

    def lose(self, row: int, count: int) -> None:
        self._new.lost[row] += count

    def drain(self) -> tuple[TradeColumns, tuple[Life, ...], dict[int, int]]:
        """Prints, whole histories, and lost prints by row. A print that a history holds is in the history only."""
        taken, self._new = self._new, _Told()
        self._taken = taken
        rows, trades = taken.rows, taken.trades
        if taken.lives:
            held = {life.uid: int(life.trades.seq[-1]) if life.trades.seq.size else 0 for life in taken.lives}
            left = [place for place, row in enumerate(rows) if trades[place].seq > held.get(row, -1)]
            rows, trades = [rows[place] for place in left], [trades[place] for place in left]
        return trade_columns(rows, trades), tuple(taken.lives), dict(taken.lost)

    def confirm(self) -> None:
        self._taken = _Told()

    def put_back(self) -> None:
        taken, new, self._taken = self._taken, self._new, _Told()
        taken.rows += new.rows
        taken.trades += new.trades
        taken.lives += new.lives
        taken.lost += new.lost
        self._new = taken


@dataclass(slots=True)
class _Told:
    rows: list[int] = field(default_factory=list)
    trades: list[OptionTrade] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    lost: Counter[int] = field(default_factory=Counter)
