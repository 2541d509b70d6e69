"""One Binance stream: its kind, which decides the route, its interval, and what it sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dfmon.sim.market.currency_market import MarketEvents

PayloadBuilder = Callable[[MarketEvents, int], Sequence[object]]  # events and now in ms, to payloads


@dataclass(frozen=True, slots=True)
class Stream:
    """`interval_ticks` counts ticks of 100 ms between updates."""

    kind: str
    interval_ticks: int
    next_payloads: PayloadBuilder
