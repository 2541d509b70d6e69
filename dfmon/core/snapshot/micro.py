"""Micro-structure of the snapshot, and a sentence for each number of it that is missing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from dfmon.core.scenario.flow_disagreement import MINUTES, flow_disagreement
from dfmon.core.scenario.micro_structure import MIN_LAMBDA_MINUTES, FlowWindow, MicroView, QuoteState
from dfmon.core.scenario.tick_result import TickResult
from dfmon.model.events import Market
from dfmon.model.micro_structure import ImpactRow, KyleRow, Micro, MicroQuotes, MicroWindow, Perpetual
from dfmon.model.snapshot import Metric

_BPS_PER_MILLION: Final = 1e4 * 1e6
_DEPTH_RANGE: Final = 0.01


def build_micro(tick: TickResult, hpp: Metric) -> Micro:
    """Micro-structure of this tick beside the hedge pressure of one position model."""
    view = tick.micro
    has_prints = bool(view.sources or view.missing)
    band = None if hpp.lo is None or hpp.hi is None else (hpp.lo, hpp.hi)
    return Micro(
        windows=tuple(_window(window) for window in view.windows) if has_prints else (),
        spread_bps=_mean(tick, [quotes.spread_bps for quotes in view.quotes]),
        queue_imbalance=_mean(tick, [quotes.queue_imbalance for quotes in view.quotes]),
        micro_price_bps=_mean(tick, [(quotes.micro_price / quotes.mid - 1.0) * 1e4 for quotes in view.quotes]),
        quotes=tuple(_quotes(quotes) for quotes in view.quotes),
        perpetuals=_perpetuals(tick),
        kyle=_kyle(view, tick.liquidity.depth_usd),
        impact=_impact(tick),
        sources=view.sources,
        missing=view.missing,
        disagreement=flow_disagreement(hpp.value, view.window(MINUTES), band) or "",
    )


def _window(window: FlowWindow) -> MicroWindow:
    return MicroWindow(
        minutes=window.minutes,
        covered=window.covered,
        imbalance_usd=window.imbalance_usd,
        taker_buy_usd=window.buy_usd,
        taker_sell_usd=window.sell_usd,
        sign_autocorrelation=window.sign_autocorrelation,
        long_liquidated_usd=window.long_liquidated_usd,
        short_liquidated_usd=window.short_liquidated_usd,
        open_interest_change_usd=window.open_interest_change_usd,
    )


def _quotes(quotes: QuoteState) -> MicroQuotes:
    return MicroQuotes(
        quotes.venue, str(quotes.market), quotes.mid, quotes.spread_bps, quotes.queue_imbalance, quotes.micro_price
    )


def _mean(tick: TickResult, values: Sequence[float]) -> float | None:
    """Mean over the books, weighted by 24 h volume where every one of them reports it."""
    if not values:
        return None
    volumes = {(row.venue, row.market): row.volume_usd for row in tick.market.markets}
    weights = [volumes[quotes.venue, quotes.market] for quotes in tick.micro.quotes]
    if not all(weight > 0.0 for weight in weights):
        weights = [1.0] * len(values)
    return math.fsum(w * v for w, v in zip(weights, values)) / math.fsum(weights)


def _perpetuals(tick: TickResult) -> tuple[Perpetual, ...]:
    return tuple(
        Perpetual(
            row.venue,
            str(row.market),
            row.funding_8h if math.isfinite(row.funding_8h) else None,
            row.open_interest_usd if math.isfinite(row.open_interest_usd) else None,
        )
        for row in tick.market.markets
        if row.market is not Market.SPOT
    )


def _kyle(view: MicroView, depth_usd: float | None) -> KyleRow | None:
    kyle = view.kyle
    if kyle is None:
        return None
    return KyleRow(
        value=kyle.value * _BPS_PER_MILLION,
        lo=kyle.lo * _BPS_PER_MILLION,
        hi=kyle.hi * _BPS_PER_MILLION,
        minutes=kyle.minutes,
        of_depth=kyle.value / (_DEPTH_RANGE / depth_usd) if depth_usd else None,
    )


def _impact(tick: TickResult) -> ImpactRow | None:
    impact = tick.impact(tick.exposure.totals.ngi) if tick.has_book else None
    if impact is None:
        return None
    law = tick.impact_law
    return ImpactRow(
        impact.usd, law, 100.0 * impact.by_law(law), 100.0 * impact.linear, 100.0 * impact.sqrt, impact.crossing_usd
    )


def missing_micro_reasons(tick: TickResult, micro: Micro) -> Iterator[str]:
    """A sentence for each null below `micro`."""
    if not micro.quotes:
        yield "micro.spread_bps, micro.queue_imbalance, micro.micro_price_bps: no fresh book"
    if micro.kyle is None:
        minutes = f"{tick.micro.kyle_minutes} of {MIN_LAMBDA_MINUTES} minutes of spot and taker flow"
        yield (
            f"micro.kyle: {minutes}" if tick.micro.kyle_minutes < MIN_LAMBDA_MINUTES else "micro.kyle: flow is constant"
        )
    elif micro.kyle.of_depth is None:
        yield "micro.kyle.of_depth: no venue depth"
    if micro.impact is None:
        yield "micro.impact: needs positions, venue depth, venue volume and volatility"
    if any(row.funding_8h is None or row.open_interest_usd is None for row in micro.perpetuals):
        yield "micro.perpetuals: funding or open interest not reported yet"
    if any(window.sign_autocorrelation is None for window in micro.windows):
        yield "sign_autocorrelation: too few prints in a window"
    if any(window.open_interest_change_usd is None for window in micro.windows):
        yield "open_interest_change_usd: no open interest at the beginning of a window"
    if any(window.imbalance_usd is None for window in micro.windows):
        yield "micro.windows: nothing was received within a window"
    if micro.missing:
        yield f"micro.windows, partial: no prints from {', '.join(micro.missing)} now"
