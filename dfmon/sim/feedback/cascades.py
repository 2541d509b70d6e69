"""Forced orders that run for minutes in the direction of the move that set them off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dfmon.sim.market.surface import FloatArray


@dataclass(frozen=True, slots=True)
class CascadeSpec:
    """Cascades a day, those for each unit of short psi, mean minutes and strength (standard deviations a minute).

    `seen` is the log standard deviation of what is published of them: venues print only a part of the forced orders.
    """

    per_day: float = 0.0
    per_day_short: float = 0.0
    minutes: float = 12.0
    strength: float = 0.5
    seen: float = 0.3


class Cascades:
    """Cascades of n markets side by side."""

    def __init__(self, markets: int) -> None:
        self._left = np.zeros(markets)
        self._push = np.zeros(markets)
        self.running = False

    def push(self, starts: FloatArray, minutes: FloatArray, direction: FloatArray, strength: FloatArray) -> FloatArray:
        """The log return that forced orders make in the next minute.

        `starts` is 1 where a cascade may begin; one that runs is not replaced.
        """
        begins = (starts > 0.0) & (self._left <= 0.0)
        self._left = np.where(begins, minutes, self._left)
        self._push = np.where(begins, np.sign(direction) * strength, self._push)
        pushed = np.where(self._left > 0.0, self._push, 0.0)
        self._left -= 1.0
        self.running = bool((self._left > 0.0).any())
        return pushed
