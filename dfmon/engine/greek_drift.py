"""Comparison of our greeks with the venue's own: reveals a drift of the model or of a unit.

The venue's greeks are used for nothing else. They are compared on the ticker's own forward, volatility and time, by
the European formula: the venue does not document how its greeks fade in the last half hour before settlement.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import numpy as np

from dfmon.core.pricing.greek_calc import greeks
from dfmon.model.events import OptionGreeks, OptionTicker
from dfmon.model.frames import F64, I8, I64, float_column
from dfmon.model.units import MINUTE, YEAR, sanitize

_MAX_PER_MINUTE: Final = 240  # limit on comparisons in a minute of the venue's time; tickers take turns
_SETTLEMENT_WINDOW: Final = 30 * MINUTE
_GREEK_NAMES: Final = ("delta", "gamma", "vega")
_greek_values: Final = attrgetter(*_GREEK_NAMES)
GreekSource = OptionTicker | OptionGreeks


class GreekDrift:
    """Newest comparison of each option. Rows are those of the chain's columns."""

    def __init__(self) -> None:
        self._agreement: dict[int, bool] = {}  # by row
        self._differences: dict[int, str] = {}  # of those that differ, as text
        self._minute = self._remaining = self._next_start = 0

    def compare(self, tickers: Sequence[GreekSource], rows: I64, strike: F64, expiry_ns: I64, option_type: I8) -> None:
        """Compares the tickers of one tick with the columns of their options; beyond the limit, a rotating subset."""
        minute = tickers[-1].exch_ns // MINUTE
        if minute > self._minute:
            self._minute, self._remaining = minute, _MAX_PER_MINUTE
        if not self._remaining:
            return
        with_greeks = [index for index, ticker in enumerate(tickers) if ticker.greeks is not None]
        if len(with_greeks) > self._remaining:
            start = self._next_start % len(with_greeks)
            with_greeks = (with_greeks[start:] + with_greeks[:start])[: self._remaining]
            self._next_start += self._remaining
        if with_greeks:
            self._remaining -= len(with_greeks)
            index = np.array(with_greeks)
            signs = option_type[index].astype(np.float64)
            self._compare([tickers[i] for i in with_greeks], rows[index], strike[index], expiry_ns[index], signs)

    def _compare(
        self, tickers: Sequence[GreekSource], rows: I64, strike: F64, expiry_ns: I64, option_type: F64
    ) -> None:
        time_to_expiry_ns = expiry_ns - np.array([ticker.exch_ns for ticker in tickers], np.int64)
        forward = float_column([ticker.forward for ticker in tickers])
        computed = greeks(
            forward,
            strike,
            float_column([ticker.mark_iv for ticker in tickers]),
            time_to_expiry_ns / YEAR,
            option_type,
            with_price=False,
        )
        own_greeks = np.stack([computed.delta, computed.gamma, computed.vega * 0.01])
        venue_greeks = np.array([_greek_values(ticker.greeks) for ticker in tickers], np.float64).T  # null becomes NaN
        deviation = np.abs(own_greeks - venue_greeks)
        comparable = np.isfinite(deviation).all(axis=0) & (time_to_expiry_ns > _SETTLEMENT_WINDOW)
        differs = deviation > _tolerance(forward, own_greeks)
        for index in np.flatnonzero(comparable).tolist():
            row = int(rows[index])
            self._agreement[row] = not differs[:, index].any()
            self._differences.pop(row, None)
            if not self._agreement[row]:
                worst = int(np.argmax(differs[:, index]))
                venue_value, own_value = venue_greeks[worst, index], own_greeks[worst, index]
                self._differences[row] = (
                    f"{sanitize(tickers[index].name)} {_GREEK_NAMES[worst]} {venue_value:.5g} there, "
                    f"{own_value:.5g} here"
                )

    def discard_rows(self, rows: I64) -> None:
        """Forgets options that are no longer listed."""
        for row in rows.tolist():
            self._agreement.pop(row, None)
            self._differences.pop(row, None)

    @property
    def counts(self) -> tuple[int, int]:
        """Number of options compared, and of those that differ."""
        return len(self._agreement), len(self._differences)

    def status_text(self) -> str:
        """The differences as text; empty where there are none."""
        checked, differing = self.counts
        if not differing:
            return ""
        newest = next(reversed(self._differences.values()))
        return f"the venue's greeks of {differing} of {checked} options are not ours: {newest}"


def _tolerance(forward: F64, own_greeks: F64) -> F64:
    """Tolerances of delta, gamma and vega, given the few digits that the venue publishes.

    Greeks have five decimals, the volatility is known to 0.005 points, and the forward is some seconds older than the
    greeks: on two recorded boards of BTC the largest differences were 1.1e-4, 5e-6 and 0.037 USD at a forward of
    95,000.
    """
    delta = np.full(forward.size, 1.5e-4)
    return np.stack([delta, 6e-6 + 1e-3 * np.abs(own_greeks[1]), 6e-6 + 4.5e-7 * forward])
