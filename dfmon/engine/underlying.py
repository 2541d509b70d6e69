"""State that all options of one underlying share: index, futures, volatility index, settlement, pending prints.

`chain` has one for each underlying and freezes it together with the rows of its options.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final, NamedTuple

import numpy as np

from dfmon.engine.sweeps import SweepLog, sweep_time
from dfmon.engine.trade_buffer import TradeBuffer
from dfmon.model.events import (
    BlockRfqChecked,
    FutureTicker,
    IndexPrice,
    SettlementPrice,
    TradeHistoryComplete,
    VolIndex,
)
from dfmon.model.frames import F64, I64, ReceiveTimes
from dfmon.model.units import NAN

NO_HISTORY_NS: Final = 2**63 - 1
UnderlyingEvent = FutureTicker | TradeHistoryComplete | IndexPrice | BlockRfqChecked | SettlementPrice | VolIndex


class _Forward(NamedTuple):
    mark: float  # USD
    exch_ns: int
    recv_ns: int


class UnderlyingState:
    """Newest values by the venue's time. One writer, the chain."""

    def __init__(self) -> None:
        self.spot, self.spot_ns, self.spot_recv_ns = NAN, 0, 0
        self.vol_index = NAN
        self.delivery_average = NAN
        self.history_since_ns = NO_HISTORY_NS  # options listed before have no full history
        self.futures: dict[int, _Forward] = {}  # by expiry_ns
        self.sweeps = SweepLog()
        self.trades = TradeBuffer()
        self.block_rfq_checks: Counter[bool] = Counter()  # block requests by whether their prints matched
        self.rejected: Counter[str] = Counter()
        self.unlisted: dict[str, int] = {}  # expiry of options that the newest listing lacks
        self.live_rows: I64 | None = None  # cached rows; None after the listing changed

    def apply_event(self, event: UnderlyingEvent, recv_ns: int) -> None:
        """Applies one event of this underlying."""
        match event:
            case IndexPrice() if 0.0 < event.price < math.inf and event.exch_ns >= self.spot_ns:
                if event.exch_ns > self.spot_ns:  # the same time again is no new data
                    self.spot_recv_ns = recv_ns
                self.spot, self.spot_ns = event.price, event.exch_ns
            case FutureTicker() if event.expiry_ns and 0.0 < event.mark < math.inf:
                before = self.futures.get(event.expiry_ns, _Forward(NAN, 0, 0))
                if event.exch_ns >= before.exch_ns:
                    received_ns = recv_ns if event.exch_ns > before.exch_ns else before.recv_ns
                    self.futures[event.expiry_ns] = _Forward(event.mark, event.exch_ns, received_ns)
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
        for expiry_ns, (mark, mark_ns, _) in self.futures.items():
            newer = (time["expiry_ns"] == expiry_ns) & ((time["ticker_ns"] <= mark_ns) | ~np.isfinite(forward))
            forward[newer] = mark
        return forward

    def receive_times(self, time: dict[str, I64], marks_ns: I64, open_interest: F64) -> ReceiveTimes:
        """Our time of receipt of each input of the board; `marks_ns` are those of the mark of each row."""
        return ReceiveTimes(
            spot_ns=self.spot_recv_ns,
            marks_ns=sweep_time(marks_ns, open_interest),
            forwards_ns=sweep_time(self._forwards_received(time), open_interest),
            open_interest_ns=sweep_time(time["ticker_recv_ns"], open_interest),
        )

    def absent_rows(self, time: dict[str, I64], open_interest: F64, ts_ns: int) -> tuple[int, ...]:
        """Options of which the last ten sweeps brought no data. Called at every tick."""
        received_ns = np.maximum(time["ticker_recv_ns"], time["mark_recv_ns"])
        return tuple(self.sweeps.absent_rows(received_ns, time["seen_ns"], open_interest, ts_ns).tolist())

    def _forwards_received(self, time: dict[str, I64]) -> I64:
        """Our time of receipt of the forward of each row: by its ticker, or by the dated future of its expiry."""
        received_ns = time["ticker_recv_ns"].copy()
        for expiry_ns, future in self.futures.items():
            rows = time["expiry_ns"] == expiry_ns
            received_ns[rows] = np.maximum(received_ns[rows], future.recv_ns)
        return received_ns

    def limit_times(self, now_ns: int) -> None:
        """No data were received after `now_ns`: where our clock was set back, their age counts from now."""
        self.spot_recv_ns = min(self.spot_recv_ns, now_ns)
        for expiry_ns, future in self.futures.items():
            if future.recv_ns > now_ns:
                self.futures[expiry_ns] = future._replace(recv_ns=now_ns)

    def unlisted_names(self, venue_ns: int) -> tuple[str, ...]:
        """Options that the newest listing lacks although they have not expired by `venue_ns`."""
        self.unlisted = {name: expiry_ns for name, expiry_ns in self.unlisted.items() if expiry_ns > venue_ns}
        return tuple(self.unlisted)

    def take_rejected(self) -> tuple[tuple[str, int], ...]:
        """Counts of rejected data since the last tick, by kind."""
        rejected, self.rejected = self.rejected, Counter()
        return tuple(sorted(rejected.items()))
