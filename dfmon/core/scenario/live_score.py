"""The score that dfmon keeps of itself while it runs: its bands and its sign against what followed, since midnight.

Minutes have spot and psi, quarters of an hour the outlook, the measured hedge trade and the net flow of takers. All
scores are those of the windows, so a restart loses nothing and a replay keeps the same score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.settlement import HOUR as YEAR_HOUR
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.core.scenario.tick_result import TickResult
from dfmon.model.frames import F64, I64
from dfmon.model.score import Coverage, Score, TakerFlow, TapeVerdict
from dfmon.model.units import DAY, HOUR, MINUTE, NAN, SECOND, iso

QUARTER: Final = 15 * MINUTE
MIN_MINUTES: Final = 60
MIN_HOUR_MINUTES: Final = 45
MIN_CASES: Final = 8
MIN_TAKER_COVER: Final = 0.9
_NORMAL_95: Final = 1.6448536269514722
_WINSOR: Final = 4.0
_MAX_SDS: Final = 1.5  # of an hour, up to which an outlook is read between and beyond its cases
_STEP_SHARE: Final = (0.8, 1.25)  # of the step, between which two samples are neighbours
_CASES: Final = ("-1 %", "+1 %", "-1 sd", "1 h", "+1 sd")
_QUARTER_COLUMNS: Final = (
    "spot", "sd", *(f"{case} {name}" for case in _CASES for name in ("value", "lo", "hi", "spot")),
    "hedge", "hedge lo", "hedge hi", "gamma", "settlement", "taker",
)  # fmt: skip
_AT: Final = {name: at for at, name in enumerate(_QUARTER_COLUMNS)}
_NO_CASE: Final = (NAN, NAN, NAN, NAN)


@dataclass(frozen=True, slots=True)
class ScoreState:
    """Windows of a day of one position model, and the score of the newest sample."""

    minutes: RollingWindow
    quarters: RollingWindow
    score: Score

    @classmethod
    def initial(cls) -> ScoreState:
        minutes = RollingWindow.empty(MINUTE, DAY // MINUTE + 1, 2)
        return cls(minutes, RollingWindow.empty(QUARTER, DAY // QUARTER + 5, len(_QUARTER_COLUMNS)), Score())


class _Cases(NamedTuple):
    """Forecast trade and its band of each of n moves, USD; NaN where the outlook does not reach."""

    value: F64
    low: F64
    high: F64


def update_score(state: ScoreState, tick: TickResult) -> ScoreState:
    """The state after this tick; a clock that was set back begins anew, a tick without a book is a gap."""
    ts_ns = tick.chain.ts_ns
    if state.minutes.times.size and ts_ns < int(state.minutes.times[-1]):
        state = ScoreState.initial()
    if tick.freshness.stale or not tick.has_book or not tick.chain.spot > 0.0:
        return state
    if not state.minutes.is_sample_due(ts_ns) and not state.quarters.is_sample_due(ts_ns):
        return state
    psi = NAN if tick.psi is None else tick.psi
    minutes = state.minutes.push(ts_ns, (tick.chain.spot, psi))
    quarters = state.quarters.push(ts_ns, _quarter_row(tick))
    return ScoreState(minutes, quarters, score_of(minutes, quarters, ts_ns))


def _quarter_row(tick: TickResult) -> tuple[float, ...]:
    outlook = {row.name: (row.value, _known(row.lo), _known(row.hi), row.spot) for row in tick.flows.outlook}
    hedge = tick.flows.hedge
    is_full = hedge is not None and hedge.span_s >= (QUARTER - MINUTE) / SECOND
    measured = (
        (hedge.value, _known(hedge.lo), _known(hedge.hi), hedge.gamma, hedge.settlement)
        if hedge is not None and is_full
        else (NAN,) * 5
    )
    window = tick.micro.window(QUARTER // MINUTE)
    is_covered = window.covered >= MIN_TAKER_COVER and window.buy_usd is not None and window.sell_usd is not None
    taker = window.buy_usd - window.sell_usd if is_covered else NAN  # type: ignore[operator]
    cases = [value for case in _CASES for value in outlook.get(case, _NO_CASE)]
    return tick.chain.spot, tick.sigma * math.sqrt(YEAR_HOUR), *cases, *measured, taker


def _known(value: float | None) -> float:
    return NAN if value is None else value


def score_of(minutes: RollingWindow, quarters: RollingWindow, ts_ns: int) -> Score:
    """The score of the windows since the midnight before `ts_ns`."""
    midnight = ts_ns // DAY * DAY
    return Score(
        iso(midnight),
        _tape_verdict(minutes.times, minutes.values, midnight),
        (_outlook_coverage(quarters, midnight), _hedge_flow_coverage(quarters, midnight)),
        _taker_flow(quarters.since(midnight + 1)),
    )


# ---- what returns show of re-hedging --------------------------------------------------------------------------------


def _tape_verdict(times: I64, values: F64, midnight: int) -> TapeVerdict:
    """Variance ratio and re-hedging coefficient of the minutes since midnight, beside psi."""
    first = max(int(np.searchsorted(times, midnight)) - 1, 0)
    times, spot, psi = times[first:], values[first:, 0], values[first:, 1]
    returns = np.where(_adjacent(times, MINUTE), np.diff(np.log(spot)), np.nan)
    known = int(np.count_nonzero(np.isfinite(returns)))
    mean_psi = psi[:-1][np.isfinite(returns) & np.isfinite(psi[:-1])]
    if known < MIN_MINUTES:
        return TapeVerdict(minutes=known)
    agreement, hours = _agreement(times[1:], returns, psi[:-1])
    coefficient, half = _taken_back(returns)
    return TapeVerdict(
        minutes=known,
        variance_ratio=_variance_ratio(returns),
        coefficient=coefficient,
        lo=None if coefficient is None else coefficient - half,
        hi=None if coefficient is None else coefficient + half,
        modelled=float(mean_psi.mean()) if mean_psi.size else None,
        agreement=agreement,
        hours=hours,
    )


def _adjacent(times: I64, step_ns: int) -> NDArray[np.bool_]:
    low, high = (share * step_ns for share in _STEP_SHARE)
    steps = np.diff(times)
    return np.asarray((steps >= low) & (steps <= high))


def _variance_ratio(returns: F64) -> float | None:
    """Variance of overlapping sums of five returns over five times that of one; None where spot stood still."""
    if returns.size < 5:
        return None
    sums = np.lib.stride_tricks.sliding_window_view(returns, 5).sum(axis=1)
    sums, single = sums[np.isfinite(sums)], returns[np.isfinite(returns)]
    variance = float(single @ single) / max(single.size, 1)
    return float(sums @ sums) / sums.size / (5.0 * variance) if sums.size and variance > 0.0 else None


def _taken_back(returns: F64) -> tuple[float | None, float]:
    """Minus the slope of a return on the one before, and half its 5-95 % interval by White's error.

    The target is winsorised at four standard deviations; a return that is larger explains nothing.
    """
    scale = math.sqrt(math.pi / 2.0) * float(np.nanmean(np.abs(returns)))
    if not scale > 0.0:
        return None, NAN
    before, after = returns[:-1] / scale, np.clip(returns[1:] / scale, -_WINSOR, _WINSOR)
    used = np.isfinite(before) & np.isfinite(after) & (np.abs(before) <= _WINSOR)
    x, y = before[used], after[used]
    size = float(x @ x)
    if not size > 0.0:
        return None, NAN
    slope = float(x @ y) / size
    residual = y - slope * x
    return -slope, _NORMAL_95 * math.sqrt(float((x * residual) @ (x * residual))) / size


def _agreement(times: I64, returns: F64, psi: F64) -> tuple[float | None, int]:
    """The share of the full hours whose variance ratio is on the side of 1 that the sign of psi says."""
    agreed = hours = 0
    hour = (times - 1) // HOUR
    for number in np.unique(hour).tolist():
        rows = hour == number
        known = np.isfinite(returns[rows]) & np.isfinite(psi[rows])
        if np.count_nonzero(known) < MIN_HOUR_MINUTES:
            continue
        ratio, mean = _variance_ratio(returns[rows]), float(psi[rows][known].mean())
        if ratio is not None and mean != 0.0:
            hours += 1
            agreed += (ratio < 1.0) == (mean > 0.0)
    return (agreed / hours if hours >= MIN_CASES else None), hours


# ---- bands ----------------------------------------------------------------------------------------------------------


def _outlook_coverage(quarters: RollingWindow, midnight: int) -> Coverage:
    """The outlook of an hour before, at the move that came, against the hedge trade of the four quarters since."""
    times, rows = quarters.times, quarters.values
    size = rows.shape[0] - 4
    if size <= 0:
        return Coverage("outlook_1h", None, 0)
    adjacent = np.lib.stride_tricks.sliding_window_view(_adjacent(times, QUARTER), 4).all(axis=1)
    traded = np.where(rows[:, _AT["settlement"]] == 0.0, rows[:, _AT["hedge"]], np.nan)
    measured = np.lib.stride_tricks.sliding_window_view(traded[1:], 4).sum(axis=1)
    move = rows[4:, 0] / rows[:-4, 0] - 1.0
    forecast = _between(rows[:-4], move, ("-1 sd", "1 h", "+1 sd"), rows[:-4, 1])
    used = adjacent & (times[4:] > midnight)
    return _coverage("outlook_1h", measured, forecast, used)


def _hedge_flow_coverage(quarters: RollingWindow, midnight: int) -> Coverage:
    """The band of the measured trade, against its part of spot as it was forecast, with the rest as measured."""
    times, rows = quarters.times, quarters.values
    if rows.shape[0] < 2:
        return Coverage("hedge_flow", None, 0)
    before, after = rows[:-1], rows[1:]
    move = after[:, 0] / before[:, 0] - 1.0
    one = np.full(move.shape, 0.01)
    part = _quadratic(move / one, before[:, _AT["-1 % spot"]], np.zeros(move.shape), before[:, _AT["+1 % spot"]])
    expected = np.where(np.abs(move) <= _MAX_SDS * one, part - after[:, _AT["gamma"]] + after[:, _AT["hedge"]], np.nan)
    band = _Cases(after[:, _AT["hedge"]], after[:, _AT["hedge lo"]], after[:, _AT["hedge hi"]])
    return _coverage("hedge_flow", expected, band, _adjacent(times, QUARTER) & (times[1:] > midnight))


def _between(rows: F64, move: F64, names: tuple[str, str, str], size: F64) -> _Cases:
    """The trade at a move, by the parabola through three cases at -size, 0 and size; NaN beyond 1.5 sizes.

    The distances to the edges of the band go in a straight line from the case at rest to that of the move's side.
    """
    below, rest, above = (rows[:, [_AT[f"{name} {part}"] for part in ("value", "lo", "hi")]].T for name in names)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(size > 0.0, move / size, np.nan)
    x = np.where(np.abs(x) <= _MAX_SDS, x, np.nan)
    value = _quadratic(x, below[0], rest[0], above[0])
    side = np.where(x < 0.0, below, above)
    far = np.abs(x)
    low, high = (rest[at] - rest[0] + far * ((side[at] - side[0]) - (rest[at] - rest[0])) for at in (1, 2))
    return _Cases(value, value + low, value + high)


def _quadratic(x: F64, below: F64, rest: F64, above: F64) -> F64:
    """The parabola through the values at -1, 0 and 1."""
    return np.asarray(rest + 0.5 * x * (above - below) + 0.5 * x * x * (above + below - 2.0 * rest))


def _coverage(name: str, outcome: F64, band: _Cases, used: NDArray[np.bool_]) -> Coverage:
    used = used & np.isfinite(outcome) & np.isfinite(band.low) & np.isfinite(band.high)
    cases = int(np.count_nonzero(used))
    inside = int(np.count_nonzero((outcome >= band.low)[used] & (outcome <= band.high)[used]))
    return Coverage(name, inside / cases if cases >= MIN_CASES else None, cases)


def _taker_flow(rows: F64) -> TakerFlow:
    """Net taker flow beside the hedge trade of the same quarters."""
    hedge, taker = rows[:, _AT["hedge"]], rows[:, _AT["taker"]]
    known = np.isfinite(hedge) & np.isfinite(taker)
    quarters = int(np.count_nonzero(known))
    if quarters < MIN_CASES:
        return TakerFlow(quarters=quarters)
    decided = known & (rows[:, _AT["hedge lo"]] * rows[:, _AT["hedge hi"]] > 0.0)
    count = int(np.count_nonzero(decided))
    same = int(np.count_nonzero((hedge * taker)[decided] > 0.0))
    varies = hedge[known].std() > 0.0 and taker[known].std() > 0.0
    return TakerFlow(
        quarters=quarters,
        taker_usd=float(taker[known].sum()),
        hedge_usd=float(hedge[known].sum()),
        correlation=float(np.corrcoef(hedge[known], taker[known])[0, 1]) if varies else None,
        same_sign=same / count if count >= MIN_CASES else None,
        decided=count,
    )
