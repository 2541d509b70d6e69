"""All compiled kernels under the names of `Kernels`; imported only where numba is installed."""

from __future__ import annotations

from dfmon.core.pricing.compiled.board_loops import exposures, roll_up, scatter, stencil
from dfmon.core.pricing.compiled.flip_loops import ground, scan
from dfmon.core.pricing.compiled.greek_loops import seven, seven_of_listing, seven_of_pairs
from dfmon.core.pricing.compiled.profile_loops import local, polish, profile

__all__ = [
    "exposures",
    "ground",
    "local",
    "polish",
    "profile",
    "roll_up",
    "scan",
    "scatter",
    "seven",
    "seven_of_listing",
    "seven_of_pairs",
    "stencil",
]
