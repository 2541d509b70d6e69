"""The index path: log-price with stochastic volatility and mild jumps, and the smile that goes with it.

One call of `step` is one fixed slice of market time, so the path depends on the seed and the number of steps alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.model.units import DAY, MINUTE, YEAR
from dfmon.sim.market.surface import Smile

_PULL_NS: Final = MINUTE  # in which a target takes up most of a deviation


@dataclass(frozen=True, slots=True)
class PathSpec:
    """Annual volatility around which the coin trades; jumps per day and their size (log return)."""

    spot: float
    vol: float
    vol_of_vol: float = 1.8
    half_life_days: float = 2.0
    jumps_per_day: float = 40.0
    jump_size: float = 0.0012
    spot_vol_corr: float = -0.2


class IndexPath:
    """Price, instantaneous volatility and skew of one coin."""

    def __init__(self, spec: PathSpec, step_ns: int, rng: np.random.Generator) -> None:
        self._spec, self._rng = spec, rng
        self._dt = step_ns / YEAR
        self._sqrt_dt = math.sqrt(self._dt)
        self._reversion_rate = math.log(2.0) / (spec.half_life_days * DAY / YEAR)
        self._jump_chance = spec.jumps_per_day * step_ns / DAY
        self._log_vol = 0.0  # deviation of log volatility from its mean
        self._skew = -0.15
        self.price = spec.spot
        self.log_return = 0.0  # log return of the last step
        self.target: tuple[float, float] | None = None  # log price and log volatility that a script leads to

    @property
    def vol(self) -> float:
        """Instantaneous volatility, decimal per sqrt(year)."""
        return self._spec.vol * math.exp(self._log_vol)

    @property
    def step_sd(self) -> float:
        """Standard deviation of one step's log return."""
        return self.vol * self._sqrt_dt

    @property
    def smile(self) -> Smile:
        """The surface now: short variance follows the instantaneous one, the long end hardly moves."""
        spec = self._spec
        v_inf = (spec.vol * 1.08 * math.exp(0.25 * self._log_vol)) ** 2
        return Smile(v0=(self.vol * 1.04) ** 2, v_inf=v_inf, rho=self._skew)

    def step_price(self, drift_sd: float = 0.0, push: float = 0.0) -> None:
        """Moves one step; `drift_sd` leans on it, in standard deviations of a step, and `push` is a log return more."""
        spec = self._spec
        e_vol, e_idiosyncratic, e_skew, e_jump = self._rng.standard_normal(4).tolist()
        e_spot = spec.spot_vol_corr * e_vol + math.sqrt(1.0 - spec.spot_vol_corr**2) * e_idiosyncratic
        self.log_return = self.step_sd * (e_spot + drift_sd) - 0.5 * self.step_sd**2 + push
        if self._rng.random() < self._jump_chance and self.target is None:
            self.log_return += spec.jump_size * e_jump
        if self.target is not None:
            self._lead_to(*self.target)
        self.price *= math.exp(self.log_return)
        self._log_vol += -self._reversion_rate * self._log_vol * self._dt + spec.vol_of_vol * self._sqrt_dt * e_vol
        self._log_vol = min(max(self._log_vol, -0.9), 0.9)
        self._skew += self._reversion_rate * (-0.15 - self._skew) * self._dt + 2.0 * self._sqrt_dt * e_skew
        self._skew = min(max(self._skew, -0.5), 0.5)

    def _lead_to(self, log_price: float, log_vol: float) -> None:
        """Pulls the step towards a target; what is left of the noise is that of a minute."""
        share = self._dt * YEAR / _PULL_NS
        self.log_return += share * (log_price - math.log(self.price))
        self._log_vol += share * (log_vol - math.log(self._spec.vol) - self._log_vol)


def generate_index_history(
    spot: float, vol: float, hours: int, rng: np.random.Generator
) -> np.typing.NDArray[np.float64]:
    """Hourly prices before the start, oldest first, ending at `spot`: a walk pinned at its end."""
    steps = rng.standard_normal(hours) * vol / math.sqrt(365.0 * 24.0)
    index_history: np.typing.NDArray[np.float64] = spot * np.exp(np.clip(np.cumsum(steps), -0.5, 0.5))[::-1]
    index_history[-1] = spot
    return index_history
