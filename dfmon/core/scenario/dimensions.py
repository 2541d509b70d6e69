"""Quantities that carry their unit, for the two sums in which unlike roll-ups meet: HPP and the slow flow.

Quantities of one unit add up; those of two units raise TypeError, also for a type checker. A factor that changes the
unit is applied by a method with the name of the factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from dfmon.model.units import DAY, HOUR


@dataclass(frozen=True, slots=True)
class _Quantity:
    value: float

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            raise TypeError(f"{type(self).__name__} + {type(other).__name__}: unlike units")
        return type(self)(self.value + other.value)

    def scaled(self, share: float) -> Self:
        """The same quantity times a pure number."""
        return type(self)(self.value * share)


class PointsPerPercent(_Quantity):
    """Volatility points that go with a move of spot of 1 %: the factor a."""

    __slots__ = ()


class DaysPerPercent(_Quantity):
    """Days in which spot typically moves 1 %, at the pace of one hour: the factor b."""

    __slots__ = ()


class PointsPerHour(_Quantity):
    """Pace of volatility: the change of one hour in points."""

    __slots__ = ()


class UsdPerPercent(_Quantity):
    """Delta per 1 % of spot: NGI and HPP."""

    __slots__ = ()


class UsdPerHour(_Quantity):
    """Delta per hour: the slow flow."""

    __slots__ = ()


class UsdPerPoint(_Quantity):
    """Delta per volatility point: VSS."""

    __slots__ = ()

    def per_percent(self, alpha: PointsPerPercent) -> UsdPerPercent:
        return UsdPerPercent(self.value * alpha.value)

    def per_hour(self, pace: PointsPerHour) -> UsdPerHour:
        return UsdPerHour(self.value * pace.value)


class UsdPerDay(_Quantity):
    """Delta per 24 h: CHL."""

    __slots__ = ()

    def per_percent(self, beta: DaysPerPercent) -> UsdPerPercent:
        return UsdPerPercent(self.value * beta.value)

    def per_hour(self) -> UsdPerHour:
        return UsdPerHour(self.value * HOUR / DAY)
