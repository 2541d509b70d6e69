"""Disagreement between hedge pressure, which is a model, and order flow, which is observed."""

from __future__ import annotations

from typing import Final

from dfmon.core.scenario.micro_structure import FlowWindow

MINUTES: Final = 15  # the look-back of hedge pressure
MIN_NET_SHARE: Final = 0.1  # net over gross taker flow below which the flow has no direction
MIN_COVERED: Final = 0.5


def flow_side(window: FlowWindow) -> int:
    """+1 where the flow of the window bought, -1 where it sold, 0 where it had no direction.

    Taker flow and order-flow imbalance have to agree, and the net taker flow has to be a tenth of the gross.
    """
    buy, sell, imbalance = window.buy_usd, window.sell_usd, window.imbalance_usd
    if buy is None or sell is None or imbalance is None or window.covered < MIN_COVERED:
        return 0
    net = buy - sell
    if abs(net) < MIN_NET_SHARE * (buy + sell) or net * imbalance <= 0.0:
        return 0
    return 1 if net > 0.0 else -1


def flow_disagreement(hpp: float | None, window: FlowWindow, band: tuple[float, float] | None = None) -> str | None:
    """The sentence where hedge pressure and order flow point in opposite directions, else None.

    Units: HPP USD, + = dealers must sell. Domain: None also where the band of HPP holds 0 or the flow has no direction.
    """
    side = flow_side(window)
    if not hpp or not side or (band is not None and band[0] <= 0.0 <= band[1]) or hpp * side <= 0.0:
        return None
    pressure, flow = ("sell", "bought") if hpp > 0.0 else ("buy", "sold")
    net = abs((window.buy_usd or 0.0) - (window.sell_usd or 0.0))
    return f"hedge pressure is to {pressure}, order flow {flow} {net / 1e6:,.1f}M net in {window.minutes} min"
