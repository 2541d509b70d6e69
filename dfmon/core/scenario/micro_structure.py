"""Micro-structure of the hedging markets: order flow over 1, 15 and 60 minutes, quotes now, and Kyle's lambda.

The engine's running sums are carried over sessions here, so the windows survive a restart and see its gap as minutes
that nothing covers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.scenario.kyle_lambda import KyleLambda, kyle_lambda
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.model.events import Market
from dfmon.model.frames import F64, MarketFrame, VenueFlow, VenueMarket
from dfmon.model.units import HOUR, MINUTE, SECOND

WINDOW_MINUTES: Final = (1, 15, 60)
MIN_LAMBDA_MINUTES: Final = 60
MAX_LAMBDA_MINUTES: Final = 240
MIN_SIGN_PAIRS: Final = 30
_SAMPLE_NS: Final = 10 * SECOND
_MAX_TICK_GAP_NS: Final = 30 * SECOND  # between ticks farther apart nothing is covered
_MAX_PRINT_AGE_NS: Final = MINUTE
_MAX_BOOK_AGE_S: Final = 10.0
_MINUTE_LENGTHS_NS: Final = (50 * SECOND, 75 * SECOND)  # a sample of the regression is about a minute
_MAX_UNCOVERED_S: Final = 5.0  # of such a minute, over all markets

_SUMS: Final = (
    "imbalance_usd", "buy_usd", "sell_usd", "prints", "signs", "sign_pairs", "sign_products", "long_liquidated_usd",
    "short_liquidated_usd",
)  # fmt: skip
_SUM_FIELDS: Final = attrgetter(*_SUMS)
_COVERED, _OPEN_INTEREST = len(_SUMS), len(_SUMS) + 1
_SIGNS: Final = slice(_SUMS.index("prints"), _SUMS.index("sign_products") + 1)
_NO_SUMS: Final = (0.0,) * len(_SUMS)


@dataclass(frozen=True, slots=True)
class MarketFlow:
    """Order flow of one market over all sessions. `session_sums` are those of the engine since `since_ns`.

    `sums` are in the order of `_SUMS`; `covered_s` is the time during which prints arrived. Rows of `window` are sums,
    covered seconds, open interest USD (NaN where unknown).
    """

    venue: str
    market: Market
    since_ns: int
    session_sums: tuple[float, ...]
    sums: tuple[float, ...]
    covered_s: float
    last_print_ns: int
    window: RollingWindow


@dataclass(frozen=True, slots=True)
class MicroState:
    """State of all markets, carried from tick to tick.

    Rows of `minutes` are spot USD, signed taker USD so far, and the seconds that some market did not cover.
    """

    ts_ns: int
    markets: tuple[MarketFlow, ...]
    signed_usd: float
    uncovered_s: float
    minutes: RollingWindow
    kyle: KyleLambda | None
    kyle_minutes: int

    @classmethod
    def initial(cls) -> MicroState:
        minutes = RollingWindow.empty(MINUTE, MAX_LAMBDA_MINUTES + 1, 3)
        return cls(0, (), 0.0, 0.0, minutes, None, 0)


@dataclass(frozen=True, slots=True)
class FlowWindow:
    """Flow over the last `minutes`, USD, summed over the markets.

    `covered` is the share of the time, over the markets with prints, that was seen. The autocorrelation is that of
    consecutive taker signs of one market. None where nothing was observed.
    """

    minutes: int
    covered: float
    imbalance_usd: float | None
    buy_usd: float | None
    sell_usd: float | None
    sign_autocorrelation: float | None
    long_liquidated_usd: float | None
    short_liquidated_usd: float | None
    open_interest_change_usd: float | None


@dataclass(frozen=True, slots=True)
class QuoteState:
    """Best quotes of one market: spread in basis points of the mid, queue imbalance in [-1, 1], micro-price USD."""

    venue: str
    market: Market
    mid: float
    spread_bps: float
    queue_imbalance: float
    micro_price: float


@dataclass(frozen=True, slots=True)
class MicroView:
    """Results of a tick. `sources` are the markets whose prints arrive now, `missing` those whose prints stopped."""

    windows: tuple[FlowWindow, ...]
    quotes: tuple[QuoteState, ...]
    sources: tuple[str, ...]
    missing: tuple[str, ...]
    kyle: KyleLambda | None
    kyle_minutes: int

    def window(self, minutes: int) -> FlowWindow:
        return next(window for window in self.windows if window.minutes == minutes)


def update_micro(state: MicroState, market: MarketFrame, spot: float, ts_ns: int) -> tuple[MicroState, MicroView]:
    """The state after this tick, and what it shows.

    Units: USD. Domain: total; a tick that is not later than the last one covers no time.
    """
    elapsed_ns = ts_ns - state.ts_ns if state.ts_ns else 0
    known = {(flow.venue, flow.market): flow for flow in state.markets}
    flows: list[MarketFlow] = []
    signed, uncovered_s = state.signed_usd, state.uncovered_s
    for row in market.markets:
        previous = known.pop((row.venue, row.market), None) or _new_market(row)
        flow = _advance(previous, row, elapsed_ns, ts_ns)
        flows.append(flow)
        signed += flow.sums[1] - previous.sums[1] - flow.sums[2] + previous.sums[2]
        if _expects_prints(flow, ts_ns):
            uncovered_s += max(elapsed_ns / SECOND - (flow.covered_s - previous.covered_s), 0.0)
    flows += [flow for flow in known.values() if flow.window.times.size and ts_ns - int(flow.window.times[-1]) < HOUR]
    markets = tuple(sorted(flows, key=lambda flow: (flow.venue, flow.market)))
    minutes = state.minutes.push(ts_ns, (spot, signed, uncovered_s)) if spot > 0.0 else state.minutes
    kyle, count = (state.kyle, state.kyle_minutes) if minutes is state.minutes else _regress(minutes)
    updated = MicroState(ts_ns, markets, signed, uncovered_s, minutes, kyle, count)
    return updated, _view(updated, market.markets, ts_ns)


def _new_market(row: VenueMarket) -> MarketFlow:
    window = RollingWindow.empty(_SAMPLE_NS, HOUR // _SAMPLE_NS + 1, len(_SUMS) + 2)
    return MarketFlow(row.venue, row.market, row.flow.since_ns, _NO_SUMS, _NO_SUMS, 0.0, 0, window)


def _advance(flow: MarketFlow, row: VenueMarket, elapsed_ns: int, ts_ns: int) -> MarketFlow:
    """Adds what the engine counted since the last tick, or since its start if that is newer."""
    session_sums = _sums_of(row.flow)
    base = flow.session_sums if row.flow.since_ns == flow.since_ns else _NO_SUMS
    sums = tuple(total + now - before for total, now, before in zip(flow.sums, session_sums, base))
    prints_arrive = row.flow.last_print_ns > 0 and ts_ns - row.flow.last_print_ns <= _MAX_PRINT_AGE_NS
    covers = prints_arrive and 0 < elapsed_ns <= _MAX_TICK_GAP_NS
    covered_s = flow.covered_s + (elapsed_ns / SECOND if covers else 0.0)
    return replace(
        flow,
        since_ns=row.flow.since_ns,
        session_sums=session_sums,
        sums=sums,
        covered_s=covered_s,
        last_print_ns=max(flow.last_print_ns, row.flow.last_print_ns),
        window=flow.window.push(ts_ns, (*sums, covered_s, row.open_interest_usd)),
    )


def _sums_of(flow: VenueFlow) -> tuple[float, ...]:
    return tuple(map(float, _SUM_FIELDS(flow)))


def _expects_prints(flow: MarketFlow, ts_ns: int) -> bool:
    return flow.last_print_ns > 0 and ts_ns - flow.last_print_ns <= HOUR


def _regress(minutes: RollingWindow) -> tuple[KyleLambda | None, int]:
    """Lambda over the minutes that every market covered, and their number."""
    spot, signed, uncovered_s = minutes.values.T
    lengths = np.diff(minutes.times)
    usable = (lengths >= _MINUTE_LENGTHS_NS[0]) & (lengths <= _MINUTE_LENGTHS_NS[1])
    usable &= np.diff(uncovered_s) <= _MAX_UNCOVERED_S
    count = int(usable.sum())
    if count < MIN_LAMBDA_MINUTES:
        return None, count
    return kyle_lambda(np.diff(np.log(spot))[usable], np.diff(signed)[usable]), count


# ---- the view ------------------------------------------------------------------------------------------------------


def _view(state: MicroState, rows: tuple[VenueMarket, ...], ts_ns: int) -> MicroView:
    expected = np.array([_expects_prints(flow, ts_ns) for flow in state.markets], bool)
    names = [f"{flow.venue}.{flow.market}" for flow in state.markets]
    arrives = [ts_ns - flow.last_print_ns <= _MAX_PRINT_AGE_NS for flow in state.markets]
    changes = [_changes(flow, ts_ns) for flow in state.markets]
    return MicroView(
        windows=_windows(np.array(changes), expected) if changes else tuple(map(_empty_window, WINDOW_MINUTES)),
        quotes=tuple(quotes for row in rows if (quotes := quote_state(row)) is not None),
        sources=tuple(name for name, is_expected, now in zip(names, expected, arrives) if is_expected and now),
        missing=tuple(name for name, is_expected, now in zip(names, expected, arrives) if is_expected and not now),
        kyle=state.kyle,
        kyle_minutes=state.kyle_minutes,
    )


def quote_state(row: VenueMarket) -> QuoteState | None:
    """Spread, imbalance and micro-price of one book; None while it has no two-sided book that is fresh.

    The micro-price weighs each quote by the queue on the other side: the side with less in front moves first.

    Units: prices USD, sizes coins.
    """
    flow = row.flow
    if not flow.bid < flow.ask or row.book_age_s > _MAX_BOOK_AGE_S:
        return None
    mid, queues = (flow.bid + flow.ask) / 2.0, flow.bid_size + flow.ask_size
    return QuoteState(
        venue=row.venue,
        market=row.market,
        mid=mid,
        spread_bps=(flow.ask - flow.bid) / mid * 1e4,
        queue_imbalance=(flow.bid_size - flow.ask_size) / queues,
        micro_price=(flow.ask * flow.bid_size + flow.bid * flow.ask_size) / queues,
    )


def _changes(flow: MarketFlow, ts_ns: int) -> F64:
    """Change of the columns of one market since the oldest sample inside each window, NaN where there is none.

    Open interest needs a sample at the beginning of the window, and one of now.

    Shapes: (windows, columns).
    """
    times = flow.window.times
    starts = np.array([ts_ns - minutes * MINUTE for minutes in WINDOW_MINUTES])
    at = np.searchsorted(times, starts)
    found = at < times.size
    if not found.any():
        return np.full((starts.size, len(_SUMS) + 2), math.nan)
    oldest = np.minimum(at, times.size - 1)
    now = np.array((*flow.sums, flow.covered_s, flow.window.values[-1, _OPEN_INTEREST]))
    change = now - flow.window.values[oldest]
    change[~found] = math.nan
    change[times[oldest] - starts >= 2 * _SAMPLE_NS, _OPEN_INTEREST] = math.nan
    return change


def _windows(changes: F64, expected: NDArray[np.bool_]) -> tuple[FlowWindow, ...]:
    """Sums over the markets, (markets, windows, columns) -> windows."""
    open_interest = changes[:, :, _OPEN_INTEREST]
    changes = changes[expected]
    totals = np.nansum(changes, axis=0).tolist()
    seen = np.any(np.isfinite(changes[:, :, _COVERED]), axis=0)
    out = []
    for at, minutes in enumerate(WINDOW_MINUTES):
        total: dict[str, float | None] = dict(zip(_SUMS, totals[at])) if seen[at] else dict.fromkeys(_SUMS)
        reported = open_interest[np.isfinite(open_interest[:, at]), at]
        window = FlowWindow(
            minutes=minutes,
            covered=min(totals[at][_COVERED] / (60.0 * minutes * max(len(changes), 1)), 1.0),
            imbalance_usd=total["imbalance_usd"],
            buy_usd=total["buy_usd"],
            sell_usd=total["sell_usd"],
            sign_autocorrelation=_sign_autocorrelation(changes[:, at]),
            long_liquidated_usd=total["long_liquidated_usd"],
            short_liquidated_usd=total["short_liquidated_usd"],
            open_interest_change_usd=math.fsum(reported.tolist()) if reported.size else None,
        )
        out.append(window)
    return tuple(out)


def _empty_window(minutes: int) -> FlowWindow:
    return FlowWindow(minutes, 0.0, None, None, None, None, None, None, None)


def _sign_autocorrelation(changes: F64) -> float | None:
    """Correlation of a taker's sign with that of the one before, each market weighted by its pairs.

    Shapes: (markets, columns).
    """
    weighted = weight = 0.0
    for prints, signs, pairs, products in changes[:, _SIGNS].tolist():
        mean = signs / prints if prints > 0.0 else 1.0
        if pairs >= MIN_SIGN_PAIRS and abs(mean) < 1.0:
            weighted += pairs * (products / pairs - mean * mean) / (1.0 - mean * mean)
            weight += pairs
    return weighted / weight if weight else None
