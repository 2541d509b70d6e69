"""The line of order flow: what takers and quotes of the hedging markets did, beside the model of hedging."""

from __future__ import annotations

from dfmon.model.micro_structure import Micro
from dfmon.tui.render.formatting import NOT_AVAILABLE, format_usd

MINUTES = 15


def order_flow_text(micro: Micro) -> str:
    """Takers, order-flow imbalance, quotes, Kyle's lambda, impact and open interest in one line."""
    window = micro.window(MINUTES)
    parts: list[str] = []
    if window is None or window.taker_buy_usd is None or window.taker_sell_usd is None:
        parts.append(f"{MINUTES} min: no prints of the hedging markets")
    else:
        partial = f", {window.covered:.0%} seen" if window.covered < 0.95 else ""
        net = window.taker_buy_usd - window.taker_sell_usd
        gross = window.taker_buy_usd + window.taker_sell_usd
        parts.append(f"{MINUTES} min{partial}: takers {format_usd(net)} net of {format_usd(gross, plus=False)}")
        parts.append(f"order-flow imbalance {_usd(window.imbalance_usd)}")
        parts.append(f"open interest {_usd(window.open_interest_change_usd)}")
        if window.sign_autocorrelation is not None:
            parts.append(f"sign autocorrelation {window.sign_autocorrelation:+.2f}")
    if micro.spread_bps is not None and micro.queue_imbalance is not None and micro.micro_price_bps is not None:
        parts.append(f"spread {micro.spread_bps:.2f} bp")
        parts.append(f"queues {micro.queue_imbalance:+.2f}")
        parts.append(f"micro-price {micro.micro_price_bps:+.3f} bp")
    if micro.kyle is not None:
        kyle = micro.kyle
        parts.append(f"lambda {kyle.value:.2f} bp per 1M ({kyle.lo:.2f} to {kyle.hi:.2f}, {kyle.minutes} min)")
    if micro.impact is not None:
        low, high = sorted((micro.impact.linear, micro.impact.sqrt))
        parts.append(f"hedge of 1 % moves {low:.3f} to {high:.3f} % ({micro.impact.law} law {micro.impact.value:.3f})")
    if micro.missing:
        parts.append(f"no prints now from {', '.join(micro.missing)}")
    return ", ".join((*parts, *filter(None, (micro.disagreement,))))


def _usd(value: float | None) -> str:
    return NOT_AVAILABLE if value is None else format_usd(value)
