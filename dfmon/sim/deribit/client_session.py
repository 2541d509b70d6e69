"""One Deribit connection, and the credits its requests cost (venues.md 1.5): pools that refill with time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from websockets.asyncio.server import ServerConnection

from dfmon.sim.transport import ClientSession


@dataclass(frozen=True, slots=True)
class CreditPool:
    """Credits: cost of a request, capacity, refill per second."""

    cost: float
    max_credits: float
    refill_per_s: float


_DEFAULT_POOL: Final = CreditPool(500.0, 50_000.0, 10_000.0)
_SUBSCRIBE_POOL: Final = CreditPool(3_000.0, 30_000.0, 10_000.0)
_INSTRUMENTS_POOL: Final = CreditPool(10_000.0, 500_000.0, 10_000.0)
_INSTRUMENTS_POOL_WS: Final = CreditPool(10_000.0, 50_000.0, 1_000.0)  # June 2025: one per 10 s, five at once


class DeribitSession(ClientSession):
    """One websocket client: its channels, heartbeat and request credits."""

    def __init__(self, ws: ServerConnection, timer_speedup: float) -> None:
        super().__init__(ws)
        self.channels: set[str] = set()
        self.heartbeat_interval = 0.0
        self.next_test_at = 0.0
        self.pending_test_at: float | None = None
        self.credits = RequestCredits(self.last_received_at, timer_speedup, websocket=True)


class RequestCredits:
    """The remaining credits of one client. `timer_speedup` multiplies the refill."""

    def __init__(self, now: float, timer_speedup: float, *, websocket: bool) -> None:
        self._timer_speedup = timer_speedup
        instruments = _INSTRUMENTS_POOL_WS if websocket else _INSTRUMENTS_POOL
        self._method_pools = {"public/get_instruments": instruments, "public/subscribe": _SUBSCRIBE_POOL}
        self._balances = {pool: (pool.max_credits, now) for pool in (_DEFAULT_POOL, *self._method_pools.values())}

    def consume(self, method: str, now: float) -> bool:
        """Spend the credits of one request; false where they do not suffice."""
        pool = self._method_pools.get(method, _DEFAULT_POOL)
        balance, updated_at = self._balances[pool]
        balance = min(pool.max_credits, balance + (now - updated_at) * pool.refill_per_s * self._timer_speedup)
        sufficient = balance >= pool.cost
        self._balances[pool] = (balance - pool.cost if sufficient else balance, now)
        return sufficient
