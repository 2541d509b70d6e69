"""The next settlement of a snapshot that was made in this process: delivery price, hedge to lift and odds by strike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from msgspec import UNSET

from dfmon.core.exposure.band_scales import BAND_SCALES
from dfmon.core.exposure.bands import NORMAL_95, bands_of_sums
from dfmon.core.pricing.settlement import WINDOW, delivery_price
from dfmon.core.scenario.tick_result import TickResult
from dfmon.core.snapshot.build import BookResult
from dfmon.model.frames import F64
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import MINUTE, expiry_label

WINDOW_NS: Final = 30 * MINUTE
PIN_WIDTHS: Final = (0.00025, 0.0005, 0.001)
"""Half-widths of the ranges about a strike whose odds are given, fractions of the delivery price expected."""


class Hedge(NamedTuple):
    """USD, + = dealers buy, with its 5-95 % band, None without members."""

    value: float
    lo: float | None
    hi: float | None


class SettlementStrike(NamedTuple):
    """One strike: open interest and dealer position in coins, hedges in USD, + = dealers buy, probabilities.

    `hedge` is that of now, which the settlement lifts, `at_window` the same when the window begins at this spot,
    inside it as it was then. `pin` are the odds of a delivery within each of PIN_WIDTHS.
    """

    strike: float
    calls: float
    puts: float
    net: float
    above: float
    hedge: float
    at_window: float
    pin: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """The nearest expiry. `left` is the open share of its average, 1 before the window; `average` None before it.

    `delivered` is the mean of the price to come, with its 5 and 95 % quantiles; `hedge` and `at_window` are sums over
    the strikes, which ascend. `rest_ngi` is net gamma without this expiry, None where it is not known.
    """

    label: str
    expiry_ns: int
    seconds: float
    left: float
    average: float | None
    forward: float
    sigma: float
    delivered: tuple[float, float, float]
    hedge: Hedge
    at_window: Hedge
    rest_ngi: float | None
    strikes: tuple[SettlementStrike, ...]


def settlement_of(snapshot: FlowSnapshot) -> Settlement | None:
    """The settlement under the position model of the snapshot; None without a book or from another process."""
    result = None if snapshot.views is UNSET else snapshot.views.result
    if not isinstance(result, BookResult) or not result.tick.has_book:
        return None
    tick = result.tick
    cols = tick.cols
    rows = np.flatnonzero(cols.expiry_code == 0)
    expiry_ns, tau = int(cols.expiries[0]), float(cols.tau[rows[0]])
    left, forward, sigma = min(1.0, tau / WINDOW), float(cols.forward[rows[0]]), float(tick.atm[0])
    average = tick.chain.delivery_average if left < 1.0 and math.isfinite(tick.chain.delivery_average) else None
    mean, sd = delivery_price(forward, sigma, tau, average)
    board = tick.exposure.board
    hedge = board.unit.column("unwind")[board.points.point][rows]
    if not (hedge.any() or board.unit.column("ngi").any()):
        return None
    at_window = hedge / left if left < 1.0 else board.unit.column("unwind_at_window")[board.points.point][rows]
    return Settlement(
        label=expiry_label(expiry_ns),
        expiry_ns=expiry_ns,
        seconds=(expiry_ns - tick.chain.venue_ns) / 1e9,
        left=left,
        average=average,
        forward=forward,
        sigma=sigma,
        delivered=(mean, mean - NORMAL_95 * sd, mean + NORMAL_95 * sd),
        hedge=_sum(tick, rows, hedge),
        at_window=_sum(tick, rows, at_window),
        rest_ngi=_rest_ngi(snapshot),
        strikes=tuple(_strike_rows(tick, rows, hedge, at_window, NormalDist(mean, max(sd, 1e-9)))),
    )


def _sum(tick: TickResult, rows: np.ndarray[tuple[int], np.dtype[np.intp]], unit: F64) -> Hedge:
    position, members = tick.cols.position[rows], tick.cols.members
    value = float(unit @ position)
    of_rows = None if members is None else members[rows]
    low, high = bands_of_sums(unit[None], position, of_rows, np.array([value]), np.zeros(1), BAND_SCALES["unwind"])
    return Hedge(value, low[0], high[0])


def _rest_ngi(snapshot: FlowSnapshot) -> float | None:
    values = [row.ngi for row in snapshot.by_expiry[1:]]
    return math.fsum(v for v in values if v is not None) if values and None not in values else None


def _strike_rows(
    tick: TickResult,
    rows: np.ndarray[tuple[int], np.dtype[np.intp]],
    hedge: F64,
    at_window: F64,
    delivery: NormalDist,
) -> list[SettlementStrike]:
    cols = tick.cols
    strikes, code = np.unique(cols.strike[rows], return_inverse=True)
    position, calls = cols.position[rows], cols.option_type[rows] > 0.0
    open_interest = cols.open_interest[rows]
    columns = [
        np.bincount(code, values, strikes.size).tolist()
        for values in (
            open_interest * calls,
            open_interest * ~calls,
            position,
            hedge * position,
            at_window * position,
        )
    ]
    out, widths = [], [width * delivery.mean for width in PIN_WIDTHS]
    for strike, of_calls, of_puts, net, hedge_usd, window_usd in zip(strikes.tolist(), *columns):
        above = 1.0 - delivery.cdf(strike)
        pin = tuple(delivery.cdf(strike + width) - delivery.cdf(strike - width) for width in widths)
        out.append(SettlementStrike(strike, of_calls, of_puts, net, above, hedge_usd, window_usd, pin))
    return out
