"""Calibration of bands and chances on simulated markets: their spread about the mean book, by roll-up; not edited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

BAND_SCALES: Final[Mapping[str, float]] = {
    "hpp": 1.0,
    "hedge_flow": 1.0,
    "outlook": 1.0,
    "unwind": 1.0,
    "edges": 1.414,
}
"""Made by `benchmarks/calibrate_bands.py`; those of NGI, VSS, CHL and VOLG are in core/positions/calibration.py."""

ODDS: Final[Mapping[str, tuple[float, float]]] = {
    "sign": (1.25, 1.0),
    "flip": (1.1, 1.65),
}
"""Exponent and factor of the odds of a share of the members. Made by `benchmarks/verdict_calibration.py --fit`."""
