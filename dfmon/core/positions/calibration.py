"""Coefficients of the read-out and of the bands. Made by `benchmarks/calibrate_positions.py`; not edited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RIDGE: Final[tuple[float, ...]] = (
    0.6877,
    0.1472,
    -0.2516,
    0.3627,
    0.0735,
    0.2817,
    0.1271,
    0.0805,
    -0.0507,
    0.2661,
    -0.0591,
    0.0809,
    0.0093,
    0.1313,
    -0.1095,
    0.0024,
    -0.1484,
    -0.5933,
    0.0332,
    -0.0572,
    -0.0605,
    -0.0043,
    0.0516,
    -0.0149,
    -0.0335,
    0.1577,
    0.0106,
    -0.0302,
)
"""Of the filter's mean times 1, low reversion, churn, their product; of eight sums times 1, 3 x signal, churn."""
WIDTH: Final = (0.8368, 0.0256, 0.0345, 0.0)
"""Of the squared error: shares of the filter's variance, of 1 - x^2, and of that times low reversion, and churn."""
LOADINGS: Final = (0.1125, 0.1549, 0.1715, 0.0, 0.1358, 0.2444)
"""Common factors of the errors: level, call/put, moneyness, their product, tenor, the position itself."""
MEMBER_SCALE: Final = 1.14
LONG_FACTOR: Final = 1.02
ROLL_UP_SCALES: Final[Mapping[str, float]] = {"ngi": 1.0, "vss": 1.0, "chl": 1.0, "volg": 1.0, "hpp": 1.0}
