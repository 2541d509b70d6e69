"""Exposures of one unit of dealer position in each option: a chain priced once, then a kernel for each exposure.

Comes after greek_calc and settlement_terms; vanna_charm_volga sums it over books.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.exposure.kernels import KERNELS, PricedOptions
from dfmon.core.pricing import compiled
from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.closed_forms import aligned_rows, fill_delta
from dfmon.core.pricing.greek_buffers import GreekBuffers
from dfmon.core.pricing.greek_calc import Numeraire, delta_only, greeks
from dfmon.core.pricing.normal import SQRT_HALF, contiguous_view
from dfmon.core.pricing.settlement import DAY, HOUR, WINDOW, Settlement, settlement_terms, time_at_end
from dfmon.model.metrics import EXPOSURE_INDEX, EXPOSURE_NAMES

COMPILED_EXPOSURES: Final = (
    "ngi", "vss", "chl", "volg", "vega", "theta", "unwind", "chl_1h", "unwind_at_window", "unwind_left",
)  # fmt: skip
"""The rows that the compiled loop fills. A table with other rows is filled from the greeks."""


@dataclass(frozen=True, slots=True)
class UnitExposure:
    """Exposures of +1 unit of underlying of each option held by dealers; zero in the rows that are not valid."""

    matrix: F64
    """(exposures, n): one row per metric, in the order of EXPOSURE_NAMES."""
    valid: Mask
    invalid: int

    def column(self, name: str) -> F64:
        """One exposure of each option, in the unit of its row in `model.metrics`."""
        return np.asarray(self.matrix[EXPOSURE_INDEX[name]])

    @property
    def ngi(self) -> F64:
        """Net gamma impact: USD of delta per +1 %."""
        return self.column("ngi")

    @property
    def vss(self) -> F64:
        """Vanna: USD of delta per +1 vol point."""
        return self.column("vss")

    @property
    def chl(self) -> F64:
        """Charm load: USD of delta over the next 24 h or up to the settlement window, by full reprice."""
        return self.column("chl")

    @property
    def volg(self) -> F64:
        """Volga: USD of vega per point, per +1 vol point."""
        return self.column("volg")

    @property
    def vega(self) -> F64:
        """USD per vol point."""
        return self.column("vega")

    @property
    def theta(self) -> F64:
        """USD per calendar day."""
        return self.column("theta")

    @property
    def unwind(self) -> F64:
        """USD of hedge that settlement lifts within 24 h."""
        return self.column("unwind")

    def for_rows(self, rows: NDArray[np.intp]) -> UnitExposure:
        """The same for other rows, each with the exposure of one of these: options from the points they lie on."""
        valid = self.valid[rows]
        return UnitExposure(self.matrix[:, rows], valid, valid.size - int(np.count_nonzero(valid)))


class ExposureBuffers:
    """Memory for the greeks now and later, owned by the caller."""

    __slots__ = ("_later", "flat_matrix", "matrix", "now")

    def __init__(self, n: int) -> None:
        self.now = GreekBuffers(n)
        self._later: GreekBuffers | None = None
        self.matrix = aligned_rows(len(EXPOSURE_NAMES), n)
        self.flat_matrix = contiguous_view(self.matrix)
        self.flat_matrix[:] = 0.0

    @property
    def later(self) -> GreekBuffers:
        """Memory of a second chain, made at the first use: most boards are priced in that of the first."""
        if self._later is None:
            self._later = GreekBuffers(self.now.valid.shape[0])
        return self._later


def unit_exposures(
    forward: F64,
    strike: F64,
    sigma: F64,
    tau: F64,
    option_type: F64,
    *,
    settlement: Settlement = "average",
    average: F64 | None = None,
    numeraire: Numeraire = "usd",
    inverse: Mask | None = None,
    out: ExposureBuffers | None = None,
) -> UnitExposure:
    """Exposures per +1 unit of underlying of dealer position in each option.

    The charm loads reprice delta a day and an hour later at the same forward and sigma, with the settlement treatment
    at both ends. They stop at the beginning of the option's own settlement window, where its unwind begins, and are 0
    inside it.

    Units: as greeks; results in USD per unit of underlying held (see UnitExposure).
    Shapes: (n,) each -> (exposures, n); with `out` the next call overwrites the result.
    Domain: any floats; an invalid row has zero exposure and is counted.
    Source: Black (1976); finite roll instead of the derivative: Taleb, Dynamic Hedging (1997), ch. 11.

    >>> one = np.ones(1)
    >>> unit = unit_exposures(1e5 * one, 1e5 * one, 0.5 * one, 7 / 365 * one, one)
    >>> [round(100 * float(x[0])) for x in (unit.ngi, unit.vega, unit.theta, unit.vss)]
    [575807, 5521, -19719, 2761]
    """
    buffers = ExposureBuffers(forward.shape[0]) if out is None else out
    kernels, columns = compiled.active_kernels(), (forward, strike, sigma, tau, option_type)
    compilable = numeraire == "usd" and tau.size > 0 and EXPOSURE_NAMES == COMPILED_EXPOSURES
    if kernels is not None and compilable and kernels.exposures(*columns, settlement == "average", buffers.matrix):
        buffers.now.valid.fill(True)
        return UnitExposure(buffers.matrix, buffers.now.valid, 0)
    now = greeks(
        *columns,
        with_price=False,
        settlement=settlement,
        average=average,
        numeraire=numeraire,
        inverse=inverse,
        out=buffers.now,
    )
    with np.errstate(all="ignore"):
        expiring, settling = np.flatnonzero((tau > 0.0) & (tau <= DAY)), np.flatnonzero(tau < WINDOW)
        delta_in_day, delta_in_hour = (
            _delta_after(span, settling, columns, settlement, numeraire, inverse, buffers) for span in (DAY, HOUR)
        )
        return _apply_kernels(PricedOptions(*columns, now, delta_in_day, delta_in_hour, expiring, settling), buffers)


def _apply_kernels(chain: PricedOptions, buffers: ExposureBuffers) -> UnitExposure:
    """Fills a row of the matrix per metric; an option with a number that is not finite is zeroed and counted, one that
    has expired is zeroed.
    """
    matrix, valid = buffers.matrix, chain.greeks.valid
    for kernel, row in zip(KERNELS.values(), matrix):
        kernel(chain, row)
    if not math.isfinite(np.add.reduce(buffers.flat_matrix)):  # a masked row, or a product too large for a double
        np.isfinite(matrix).all(axis=0, out=valid)
        matrix[:, ~valid] = 0.0
    if (expired := chain.settling[chain.tau[chain.settling] <= 0.0]).size:  # its delta is still the payoff's
        matrix[:, expired] = 0.0
    return UnitExposure(matrix, valid, valid.shape[0] - int(np.count_nonzero(valid)))


def _delta_after(
    span: float,
    settling: NDArray[np.intp],
    columns: tuple[F64, F64, F64, F64, F64],
    settlement: Settlement,
    numeraire: Numeraire,
    inverse: Mask | None,
    buffers: ExposureBuffers,
) -> F64:
    """Delta of the chain just priced when `span` has passed, at most up to the settlement window of each option.

    Its ln(F/K) is there already, and holds while every row was in order; rows in their window keep their delta.
    """
    forward, strike, sigma, tau, option_type = columns
    later = time_at_end(tau, span)
    later[settling] = WINDOW  # any valid time: these keep their delta
    if buffers.now.single_pass and np.minimum.reduce(later) >= WINDOW:
        delta = np.empty(tau.shape)
        work, t = buffers.now.work, buffers.now.work.t  # its columns are done with, and still in the cache
        np.sqrt(later if settlement == "instant" else settlement_terms(forward, strike, later).tau, t)
        t *= sigma
        np.divide(work.x, t, work.d1)
        t *= 0.5
        work.d1 += t
        work.d1 *= SQRT_HALF
        fill_delta(option_type, work, delta)
    else:
        priced = forward, strike, sigma, later, option_type
        delta = delta_only(
            *priced, settlement=settlement, numeraire=numeraire, inverse=inverse, out=buffers.later
        ).copy()
    delta[settling] = buffers.now.result.delta[settling]
    return delta
