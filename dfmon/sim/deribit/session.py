"""One Deribit connection, and the credits its requests cost (venues.md 1.5): pools that refill with time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from websockets.asyncio.server import ServerConnection

from dfmon.sim.transport import Session


@dataclass(frozen=True, slots=True)
class Pool:
    """Credits a request costs, credits held at most, credits that come back per second."""

    cost: float
    most: float
    per_s: float


_OTHER: Final = Pool(500.0, 50_000.0, 10_000.0)
_SUBSCRIBE: Final = Pool(3_000.0, 30_000.0, 10_000.0)
_INSTRUMENTS: Final = Pool(10_000.0, 500_000.0, 10_000.0)
_INSTRUMENTS_WS: Final = Pool(10_000.0, 50_000.0, 1_000.0)  # June 2025: one per 10 s, five at once


class DeribitSession(Session):
    """One websocket client: its channels, heartbeat and request credits."""

    def __init__(self, ws: ServerConnection, hurry: float) -> None:
        super().__init__(ws)
        self.channels: set[str] = set()
        self.interval = 0.0
        self.next_test = 0.0
        self.unanswered: float | None = None
        self.credits = Credits(self.heard, hurry, websocket=True)


class Credits:
    """What one client may still ask. `hurry` speeds up the refill as it does every timer."""

    def __init__(self, now: float, hurry: float, *, websocket: bool) -> None:
        self._hurry = hurry
        instruments = _INSTRUMENTS_WS if websocket else _INSTRUMENTS
        self._special = {"public/get_instruments": instruments, "public/subscribe": _SUBSCRIBE}
        self._left = {pool: (pool.most, now) for pool in (_OTHER, *self._special.values())}

    def spend(self, method: str, now: float) -> bool:
        """Take the credits of one request; false where they do not suffice."""
        pool = self._special.get(method, _OTHER)
        left, at = self._left[pool]
        left = min(pool.most, left + (now - at) * pool.per_s * self._hurry)
        enough = left >= pool.cost
        self._left[pool] = (left - pool.cost if enough else left, now)
        return enough
