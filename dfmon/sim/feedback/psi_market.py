"""Markets without an option book: psi, volatility and forced orders are drawn, the price follows minute by minute.

r(t) = sigma(t) e(t) + jump - response psi(t-1) r(t-1) + momentum + forced orders, for several seeds side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.sim.feedback.cascades import Cascades
from dfmon.sim.feedback.desks import HedgingDesks
from dfmon.sim.feedback.minute_path import DAY_MINUTES, MINUTES_A_YEAR, MinutePath
from dfmon.sim.feedback.price_spec import PSI_LIMIT, TREND_DECAY, PriceSpec
from dfmon.sim.market.surface import FloatArray

_SPOT: Final = 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PsiSpec(PriceSpec):
    """A market that draws psi. `psi_path` is a script, the mean of psi by days, repeated."""

    psi_sd: float = 0.03
    psi_half_life_days: float = 1.0
    psi_path: tuple[float, ...] = (0.0,)


def simulate_psi(spec: PsiSpec, seeds: Sequence[int], days: int) -> list[MinutePath]:
    """A market for each seed; the same seed gives the same market, whatever stands beside it."""
    streams = [np.random.default_rng(seed).spawn(5) for seed in seeds]
    hours = 24 * days
    psi, log_vol, momentum = (np.empty((hours, len(seeds))) for _ in range(3))
    for n, (slow, *_) in enumerate(streams):
        psi[:, n], log_vol[:, n], momentum[:, n] = _hourly(spec, slow, hours)
    returns, forced, own = (np.empty((days * DAY_MINUTES, len(seeds))) for _ in range(3))
    desks, cascades = HedgingDesks(spec.desks, len(seeds)), Cascades(len(seeds))
    trend, hedge, nothing = (np.zeros(len(seeds)) for _ in range(3))
    push = nothing
    for day in range(days):
        rows = slice(24 * day, 24 * day + 24)
        step_sd = spec.vol * np.exp(np.repeat(log_vol[rows], 60, axis=0)) / math.sqrt(MINUTES_A_YEAR)
        psi_now, weight = np.repeat(psi[rows], 60, axis=0), np.repeat(momentum[rows], 60, axis=0)
        shocks, starts, minutes = _daily_draws(spec, streams, psi_now, step_sd)
        acting, may_start = spec.response * psi_now, np.any(starts > 0.0, axis=1)
        for t in range(DAY_MINUTES):
            row = day * DAY_MINUTES + t
            own[row] = shocks[t] + push
            forced[row] = push
            r = own[row] + hedge + weight[t] * trend
            returns[row] = r
            trend = TREND_DECAY * trend + (1.0 - TREND_DECAY) * r
            desks.add(acting[t] * r)
            hedge = desks.hedge()
            if cascades.running or may_start[t]:
                push = cascades.push(starts[t], minutes[t], trend, spec.cascades.strength * step_sd[t])
            else:
                push = nothing
    columns = zip(returns.T, forced.T, own.T, psi.T, log_vol.T, streams)
    return [_path(spec, *column) for column in columns]


def _hourly(spec: PsiSpec, rng: np.random.Generator, hours: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Psi, the logarithm of volatility over its mean, and the weight of the trend, by hours."""
    noise = rng.standard_normal((3, hours))
    mean = np.resize(np.repeat(spec.psi_path, 24), hours)
    deviation = autoregression(noise[0], spec.psi_half_life_days * 24.0)
    psi = np.clip(mean + spec.psi_sd * deviation, -PSI_LIMIT, PSI_LIMIT)
    half_life = spec.vol_half_life_days
    spread = spec.vol_of_vol / math.sqrt(2.0 * math.log(2.0) / (half_life / 365.0))
    log_vol = np.clip(spread * autoregression(noise[1], half_life * 24.0), -0.9, 0.9) + spec.vol_on_psi * deviation
    weight = spec.momentum[0] + spec.momentum[1] * autoregression(noise[2], 24.0)
    return psi, log_vol, weight


def autoregression(noise: FloatArray, half_life: float) -> FloatArray:
    """A stationary series of unit variance and lag-one correlation 2^(-1/half_life), from unit noise."""
    keep = 0.5 ** (1.0 / half_life)
    scaled = noise * math.sqrt(1.0 - keep * keep)
    series, value = np.empty(noise.size), float(noise[0])
    for n, e in enumerate(scaled.tolist()):
        value = value * keep + e if n else value
        series[n] = value
    return series


def _daily_draws(
    spec: PsiSpec, streams: list[list[np.random.Generator]], psi: FloatArray, step_sd: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shocks, starts of cascades and their minutes, of one day."""
    shape = (DAY_MINUTES, len(streams))
    shocks, starts, minutes = (np.empty(shape) for _ in range(3))
    rate = (spec.cascades.per_day + spec.cascades.per_day_short * np.maximum(-psi, 0.0)) / DAY_MINUTES
    for n, (_, diffusion, jumps, forced, _) in enumerate(streams):
        jump_sizes = spec.jump_size * jumps.standard_normal(DAY_MINUTES)
        is_jump = jumps.random(DAY_MINUTES) < spec.jumps_per_day / DAY_MINUTES
        shocks[:, n] = step_sd[:, n] * diffusion.standard_normal(DAY_MINUTES) + np.where(is_jump, jump_sizes, 0.0)
        starts[:, n] = forced.random(DAY_MINUTES) < rate[:, n]
        minutes[:, n] = np.ceil(spec.cascades.minutes * forced.standard_exponential(DAY_MINUTES))
    return shocks, starts, minutes


def _path(
    spec: PsiSpec,
    log_return: FloatArray,
    forced: FloatArray,
    own: FloatArray,
    psi: FloatArray,
    log_vol: FloatArray,
    streams: list[np.random.Generator],
) -> MinutePath:
    observer, size = streams[4], log_return.size
    printed = forced * np.exp(spec.cascades.seen * observer.standard_normal(size))
    imbalance = 0.7 * own + 0.5 * float(own.std()) * observer.standard_normal(size)
    gross = np.repeat(np.abs(psi) + spec.psi_sd * np.exp(0.3 * observer.standard_normal(psi.size)), 60)
    psi_now = np.repeat(psi, 60)
    stale = np.concatenate([np.full(DAY_MINUTES, np.nan), psi_now[:-DAY_MINUTES]])
    return MinutePath(
        log_return=np.ascontiguousarray(log_return),
        psi=psi_now,
        gross=gross,
        psi_stale=stale,
        forced=printed,
        imbalance=imbalance,
        implied_vol=np.repeat(spec.vol * 1.04 * np.exp(log_vol), 60),
        spot=_SPOT * np.exp(np.cumsum(log_return)),
        heavy_strike=np.full(size, np.nan),
    )
