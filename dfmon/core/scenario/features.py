"""Dimensionless inputs of the scenario rules.

phi is the expected dealer hedging of an hour as a share of the hourly venue volume, so one threshold fits thin and
deep markets.
"""

from __future__ import annotations

import math

import numpy as np

from dfmon.core.scenario.rules import ScenarioInputs
from dfmon.core.scenario.tick_result import TickResult
from dfmon.model.units import DAY, HOUR, YEAR


def scenario_inputs(tick: TickResult, iv_move_1h: float) -> ScenarioInputs:
    """Inputs of the rules.

    Units: as `ScenarioInputs`. Domain: None where an input cannot be computed. Source: table of scenarios, README.
    """
    total, flip = tick.exposure.totals, tick.exposure.flip
    hourly_volume = tick.liquidity.adv_usd / 24.0 if tick.liquidity.adv_usd else None
    sigma_1h_pct = tick.sigma * math.sqrt(HOUR / YEAR) * 100.0

    def share_of_volume(usd: float) -> float | None:
        return usd / hourly_volume if hourly_volume and tick.has_book and math.isfinite(usd) else None

    net_liquidated_usd = tick.market.short_liquidated_usd - tick.market.long_liquidated_usd
    distance = None if flip is None or flip.level is None else (tick.chain.spot - flip.level) / tick.chain.spot
    daily_sigma = tick.sigma * math.sqrt(DAY / YEAR)
    edge = None if tick.exposure.flips is None else tick.exposure.flips.regime.nearest
    low, high = (None, None) if edge is None else (edge.low, edge.high)
    pin_distance, pin_share, hours = _pin(tick)
    move, points = tick.spot_moves.ret_15m, tick.moves.points_15m
    return ScenarioInputs(
        ngi=total.ngi,
        psi=tick.psi,
        phi_gamma=share_of_volume(abs(total.ngi) * sigma_1h_pct),
        phi_vanna=share_of_volume(abs(total.vss) * iv_move_1h),
        phi_charm=share_of_volume(abs(total.chl) / 24.0),
        flip_distance=None if distance is None else distance / daily_sigma,
        flip_half_width=None if low is None or high is None else (high - low) / 2.0 / tick.chain.spot / daily_sigma,
        return_z=tick.spot_moves.z_1h,
        liquidations=share_of_volume(tick.market.long_liquidated_usd + tick.market.short_liquidated_usd),
        liquidation_sign=int(np.sign(net_liquidated_usd)),
        heavier_short_side=_heavier_short_side(tick),
        # dealers trade -VSS x points: with the move where the vanna flow has the sign of the move
        vanna_with_move=bool(move is not None and points is not None and -total.vss * points * move > 0.0),
        vanna_charm_sign=int(np.sign(total.vss + total.chl)),
        expiry_hours=hours,
        pin_distance=pin_distance,
        pin_share=pin_share,
    )


def _heavier_short_side(tick: TickResult) -> int:
    """+1 where more short gamma lies above spot than below, -1 where more lies below."""
    ngi = tick.board.unit_ngi() * tick.cols.position
    short = np.minimum(ngi, 0.0)
    above = tick.cols.strike > tick.chain.spot
    return int(np.sign(abs(short[above].sum()) - abs(short[~above].sum())))


def _pin(tick: TickResult) -> tuple[float | None, float | None, float | None]:
    """Distance in sigma sqrt(T), share of |gamma| and hours to expiry of the top strike of the nearest expiry."""
    if not tick.has_book:
        return None, None, None
    rows = np.flatnonzero(tick.cols.expiry_code == 0)
    tau = float(tick.cols.tau[rows[0]])
    weight = np.abs(tick.board.unit_ngi()[rows] * tick.cols.position[rows])
    by_strike = np.bincount(tick.cols.strike_code[rows], weight, tick.cols.strikes.size)
    hours = tau * YEAR / HOUR
    if not by_strike.sum() > 0.0:
        return None, None, hours
    top = int(np.argmax(by_strike))
    sd = float(tick.atm[0]) * math.sqrt(tau)
    distance = abs(math.log(float(tick.cols.strikes[top]) / float(tick.cols.forward[rows[0]]))) / sd
    return distance, float(by_strike[top] / by_strike.sum()), hours
