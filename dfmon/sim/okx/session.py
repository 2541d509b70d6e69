"""One OKX connection with its limits, and one channel with its listeners."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from websockets.asyncio.server import ServerConnection

from dfmon.sim.market.linear import LinearMarket
from dfmon.sim.okx.records import Record
from dfmon.sim.transport import Session, encode

Key = tuple[str, str]  # channel, and instId or instType

_OPERATIONS: Final = 480  # per hour and connection


class Feed:
    """One subscribed channel and who listens."""

    def __init__(self, arg: Record, market: LinearMarket | None) -> None:
        self.arg, self.market = arg, market
        self.listeners: set[Session] = set()
        self.version = market.book.version if market else 0
        self.shift = 0  # sequence ids are the book's versions, less this
        self.seq = self.version
        self.pushed = asyncio.get_running_loop().time()
        self.sent: object = None

    def frame(self, data: list[Record], **extra: object) -> bytes:
        """One push."""
        return encode({"arg": self.arg, **extra, "data": data})


class OkxSession(Session):
    """One client."""

    def __init__(self, ws: ServerConnection, number: int) -> None:
        super().__init__(ws, too_slow=(4005, "Write buffer is full"))
        self.connection = f"{0xA4D30000 + number:08x}"
        self.keys: set[Key] = set()
        self.closing: float | None = None  # when a notice of the end becomes true
        self._operations: deque[float] = deque(maxlen=_OPERATIONS)

    def within_limit(self, now: float, hurry: float) -> bool:
        """Count one subscription or its end: 480 an hour."""
        if len(self._operations) == _OPERATIONS and now - self._operations[0] < 3_600.0 / hurry:
            return False
        self._operations.append(now)
        return True
