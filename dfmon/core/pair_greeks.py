"""Greeks of a chain by call and put pairs: one evaluation a strike and expiry gives both deltas and all the rest.

Comes after pairing, which has checked that the call and the put of each point agree in forward, sigma and time. At
r = 0 gamma, vega, theta, vanna, charm and volga are then equal, and the two deltas share one tail probability.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dfmon.core.black import F64
from dfmon.core.closed_forms import Prepared, both_deltas, distances, log_moneyness_of, sensitivities, tail
from dfmon.core.greek_calc import GreekBuffers, greeks


class PairGreeks(NamedTuple):
    """One column per greek, units as `greek_calc.Greeks`; NaN in every column of a masked point."""

    call_delta: F64
    put_delta: F64
    gamma: F64
    vega: F64
    theta: F64
    vanna: F64
    charm: F64
    volga: F64
    invalid: int


class PairBuffers(GreekBuffers):
    """Memory for the greeks of m points, owned by the caller and overwritten at each refresh."""

    __slots__ = ("pair",)

    def __init__(self, points: int) -> None:
        super().__init__(points)
        # the price, not asked for here, leaves its row to the put's delta
        put, call, gamma, vega, theta, vanna, charm, volga = self.columns
        self.pair = PairGreeks(call, put, gamma, vega, theta, vanna, charm, volga, 0)


def pair_greeks(
    forward: F64, strike: F64, sigma: F64, tau: F64, *, prepared: Prepared | None = None, out: PairBuffers | None = None
) -> PairGreeks:
    """Seven greeks of the call and the put at each of m points.

    Strike, time and share of settlement_terms are the caller's to apply. `prepared` must hold `strike` and `tau`.

    Units, domain, source: as greeks.
    Shapes: (m,) each -> (m,) each; with `out` the next call overwrites them.

    >>> one = np.ones(1)
    >>> g = pair_greeks(105 * one, 100 * one, 0.36 * one, 0.5 * one)
    >>> (g.call_delta.round(4).tolist(), g.put_delta.round(4).tolist())
    ([0.6251], [-0.3749])
    """
    buffers = PairBuffers(forward.shape[0]) if out is None else out
    with np.errstate(all="ignore"):
        given = buffers.prepared.fill(strike, tau) if prepared is None else prepared
        work, pair = buffers.work, buffers.pair
        if given.orderly and log_moneyness_of(forward, given, work) and distances(sigma, given, work):
            sensitivities(forward, sigma, given, work, buffers.columns)
            if math.isfinite(pair.gamma @ pair.volga):
                tail(work)
                both_deltas(work, pair.call_delta, pair.put_delta)
                return pair
    put = greeks(forward, strike, sigma, tau, np.full_like(forward, -1.0), with_price=False).delta
    call = greeks(forward, strike, sigma, tau, np.ones_like(forward), with_price=False, out=buffers)
    pair.put_delta[:] = put
    return pair._replace(invalid=call.invalid)
