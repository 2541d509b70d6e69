"""Inputs shared by all options of one underlying: index, futures, volatility index, settlement, and the prints of a
tick.

`chain` has one of these for each underlying that is followed, and freezes it together with the rows of its options.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

import numpy as np

from dfmon.engine.trade_buffer import TradeBuffer
from dfmon.model.events import (
    BlockRfqChecked,
    FutureTicker,
    IndexPrice,
    SettlementPrice,
    TradeHistoryComplete,
    VolIndex,
)
from dfmon.model.frames import F64, I64
from dfmon.model.units import NAN

NO_HISTORY_NS: Final = 2**63 - 1
UnderlyingEvent = FutureTicker | TradeHistoryComplete | IndexPrice | BlockRfqChecked | SettlementPrice | VolIndex


class UnderlyingState:
    """The newest word on each. One writer, the chain."""

    def __init__(self) -> None:
        self.spot, self.spot_ns = NAN, 0
        self.vol_index = NAN
        self.delivery_average = NAN
        self.history_since_ns = NO_HISTORY_NS  # prints before this were not seen, unless we watched
        self.futures: dict[int, tuple[float, int]] = {}  # expiry_ns -> (mark USD, venue time)
        self.trades = TradeBuffer()
        self.block_rfq_checks: Counter[bool] = Counter()  # block requests that matched their prints, and that did not
        self.rejected: Counter[str] = Counter()
        self.live_rows: I64 | None = None  # cached rows; None after the listing changed

    def apply_event(self, event: UnderlyingEvent) -> None:
        """Store one event of this underlying."""
        match event:
            case IndexPrice() if 0.0 < event.price < math.inf and event.exch_ns >= self.spot_ns:
                self.spot, self.spot_ns = event.price, event.exch_ns
            case FutureTicker() if event.expiry_ns and 0.0 < event.mark < math.inf:
                if event.exch_ns >= self.futures.get(event.expiry_ns, (NAN, 0))[1]:
                    self.futures[event.expiry_ns] = (event.mark, event.exch_ns)
            case VolIndex():
                self.vol_index = event.value
            case SettlementPrice():
                # the venue publishes an estimate all day; it is the running average only inside the last half hour
                self.delivery_average = event.price if event.remaining_s <= 1800.0 else NAN
            case TradeHistoryComplete():
                self.history_since_ns = min(self.history_since_ns, event.since_ns)
            case BlockRfqChecked():
                self.block_rfq_checks[event.matched] += 1

    def forwards(self, value: dict[str, F64], time: dict[str, I64]) -> F64:
        """Forward of each row: the dated future if its mark is newer, else the last one said, carried by the index.

        Carrying is proportional and needs the index of the moment at which the forward was said; a recorded board
        does not give that, so its forwards stay as they were written.
        """
        forward = value["forward"].copy()
        if self.spot > 0.0:
            has_index = value["forward_index"] > 0.0
            forward[has_index] *= self.spot / value["forward_index"][has_index]
        for expiry_ns, (mark, mark_ns) in self.futures.items():
            newer = (time["expiry_ns"] == expiry_ns) & ((time["ticker_ns"] <= mark_ns) | ~np.isfinite(forward))
            forward[newer] = mark
        return forward

    def take_rejected(self) -> tuple[tuple[str, int], ...]:
        """Counts of events that could not be used since the last tick, by kind."""
        rejected, self.rejected = self.rejected, Counter()
        return tuple(sorted(rejected.items()))
