"""Greeks of a chain by call and put pairs: one evaluation a strike and expiry gives both deltas and all the rest.

Comes after pairing, which has checked that the call and the put of each point agree in forward, sigma and time. At
r = 0 gamma, vega, theta, vanna, charm and volga are then equal, and the two deltas share one tail probability.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing import compiled
from dfmon.core.pricing.black import F64
from dfmon.core.pricing.closed_forms import (
    StrikeTimeTerms,
    aligned_rows,
    fill_call_put_deltas,
    fill_distances,
    fill_log_moneyness,
    fill_sensitivities,
    inputs_in_domain,
)
from dfmon.core.pricing.greek_buffers import GreekBuffers
from dfmon.core.pricing.greek_calc import greeks
from dfmon.core.pricing.pairing import Index, Pairing, PricingPoints, as_slice


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
        super().__init__(points, tile=points)
        # the price, not asked for here, leaves its row to the put's delta
        put, call, gamma, vega, theta, vanna, charm, volga = self.columns
        self.pair = PairGreeks(call, put, gamma, vega, theta, vanna, charm, volga, 0)


def pair_greeks(
    forward: F64,
    strike: F64,
    sigma: F64,
    tau: F64,
    *,
    strike_time: StrikeTimeTerms | None = None,
    out: PairBuffers | None = None,
) -> PairGreeks:
    """Seven greeks of the call and the put at each of m points.

    Strike, time and share of settlement_terms are the caller's to apply. `strike_time` must hold `strike` and `tau`.

    Units, domain, source: as greeks.
    Shapes: (m,) each -> (m,) each; with `out` the next call overwrites them.

    >>> one = np.ones(1)
    >>> g = pair_greeks(105 * one, 100 * one, 0.36 * one, 0.5 * one)
    >>> (g.call_delta.round(4).tolist(), g.put_delta.round(4).tolist())
    ([0.6251], [-0.3749])
    """
    buffers, kernels = PairBuffers(forward.shape[0]) if out is None else out, compiled.active_kernels()
    if kernels is not None and kernels.fill_pair_greeks(forward, strike, sigma, tau, buffers.rows):
        return buffers.pair
    return _by_columns(forward, strike, sigma, tau, strike_time, buffers)


@np.errstate(all="ignore")
def _by_columns(
    forward: F64, strike: F64, sigma: F64, tau: F64, strike_time: StrikeTimeTerms | None, buffers: PairBuffers
) -> PairGreeks:
    active_terms = buffers.strike_time.fill(strike, tau) if strike_time is None else strike_time
    work, pair = buffers.work, buffers.pair
    if active_terms.in_domain:
        fill_log_moneyness(forward, active_terms, work)
        fill_distances(sigma, active_terms, work)
        if inputs_in_domain(work):
            fill_sensitivities(forward, sigma, active_terms, work, buffers.rows)
            if math.isfinite(pair.gamma.dot(pair.volga)):
                fill_call_put_deltas(work, pair.call_delta, pair.put_delta)
                return pair
    put = greeks(forward, strike, sigma, tau, np.full_like(forward, -1.0), with_price=False).delta
    call = greeks(forward, strike, sigma, tau, np.ones_like(forward), with_price=False, out=buffers)
    pair.put_delta[:] = put
    return pair._replace(invalid=call.invalid)


class _CallPutInputs:
    """Forward and sigma of the calls beside those of their puts: the comparison of the pairs, and what is priced."""

    __slots__ = ("all_equal_bytes", "calls", "equal", "inputs", "put_inputs", "puts")

    def __init__(self, pairs: int) -> None:
        cache_line = 8  # in float64: both columns of a side begin on a cache line
        width = -(-pairs // cache_line) * cache_line
        storage = aligned_rows(2, 2 * width)
        storage[:] = 0.0
        self.calls, self.puts = storage
        self.inputs = self.calls[:pairs], self.calls[width : width + pairs]
        self.put_inputs = self.puts[:pairs], self.puts[width : width + pairs]
        self.equal = np.ones(2 * width, dtype=np.bool_)
        self.all_equal_bytes = self.equal.tobytes()

    def copy_and_compare(self, forward: F64, sigma: F64, calls: Index | slice, puts: Index | slice) -> bool:
        """Copy both sides; whether they agree to the last bit. A NaN agrees with nothing."""
        at_forward, at_sigma = self.inputs
        put_forward, put_sigma = self.put_inputs
        at_forward[:] = forward[calls]
        at_sigma[:] = sigma[calls]
        put_forward[:] = forward[puts]
        put_sigma[:] = sigma[puts]
        np.equal(self.calls, self.puts, self.equal)
        return self.equal.tobytes() == self.all_equal_bytes


class PairedChain:
    """One listing, priced from flat columns at each refresh as the points on which its calls and puts agree.

    Option i lies on point `points.point[i]`. Results are overwritten by the next call.
    """

    __slots__ = (
        "_buffers",
        "_call_put_inputs",
        "_compared_columns",
        "_inputs",
        "_point_terms",
        "_rows",
        "_strike",
        "_tau",
        "pairing",
        "points",
    )  # fmt: skip

    def __init__(self, strike: F64, expiry: NDArray[np.generic], option_type: F64) -> None:
        self.pairing = pairing = Pairing.from_listing(strike, expiry, option_type)
        self._strike, self._tau = strike, np.full(strike.shape, np.nan)
        self._compared_columns: tuple[F64, ...] = (self._tau,)
        every_option_paired = np.array_equal(pairing.first, pairing.all_merged.option)
        self._call_put_inputs = _CallPutInputs(pairing.first.shape[0]) if every_option_paired else None
        self._bind_points(pairing.all_merged)

    def _bind_points(self, points: PricingPoints) -> None:
        size = points.option.shape[0]
        self.points, self._rows = points, as_slice(points.option)
        self._buffers, self._inputs = PairBuffers(size), aligned_rows(2, size)
        self._prepare()

    def _prepare(self) -> None:
        at = self.points.option
        self._point_terms = self._strike[at], self._tau[at]
        self._buffers.strike_time.fill(*self._point_terms)

    def set_tau(self, tau: F64) -> PairedChain:
        """Take over times to expiry (once a tick; those of settlement_terms, where it applies).

        Units: years ACT/365.
        Shapes: (n,).
        """
        self._tau = tau
        self._prepare()
        self._compared_columns = () if self.pairing.points(tau) is self.pairing.all_merged else (tau,)
        return self

    def greeks(self, forward: F64, sigma: F64) -> PairGreeks:
        """Seven greeks at each point; that calls and puts agree is checked anew, not assumed.

        Units, domain: as greeks.
        Shapes: (n,), (n,) -> columns of the points.
        Source: put-call parity.

        >>> k, two = np.array([90.0, 90.0]), np.ones(2)
        >>> chain = PairedChain(k, k, np.array([1.0, -1.0])).at(0.1 * two)
        >>> chain.greeks(100 * two, 0.5 * two).gamma.shape, chain.greeks(100 * two, np.array([0.5, 0.6])).gamma.shape
        ((1,), (2,))
        """
        kernels, point_terms = compiled.active_kernels(), self._point_terms
        if kernels is not None and self.points is self.pairing.all_merged and not self._compared_columns:
            option, rows = self.points.option, self._buffers.rows
            if kernels.fill_listing_greeks(forward, sigma, option, self.pairing.partner, *point_terms, rows):
                return self._buffers.pair
        at_forward, at_sigma = self._point_inputs(forward, sigma)
        buffers, (strike, tau) = self._buffers, self._point_terms
        return _by_columns(at_forward, strike, at_sigma, tau, buffers.strike_time, buffers)

    def _point_inputs(self, forward: F64, sigma: F64) -> tuple[F64, F64]:
        """Forward and sigma of the points at this refresh."""
        pairing, sides = self.pairing, self._call_put_inputs
        if sides is not None and not self._compared_columns and sides.copy_and_compare(forward, sigma, *pairing.sides):
            if self.points is not pairing.all_merged:
                self._bind_points(pairing.all_merged)
            return sides.inputs
        points = pairing.points(forward, sigma, *self._compared_columns)
        if points is not self.points:
            self._bind_points(points)
        at_forward, at_sigma = self._inputs
        at_forward[:] = forward[self._rows]
        at_sigma[:] = sigma[self._rows]
        return at_forward, at_sigma
