"""State that all options of one underlying share: index, futures, volatility index, settlement, pending prints.

`chain` has one for each underlying and freezes it together with the rows of its options.
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
    """Newest values by the venue's time. One writer, the chain."""

    def __init__(self) -> None:
        self.spot, self.spot_ns = NAN, 0
        self.vol_index = NAN
        self.delivery_average = NAN
        self.history_since_ns = NO_HISTORY_NS  # options listed before have no full history
        self.futures: dict[int, tuple[float, int]] = {}  # expiry_ns -> (mark USD, venue time)
        self.trades = TradeBuffer()
        self.block_rfq_checks: Counter[bool] = Counter()  # block requests by whether their prints matched
        self.rejected: Counter[str] = Counter()
        self.live_rows: I64 | None = None  # cached rows; None after the listing changed

    def apply_event(self, event: UnderlyingEvent) -> None:
        """Applies one event of this underlying."""
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
        """Forward of each row: the dated future if its mark is newer, else the last reported one, scaled by the index.

        Scaling is proportional and needs the index at the time of that forward; a recorded board does not include it,
        so its forwards stay as recorded.
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
        """Counts of rejected data since the last tick, by kind."""
        rejected, self.rejected = self.rejected, Counter()
        return tuple(sorted(rejected.items()))
