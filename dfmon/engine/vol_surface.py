"""Term structure, skew and smiles of a snapshot that was made in this process, with what dealers hold on them.

Volatilities are the venue's marks of the out-of-the-money side. Between strikes they are linear, and beyond the last
one there is none: a missing number is not an extrapolated one.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from dfmon.core.exposure.bands import band_quantiles
from dfmon.core.exposure.levels import max_pain
from dfmon.core.exposure.option_window import option_keys, pick
from dfmon.core.exposure.reprice import Options, open_share, unit_deltas
from dfmon.core.scenario.tick_result import TickResult
from dfmon.core.snapshot.build import BookResult
from dfmon.engine.what_if import inputs_of
from dfmon.model.frames import F64
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import HOUR

WING_DELTA: Final = 0.25
_MIN_FIT_POINTS: Final = 8
_FIT_DELTAS: Final = (0.02, 0.98)  # of a call: strikes further out do not bend the fit
Index = NDArray[np.intp]


class SmileStrike(NamedTuple):
    """One strike of an expiry: delta of its out-of-the-money option, volatilities decimal, coins.

    `net` is the dealer position in both its options with its 5-95 % band, `customer_vega` what customers hold there,
    USD a point, `residual` the mark less a quartic in log-moneyness, decimal. None where it is not known.
    """

    strike: float
    delta: float
    bid: float | None
    mark: float
    ask: float | None
    change: float | None
    calls: float
    puts: float
    net: float
    lo: float | None
    hi: float | None
    customer_vega: float
    residual: float | None


class ExpiryVol(NamedTuple):
    """One expiry: forward USD, basis a year, volatilities decimal, coins.

    `forward_vol` is that between the expiry before and this one; `change` the change of `atm` in an hour; `rr25` and
    `bf25` the 25-delta risk reversal and butterfly. `gamma_share` is its share of the sum of absolute gamma,
    `settles` the hedge that its settlement lifts at the deltas of now, USD, + = dealers buy, with its band.
    """

    label: str
    hours: float
    forward: float
    basis: float | None
    atm: float
    change: float | None
    forward_vol: float | None
    rr25: float | None
    bf25: float | None
    calls: float
    puts: float
    gamma_share: float | None
    max_pain: float | None
    settles: tuple[float, float | None, float | None] | None
    strikes: tuple[SmileStrike, ...]


def vol_surface_of(snapshot: FlowSnapshot) -> tuple[ExpiryVol, ...] | None:
    """Each expiry, nearest first; None for a snapshot of another process. Units: as `ExpiryVol`."""
    result = None if snapshot.views is UNSET else snapshot.views.result
    if not isinstance(result, BookResult) or not result.tick.cols.size:
        return None
    tick = result.tick
    delta, earlier = _deltas(tick), _earlier(snapshot, tick)
    gamma = np.abs(tick.exposure.board.unit_ngi() * tick.cols.position)
    rows: list[ExpiryVol] = []
    for code in range(tick.cols.expiries.size):
        at = np.flatnonzero(tick.cols.expiry_code == code)
        before = rows[-1] if rows else None
        share = float(gamma[at].sum() / gamma.sum()) if tick.has_book and gamma.any() else None
        rows.append(_expiry(tick, code, at, delta[at], earlier[:, at], before, share, snapshot))
    return tuple(rows)


def _deltas(tick: TickResult) -> F64:
    """Delta of each option on its forward, the settlement average in it."""
    cols = tick.cols
    options = Options(cols.strike, cols.option_type, tick.chain.inverse[cols.rows])
    average = np.full(cols.size, np.nan) if cols.average is None else cols.average
    delta = unit_deltas(options, cols.forward[None], cols.sigma[None], cols.tau[None], average)[0]
    return np.asarray(np.nan_to_num(open_share(cols.tau) * delta))


def _earlier(snapshot: FlowSnapshot, tick: TickResult) -> F64:
    """Forward and volatility of each option an hour ago, (2, n); NaN where they are not known."""
    inputs, rows, chain = inputs_of(snapshot), tick.cols.rows, tick.chain
    moment = None if inputs is None else inputs.state.options.moment(chain.ts_ns - HOUR)
    if inputs is None or moment is None or chain.ts_ns - moment.ts_ns < 0.9 * HOUR:
        return np.full((2, rows.size), np.nan)
    key = option_keys(chain.expiry_ns[rows], chain.strike[rows], chain.option_type[rows], chain.inverse[rows])
    column = inputs.state.options.samples.find(key)
    return np.array([pick(moment.forward, column), pick(moment.sigma, column)])


def _expiry(
    tick: TickResult,
    code: int,
    at: Index,
    delta: F64,
    earlier: F64,
    before: ExpiryVol | None,
    gamma_share: float | None,
    snapshot: FlowSnapshot,
) -> ExpiryVol:
    cols, chain = tick.cols, tick.chain
    forward, tau, atm = float(cols.forward[at[0]]), float(cols.tau[at[0]]), float(tick.atm[code])
    call, put = _wing(tick, at, delta, 1.0), _wing(tick, at, delta, -1.0)
    has_wings = call is not None and put is not None
    is_call, interest, terms = cols.option_type[at] > 0.0, cols.open_interest[at], cols.rows[at]
    return ExpiryVol(
        label=snapshot.by_expiry[code].label,
        hours=snapshot.by_expiry[code].hours,
        forward=forward,
        basis=math.log(forward / chain.spot) / tau if chain.spot > 0.0 else None,
        atm=atm,
        change=_atm_change(cols.strike[at], earlier, atm),
        forward_vol=_forward_vol(before, atm, tau),
        rr25=(call or 0.0) - (put or 0.0) if has_wings else None,
        bf25=0.5 * ((call or 0.0) + (put or 0.0)) - atm if has_wings else None,
        calls=float(interest[is_call].sum()),
        puts=float(interest[~is_call].sum()),
        gamma_share=gamma_share,
        max_pain=max_pain(chain.strike[terms], chain.option_type[terms], chain.open_interest[terms]),
        settles=_settles(tick, at, forward * delta) if tick.has_book else None,
        strikes=tuple(_smile(tick, at, delta, earlier[1])),
    )


def _forward_vol(before: ExpiryVol | None, atm: float, tau: float) -> float | None:
    """Of the time since the expiry before; None where total variance falls. Of the first expiry its own."""
    if before is None:
        return atm
    start = before.hours / 8760.0
    variance = atm**2 * tau - before.atm**2 * start
    return math.sqrt(variance / (tau - start)) if variance >= 0.0 and tau > start else None


def _atm_change(strike: F64, earlier: F64, atm: float) -> float | None:
    """Change of the volatility at the money since then, each read at the forward of its time."""
    forward, sigma = earlier[:, np.isfinite(earlier).all(axis=0)]
    if forward.size < 2:
        return None
    moneyness = np.log(strike[np.isfinite(earlier).all(axis=0)] / forward)
    order = np.argsort(moneyness, kind="stable")
    if not moneyness[order[0]] <= 0.0 <= moneyness[order[-1]]:
        return None
    return atm - float(np.interp(0.0, moneyness[order], sigma[order]))


def _wing(tick: TickResult, at: Index, delta: F64, sign: float) -> float | None:
    """Volatility of the 25-delta call (+1) or put (-1), linear in delta; None without quotes on both sides of it."""
    cols, rows = tick.cols, tick.cols.rows[at]
    side = np.flatnonzero((cols.option_type[at] == sign) & (np.abs(delta) > 1e-9))
    side = side[np.argsort(np.abs(delta[side]), kind="stable")]
    size = np.abs(delta[side])
    above = int(np.searchsorted(size, WING_DELTA))
    if not 0 < above < size.size:
        return None
    pair = rows[side[above - 1 : above + 1]]
    has_quotes = np.isfinite(tick.chain.bid_sigma[rows]).any()
    if has_quotes and not np.isfinite([tick.chain.bid_sigma[pair], tick.chain.ask_sigma[pair]]).all():
        return None
    return float(np.interp(WING_DELTA, size, cols.sigma[at][side]))


def _settles(tick: TickResult, at: Index, unit: F64) -> tuple[float, float | None, float | None]:
    value = float(unit @ tick.cols.position[at])
    if tick.cols.members is None:
        return value, None, None
    return (value, *band_quantiles(unit @ tick.cols.members[at]))


def _smile(tick: TickResult, at: Index, delta: F64, sigma_then: F64) -> list[SmileStrike]:
    """Each strike by its out-of-the-money option, or by the one that is listed."""
    cols, chain = tick.cols, tick.chain
    strikes, code = np.unique(cols.strike[at], return_inverse=True)
    forward, is_call = float(cols.forward[at[0]]), cols.option_type[at] > 0.0
    out_of_money = is_call == (cols.strike[at] >= forward)
    best = np.empty(strikes.size, np.intp)
    best[code] = np.arange(at.size)
    best[code[out_of_money]] = np.flatnonzero(out_of_money)
    vega = tick.exposure.board.unit.vega[tick.exposure.board.points.point][at]
    sums = [
        np.bincount(code, weights, strikes.size).tolist()
        for weights in (
            cols.open_interest[at] * is_call,
            cols.open_interest[at] * ~is_call,
            cols.position[at],
            -vega * cols.position[at],
        )
    ]
    marks = cols.sigma[at][best]
    quotes = chain.bid_sigma[cols.rows[at]][best], marks, chain.ask_sigma[cols.rows[at]][best]
    residuals = _residuals(np.log(strikes / forward), marks, np.where(is_call, delta, 1.0 + delta)[best])
    bands = _position_bands(tick, at, code, strikes.size)
    columns = strikes, delta[best], *quotes, marks - sigma_then[best], *sums, *bands, residuals
    rows = []
    for strike, own_delta, bid, mark, ask, change, calls, puts, net, customer_vega, lo, hi, residual in zip(*columns):
        vols = _known(bid), float(mark), _known(ask), _known(change)
        band = _known(lo), _known(hi)
        rows.append(
            SmileStrike(
                *(float(strike), float(own_delta), *vols, calls, puts, net, *band, customer_vega, _known(residual))
            )
        )
    return rows


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _position_bands(tick: TickResult, at: Index, code: Index, groups: int) -> tuple[F64, F64]:
    if tick.cols.members is None:
        return np.full(groups, np.nan), np.full(groups, np.nan)
    sums = np.zeros((groups, tick.cols.members.shape[1]))
    np.add.at(sums, code, tick.cols.members[at])
    low, high = np.array([band_quantiles(row) for row in sums]).T
    return low, high


def _residuals(moneyness: F64, mark: F64, call_delta: F64) -> F64:
    """Marks less a quartic; NaN beyond the deltas of the fit, and with too few strikes."""
    low, high = _FIT_DELTAS
    fitted = (call_delta > low) & (call_delta < high)
    if np.count_nonzero(fitted) < _MIN_FIT_POINTS:
        return np.full(mark.shape, np.nan)
    scale = float(np.abs(moneyness[fitted]).max())
    powers = np.vander(moneyness / scale, 5)
    solution = np.linalg.lstsq(powers[fitted], mark[fitted], rcond=None)[0]
    return np.where(fitted, mark - powers @ solution, np.nan)
