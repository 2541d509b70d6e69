"""Coefficients of the read-out and of the bands. Made by `python benchmarks/calibrate_positions.py`; not edited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RIDGE: Final[tuple[float, ...]] = (1.089, -0.104, -0.481, 0.789, *(0.0,) * 24)
"""Of the filter's mean times 1, low reversion, churn, their product; of eight sums times 1, 3 x signal, churn."""
WIDTH: Final = (0.987, 0.0203)
"""Of the squared error: share of the filter's variance, and share of 1 - x^2."""
LOADINGS: Final = (0.141, 0.124, 0.119, 0.059, 0.103, 0.219)
"""Common factors of the errors: level, call/put, moneyness, their product, tenor, the position itself."""
MEMBER_SCALE: Final = 1.16
LONG_FACTOR: Final = 1.06
ROLL_UP_SCALES: Final[Mapping[str, float]] = {"ngi": 1.0, "vss": 1.15, "chl": 1.14, "volg": 1.0, "hpp": 1.0}
