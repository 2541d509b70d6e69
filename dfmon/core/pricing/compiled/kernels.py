"""All compiled kernels under the names of `Kernels`; imported only where numba is installed."""

from __future__ import annotations

from dfmon.core.pricing.compiled.board_loops import exposures, roll_up, scatter, stencil
from dfmon.core.pricing.compiled.flip_loops import flip_inputs, scan_profile
from dfmon.core.pricing.compiled.greek_loops import fill_delta, fill_greeks, fill_priced
from dfmon.core.pricing.compiled.member_loops import member_zeros
from dfmon.core.pricing.compiled.profile_loops import gamma_derivatives, polish, profile

__all__ = [
    "exposures",
    "fill_delta",
    "fill_greeks",
    "fill_priced",
    "flip_inputs",
    "gamma_derivatives",
    "member_zeros",
    "polish",
    "profile",
    "roll_up",
    "scan_profile",
    "scatter",
    "stencil",
]
