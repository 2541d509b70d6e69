"""Coefficients of the read-out and of the bands. Made by `benchmarks/calibrate_positions.py`; not edited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RIDGE: Final[tuple[float, ...]] = (
    0.6833,
    0.1634,
    -0.3559,
    0.3995,
    0.0651,
    0.262,
    0.1327,
    0.0819,
    -0.0438,
    0.2417,
    -0.0735,
    0.0711,
    0.0504,
    0.1632,
    -0.1056,
    0.0064,
    -0.1471,
    -0.5678,
    0.0372,
    -0.0492,
    -0.056,
    0.0004,
    0.0545,
    -0.0024,
    -0.0311,
    0.1407,
    -0.0065,
    -0.0482,
)
"""Of the filter's mean times 1, low reversion, churn, their product; of eight sums times 1, 3 x signal, churn."""
WIDTH: Final = (0.7622, 0.0297, 0.0376, 0.0)
"""Of the squared error: shares of the filter's variance, of 1 - x^2, and of that times low reversion, and churn."""
LOADINGS: Final = (0.1127, 0.1674, 0.1654, 0.0, 0.129, 0.2943)
"""Common factors of the errors: level, call/put, moneyness, their product, tenor, the position itself."""
MEMBER_SCALE: Final = 1.142
LONG_FACTOR: Final = 1.0
ROLL_UP_SCALES: Final[Mapping[str, float]] = {"ngi": 1.04, "vss": 1.141, "chl": 1.196, "volg": 1.025, "hpp": 1.04}
