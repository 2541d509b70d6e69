"""The options of a feedback market in columns: listing, dealers' true positions, and their gamma at any minute."""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.sim.feedback.minute_path import DAY_MINUTES, MINUTES_A_YEAR
from dfmon.sim.market.surface import SQRT_2PI, FloatArray, Smile

_EXPIRY_DAYS: Final = (1, 2)
"""Dailies; the other expiries are Fridays. Days begin at 08:00 UTC, day 0 is a Monday."""
_FRIDAY: Final = 4
AVERAGING_MINUTES: Final = 30
_LOSS: Final = 20.0  # minutes of time value that the delivery average takes
_EXTENT: Final = 2.2  # strikes, standard deviations of their expiry


class BookGamma(NamedTuple):
    """Dealers' gamma in USD of delta per 1 %: net, of the positions of a day before, and of all open interest."""

    net: float
    stale: float
    gross: float


class OptionColumns:
    """Rows of `expiries` x `strikes` x call and put; an expiry that is delivered gives its rows to the next one."""

    def __init__(self, expiries: int, strikes: int, spot: float, smile: Smile) -> None:
        self._expiries, self._width = expiries, 2 * strikes
        self._distance = np.repeat(np.linspace(-_EXTENT, _EXTENT, strikes), 2)
        size = expiries * self._width
        self.strike, self.vol, self._log_strike = np.ones(size), np.ones(size), np.zeros(size)
        self.expiry = np.zeros(size)
        self.position, self.interest = np.zeros(size), np.zeros(size)
        self._hourly: deque[FloatArray] = deque(maxlen=25)
        self.roll(0, spot, smile)

    def roll(self, day: int, spot: float, smile: Smile) -> None:
        """Delivers what expires at the start of `day` and lists the next expiries in its place."""
        minute = day * DAY_MINUTES
        listed = {int(m) for m in self.expiry[:: self._width] if m > minute}
        fresh = [m for m in _calendar(day, self._expiries) if m not in listed]
        for slot in range(self._expiries):
            rows = slice(slot * self._width, (slot + 1) * self._width)
            if self.expiry[rows.start] > minute:
                continue
            self.expiry[rows] = fresh.pop(0)
            spread = math.sqrt((self.expiry[rows.start] - minute) / MINUTES_A_YEAR) * math.sqrt(smile.v0)
            self.strike[rows] = spot * np.exp(self._distance * spread)
            self._log_strike[rows] = np.log(self.strike[rows])
            for column in (self.position, self.interest, *self._hourly):
                column[rows] = 0.0
        self.reprice(minute, spot, smile)

    def reprice(self, minute: int, spot: float, smile: Smile) -> None:
        """Volatilities of the strikes, and a copy of the positions for those of a day later; once an hour."""
        years = np.maximum(self.expiry - minute, 1.0) / MINUTES_A_YEAR
        self.vol = smile.volatility(self._log_strike - math.log(spot), years)
        self._hourly.append(self.position.copy())

    def trade(self, row: int, dealers: float) -> None:
        """Adds `dealers` coins to their position in a row."""
        self.interest[row] = max(self.interest[row] + 0.5 * abs(dealers), abs(self.position[row] + dealers))
        self.position[row] += dealers

    def close(self, share: float) -> None:
        """Closes a share of every position."""
        self.position *= 1.0 - share
        self.interest *= 1.0 - share

    def gamma(self, minute: int, spot: float, average: float | None = None) -> BookGamma:
        """Gamma at a minute and a spot; `average` is that of the delivery so far (default: spot)."""
        left = np.maximum(self.expiry - minute, 1.0)
        share = np.minimum(left / AVERAGING_MINUTES, 1.0)
        time, log_strike = left - _LOSS * np.clip((360.0 - left) / 180.0, 0.0, 1.0), self._log_strike
        settling = np.flatnonzero(left < AVERAGING_MINUTES)
        if settling.size:
            time[settling], log_strike = left[settling] / 3.0, log_strike.copy()
            open_strike = self.strike[settling] - (1.0 - share[settling]) * (average or spot)
            log_strike[settling] = np.log(np.maximum(open_strike / share[settling], 1e-6 * spot))
        total_sd = self.vol * np.sqrt(time / MINUTES_A_YEAR)
        d1 = (math.log(spot) - log_strike) / total_sd + 0.5 * total_sd
        unit = share * np.exp(-0.5 * d1 * d1) * (0.01 * spot / SQRT_2PI) / total_sd
        stale = float(unit @ self._hourly[0]) if len(self._hourly) == self._hourly.maxlen else math.nan
        return BookGamma(float(unit @ self.position), stale, float(unit @ self.interest))

    def heavy_strike(self, minute: int, spot: float) -> float:
        """The strike of the nearest expiry with the largest positive position of dealers times its nearness."""
        nearest = np.flatnonzero(self.expiry == self.expiry.min())
        sd = self.vol[nearest] * math.sqrt(max(float(self.expiry.min()) - minute, 5.0) / MINUTES_A_YEAR)
        weight = np.abs(self.position[nearest]) * np.exp(-0.5 * (np.log(self.strike[nearest] / spot) / sd) ** 2)
        return float(self.strike[nearest][int(np.argmax(weight))])

    def at_the_money(self, spot: float) -> int:
        """The row of the nearest expiry whose strike is nearest to spot."""
        nearest: NDArray[np.intp] = np.flatnonzero(self.expiry == self.expiry.min())
        return int(nearest[int(np.argmin(np.abs(self.strike[nearest] - spot)))])


def _calendar(day: int, expiries: int) -> list[int]:
    """Minutes of the next expiries at the start of a day: two dailies, and Fridays."""
    days = {day + n for n in _EXPIRY_DAYS}
    friday = day + (_FRIDAY - day) % 7
    friday += 7 * (friday == day)
    while len(days) < expiries:
        days.add(friday)
        friday += 7
    return [d * DAY_MINUTES for d in sorted(days)]
