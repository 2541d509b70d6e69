"""Families of simulated markets with known books, for tests and calibration of estimators of positions."""

from dfmon.sim.populations.families import FAMILIES
from dfmon.sim.populations.family import Family
from dfmon.sim.populations.simulate import simulate
from dfmon.sim.populations.tape import MarketTape

__all__ = ["FAMILIES", "Family", "MarketTape", "simulate"]
