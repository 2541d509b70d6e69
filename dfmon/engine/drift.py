"""Our greeks against the venue's own, as its tickers bring them: a drift of the model or of a unit is seen here.

The venue's greeks are used for nothing else. They are compared on the ticker's own forward, volatility and time, by the
European formula: how the venue lets greeks fade in the half hour in which an option settles, it does not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import numpy as np

from dfmon.core.pricing.greek_calc import greeks
from dfmon.model.events import OptionGreeks, OptionTicker
from dfmon.model.frames import F64, I8, I64, column
from dfmon.model.units import MINUTE, YEAR, clean

_A_MINUTE: Final = 240  # so many tickers are compared in a minute of the venue's time, in turn
_SETTLING: Final = 30 * MINUTE
_NAMES: Final = ("delta", "gamma", "vega")
_ONE: Final = attrgetter(*_NAMES)
Told = OptionTicker | OptionGreeks


class GreekDrift:
    """What the newest comparison of each option said. Rows are those of the chain's columns."""

    def __init__(self) -> None:
        self._agrees: dict[int, bool] = {}  # by row
        self._said: dict[int, str] = {}  # of those that differ, in words
        self._minute = self._left = self._turn = 0

    def compare(self, tickers: Sequence[Told], rows: I64, strike: F64, expiry_ns: I64, option_type: I8) -> None:
        """Tickers of one tick, and the columns of their options. Of many only some, and others the next time."""
        minute = tickers[-1].exch_ns // MINUTE
        if minute > self._minute:
            self._minute, self._left = minute, _A_MINUTE
        if not self._left:
            return
        with_greeks = [at for at, ticker in enumerate(tickers) if ticker.greeks is not None]
        if len(with_greeks) > self._left:
            first = self._turn % len(with_greeks)
            with_greeks = (with_greeks[first:] + with_greeks[:first])[: self._left]
            self._turn += self._left
        if with_greeks:
            self._left -= len(with_greeks)
            at = np.array(with_greeks)
            signs = option_type[at].astype(np.float64)
            self._compare([tickers[place] for place in with_greeks], rows[at], strike[at], expiry_ns[at], signs)

    def _compare(self, tickers: Sequence[Told], rows: I64, strike: F64, expiry_ns: I64, option_type: F64) -> None:
        left_ns = expiry_ns - np.array([ticker.exch_ns for ticker in tickers], np.int64)
        forward = column([ticker.forward for ticker in tickers])
        here = greeks(
            forward,
            strike,
            column([ticker.mark_iv for ticker in tickers]),
            left_ns / YEAR,
            option_type,
            with_price=False,
        )
        ours = np.stack([here.delta, here.gamma, here.vega * 0.01])
        theirs = np.array([_ONE(ticker.greeks) for ticker in tickers], np.float64).T  # null becomes NaN
        off = np.abs(ours - theirs)
        known = np.isfinite(off).all(axis=0) & (left_ns > _SETTLING)
        differs = off > _tolerance(forward, ours)
        for at in np.flatnonzero(known).tolist():
            row = int(rows[at])
            self._agrees[row] = not differs[:, at].any()
            self._said.pop(row, None)
            if not self._agrees[row]:
                which = int(np.argmax(differs[:, at]))
                told, made = theirs[which, at], ours[which, at]
                self._said[row] = f"{clean(tickers[at].name)} {_NAMES[which]} {told:.5g} there, {made:.5g} here"

    def forget(self, rows: I64) -> None:
        """Options that are no longer listed."""
        for row in rows.tolist():
            self._agrees.pop(row, None)
            self._said.pop(row, None)

    @property
    def counts(self) -> tuple[int, int]:
        """Options compared, and those of them that differ."""
        return len(self._agrees), len(self._said)

    def words(self) -> str:
        """What differs; empty where nothing does."""
        checked, differing = self.counts
        if not differing:
            return ""
        newest = next(reversed(self._said.values()))
        return f"the venue's greeks of {differing} of {checked} options are not ours: {newest}"


def _tolerance(forward: F64, ours: F64) -> F64:
    """By how much delta, gamma and vega may differ, since what is compared is printed with a few digits.

    Greeks have five decimals, the volatility is known to 0.005 points, and the forward is some seconds older than the
    greeks: on two recorded boards of BTC 1.1e-4, 5e-6 and 0.037 USD at a forward of 95,000 were the most.
    """
    delta = np.full(forward.size, 1.5e-4)
    return np.stack([delta, 6e-6 + 1e-3 * np.abs(ours[1]), 6e-6 + 4.5e-7 * forward])
