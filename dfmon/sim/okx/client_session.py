"""One OKX connection with its limits, and one channel with its subscribers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from websockets.asyncio.server import ServerConnection

from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.okx.history import CandleFeed
from dfmon.sim.okx.records import Record
from dfmon.sim.transport import ClientSession, encode

ChannelKey = tuple[str, str]  # channel, and instId or instType

_MAX_OPERATIONS_PER_HOUR: Final = 480  # per hour and connection


class ChannelFeed:
    """A channel and its subscribers."""

    def __init__(self, arg: Record, market: LinearMarket | None) -> None:
        self.arg, self.market = arg, market
        self.subscribers: set[ClientSession] = set()
        self.version = market.book.version if market else 0
        self.sequence_offset = 0  # sequence ids are the book's versions, less this
        self.last_seq_id = self.version
        self.last_push_at = asyncio.get_running_loop().time()
        self.last_content: object = None
        self.candles: CandleFeed | None = None

    def push_frame(self, data: Sequence[object], **extra: object) -> bytes:
        """One push."""
        return encode({"arg": self.arg, **extra, "data": data})


class OkxSession(ClientSession):
    """One client."""

    def __init__(self, ws: ServerConnection, connection_number: int) -> None:
        super().__init__(ws, overflow_close=(4005, "Write buffer is full"))
        self.connection_id = f"{0xA4D30000 + connection_number:08x}"
        self.channel_keys: set[ChannelKey] = set()
        self.close_at: float | None = None  # when an announced close is due
        self._operation_times: deque[float] = deque(maxlen=_MAX_OPERATIONS_PER_HOUR)

    def try_acquire_operation(self, now: float, timer_speedup: float) -> bool:
        """Counts one subscribe or unsubscribe operation; false above 480 an hour."""
        if (
            len(self._operation_times) == _MAX_OPERATIONS_PER_HOUR
            and now - self._operation_times[0] < 3_600.0 / timer_speedup
        ):
            return False
        self._operation_times.append(now)
        return True
