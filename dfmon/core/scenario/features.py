"""The dimensionless numbers the rules read, from everything measured in a step.

phi is what dealers would trade in an hour as a share of what the venues trade in an hour: the same number means the
same thing in a thin market and in a deep one.
"""

from __future__ import annotations

import math

import numpy as np

from dfmon.core.scenario.rules import Inputs
from dfmon.core.scenario.tick_result import Measured
from dfmon.model.units import DAY, HOUR, YEAR


def scenario_inputs(m: Measured, iv_move_1h: float) -> Inputs:
    """Inputs of the rules.

    Units: as `Inputs`. Shapes: scalars. Domain: what cannot be computed is None. Source: table of scenarios, README.
    """
    total, flip = m.exposure.totals, m.exposure.flip
    hourly = m.liquidity.adv_usd / 24.0 if m.liquidity.adv_usd else None
    sigma_1h_pct = m.sigma * math.sqrt(HOUR / YEAR) * 100.0

    def share(usd: float) -> float | None:
        return usd / hourly if hourly and m.cols.size and math.isfinite(usd) else None

    forced = m.market.short_liquidated_usd - m.market.long_liquidated_usd
    distance = None if flip is None or flip.level is None else (m.chain.spot - flip.level) / m.chain.spot
    daily = m.sigma * math.sqrt(DAY / YEAR)
    low, high = m.exposure.flip_lo, m.exposure.flip_hi
    pin_distance, pin_share, hours = _pin(m)
    move, points = m.moved.ret_15m, m.moved.iv_points
    return Inputs(
        ngi=total.ngi,
        psi=m.psi,
        phi_gamma=share(abs(total.ngi) * sigma_1h_pct),
        phi_vanna=share(abs(total.vss) * iv_move_1h),
        phi_charm=share(abs(total.chl) / 24.0),
        x=None if distance is None else distance / daily,
        flip_half_width=None if low is None or high is None else (high - low) / 2.0 / m.chain.spot / daily,
        z=m.moved.z_1h,
        liquidations=share(m.market.long_liquidated_usd + m.market.short_liquidated_usd),
        liquidated=int(np.sign(forced)),
        short_side=_short_side(m),
        # dealers trade -VSS x points: with the move where the vanna flow has the sign of the move
        vanna_adds=bool(move is not None and points is not None and -total.vss * points * move > 0.0),
        slow_sign=int(np.sign(total.vss + total.chl)),
        expiry_hours=hours,
        pin_distance=pin_distance,
        pin_share=pin_share,
    )


def _short_side(m: Measured) -> int:
    """+1 where more short gamma stands above spot than below, -1 the other way round."""
    ngi = m.exposure.unit_ngi() * m.cols.position
    short = np.minimum(ngi, 0.0)
    above = m.cols.strike > m.chain.spot
    return int(np.sign(abs(short[above].sum()) - abs(short[~above].sum())))


def _pin(m: Measured) -> tuple[float | None, float | None, float | None]:
    """Distance in sigma sqrt(T) and share of |gamma| of the top strike of the nearest expiry, and its hours."""
    if not m.cols.size:
        return None, None, None
    rows = np.flatnonzero(m.cols.expiry_code == 0)
    tau = float(m.cols.tau[rows[0]])
    weight = np.abs(m.exposure.unit_ngi()[rows] * m.cols.position[rows])
    by_strike = np.bincount(m.cols.strike_code[rows], weight, m.cols.strikes.size)
    hours = tau * YEAR / HOUR
    if not by_strike.sum() > 0.0:
        return None, None, hours
    top = int(np.argmax(by_strike))
    sd = float(m.atm[0]) * math.sqrt(tau)
    distance = abs(math.log(float(m.cols.strikes[top]) / float(m.cols.forward[rows[0]]))) / sd
    return distance, float(by_strike[top] / by_strike.sum()), hours
