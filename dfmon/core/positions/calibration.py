"""Coefficients of the read-out and of the bands. Made by `benchmarks/calibrate_positions.py`; not edited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RIDGE: Final[tuple[float, ...]] = (
    1.0034,
    -0.1182,
    -0.5496,
    0.5646,
    -0.9926,
    0.2523,
    -1.7216,
    0.1179,
    0.2513,
    0.2186,
    0.0924,
    -0.1019,
    0.036,
    -0.0676,
    0.08,
    0.0632,
    0.1367,
    -0.0769,
    -0.0343,
    -0.2001,
    -0.5427,
    0.0303,
    0.0274,
    0.0214,
    0.0543,
    0.0042,
    -0.043,
    -0.0537,
    0.1147,
    0.0724,
    -0.0564,
    -0.1828,
    -0.1262,
    0.0314,
    -0.0249,
    0.0907,
    0.4259,
    -0.1991,
    -0.1346,
)
"""Of the filter's mean times 1, low reversion, churn, their product, doubt, unpaired share, and the product of the last
two; of eight sums times 1, 3 x signal, churn, 3 x direction."""
WIDTH: Final[tuple[float, ...]] = (0.791, 0.2786, 0.3819, 0.2064, 0.1055)
"""Of the squared error: shares of the filter's variance, and of it times the unpaired share; of 1 - x^2 times the
squared doubt, times doubt and unpaired share, and times 3 x direction."""
LOADINGS: Final = (0.1103, 0.1931, 0.1337, 0.0, 0.1366, 0.3725)
"""Common factors of the errors: level, call/put, moneyness, their product, tenor, the position itself."""
MEMBER_SCALE: Final = 1.07
LONG_FACTOR: Final = 1.0
ROLL_UP_SCALES: Final[Mapping[str, float]] = {"ngi": 1.027, "vss": 1.0, "chl": 1.0, "volg": 1.03, "hpp": 1.027}
