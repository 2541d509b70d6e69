"""Forwards and volatilities of every option over the last hour, once a minute, with the clock and the fixings of then.

State of the step, shared by all position models. An option that has expired stays for the hour, with its strike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from dfmon.core.exposure.option_window import OptionWindow, option_keys, pick
from dfmon.core.exposure.reprice import MarketState
from dfmon.core.pricing.black import F64, Mask
from dfmon.model.frames import I64, ChainFrame
from dfmon.model.units import HOUR, MINUTE, YEAR

_Scalar = TypeVar("_Scalar", bound=np.generic)

SAMPLE_NS: Final = MINUTE
SAMPLES: Final = HOUR // MINUTE + 2  # the hour, and one sample before it to interpolate from


@dataclass(frozen=True, slots=True)
class Moment:
    """A market at `ts_ns`; forward, volatility and coins printed by the columns of the window.

    `average` is the mean of the fixings.
    """

    ts_ns: int
    venue_ns: int
    average: float
    forward: F64
    sigma: F64
    printed: F64

    def state(self, column: NDArray[np.intp], expiry_ns: I64) -> MarketState:
        """The state of these options, NaN for one without a column."""
        tau = (expiry_ns - self.venue_ns) / YEAR
        return MarketState(pick(self.forward, column), pick(self.sigma, column), tau, np.full(tau.shape, self.average))


@dataclass(frozen=True, slots=True)
class MarketWindow:
    """Samples of (forward, volatility, coins printed so far), and what does not change of each of their options.

    Units: USD, decimal. `option_type` +1 call, -1 put. Shared numbers of a sample: clock offset in ns and average.
    `frame_key` are the keys of the options of the newest frame, `frame_uid` their numbers in this session and
    `frame_printed` the coins printed since the first frame that had them.
    """

    frame_key: I64
    frame_uid: I64
    frame_printed: F64
    samples: OptionWindow
    expiry_ns: I64
    strike: F64
    option_type: F64
    inverse: Mask

    @classmethod
    def empty(cls) -> MarketWindow:
        samples = OptionWindow.empty(SAMPLE_NS, SAMPLES, fields=3, numbers=2)
        no_keys, none = np.zeros(0, np.int64), np.zeros(0)
        return cls(no_keys, no_keys, none, samples, no_keys, none, none, np.zeros(0, np.bool_))

    def push(self, chain: ChainFrame, is_sample: bool = True) -> MarketWindow:
        """The window with this frame, and once a minute with a sample of its market.

        Domain: an option without forward or volatility has none in the sample; a frame of stale marks, or one in which
        most options have none, is no sample.
        """
        key = option_keys(chain.expiry_ns, chain.strike, chain.option_type, chain.inverse)
        printed = self._printed(key, chain)
        usable = (chain.forward > 0.0) & np.isfinite(chain.forward) & (chain.sigma > 0.0) & np.isfinite(chain.sigma)
        if not is_sample or 2 * np.count_nonzero(usable) < usable.size:
            return replace(self, frame_key=key, frame_uid=chain.uid, frame_printed=printed)
        columns = np.concatenate([np.where(usable, [chain.forward, chain.sigma], np.nan), printed[None]])
        numbers = float(chain.clock_ns), chain.delivery_average
        samples = self.samples.push(chain.ts_ns, key, columns, numbers)
        window = replace(self, frame_key=key, frame_uid=chain.uid, frame_printed=printed, samples=samples)
        if np.array_equal(samples.key, self.samples.key):
            return window
        before, listed = self.samples.find(samples.key), _column_of(samples.key, key)
        return replace(
            window,
            expiry_ns=_merged(self.expiry_ns, chain.expiry_ns, before, listed),
            strike=_merged(self.strike, chain.strike, before, listed),
            option_type=_merged(self.option_type, chain.option_type.astype(np.float64), before, listed),
            inverse=_merged(self.inverse, chain.inverse, before, listed),
        )

    def _printed(self, key: I64, chain: ChainFrame) -> F64:
        """Coins printed of each option of the frame, its own prints included."""
        printed = self.frame_printed
        if not np.array_equal(key, self.frame_key):
            before = _column_of(key, self.frame_key)
            printed = np.where(before >= 0, np.append(printed, 0.0)[before], 0.0)
        if not chain.trades.uid.size:
            return printed
        row = _column_of(chain.trades.uid, chain.uid)
        known = row >= 0
        return np.asarray(printed + np.bincount(row[known], chain.trades.size[known], key.size))

    def moment(self, ts_ns: int) -> Moment | None:
        """The market at `ts_ns`, or at the first sample after it; None where there is none."""
        found = self.samples.at(ts_ns)
        if found is None:
            return None
        time, (forward, sigma, printed), (clock_ns, average) = found
        return Moment(time, time - round(float(clock_ns)), float(average), forward, sigma, printed)

    def expired_between(self, start_ns: int, end_ns: int) -> NDArray[np.intp]:
        """Columns of the options that expired after `start_ns`, up to `end_ns`, by the venue's clock."""
        return np.flatnonzero((self.expiry_ns > start_ns) & (self.expiry_ns <= end_ns))

    def settled_state(self, column: NDArray[np.intp]) -> MarketState:
        """The state at settlement of these options: their last forward, volatility and average."""
        forward, sigma, _ = self.samples.last_values()[:, column]
        averages = self.samples.shared[:, 1]
        known = averages[np.isfinite(averages)]
        average = np.full(column.shape, known[-1] if known.size else np.nan)
        return MarketState(forward, sigma, np.zeros(column.shape), average)


def _merged(
    old: NDArray[_Scalar], new: NDArray[_Scalar], before: NDArray[np.intp], listed: NDArray[np.intp]
) -> NDArray[_Scalar]:
    """Terms of options: those in the frame from the `new` ones, the others as they were."""
    both = np.concatenate([old, new])
    return both[np.where(listed >= 0, old.size + listed, before)]


def _column_of(key: I64, frame_key: I64) -> NDArray[np.intp]:
    """The index of each `key` in the frame, -1 for one that is not there."""
    order = np.argsort(frame_key, kind="stable")
    if not order.size:
        return np.full(key.shape, -1)
    index = order[np.minimum(np.searchsorted(frame_key, key, sorter=order), order.size - 1)]
    return np.where(frame_key[index] == key, index, -1)
