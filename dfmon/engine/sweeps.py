"""Sweeps of a board: the venue has brought data of practically all of its options once.

An input of a board is as old as its newest sweep, not as its newest message: one busy option says nothing about the
others. Options hold their share of open interest; those that ten sweeps leave out are listed.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.frames import F64, I64
from dfmon.model.units import SECOND

SWEEP_SHARE: Final = 0.9  # of open interest
MAX_ABSENT_SWEEPS: Final = 10
_MIN_ABSENCE_NS: Final = 75 * SECOND  # marks name only rows that changed; the poll of the full board names every row


def sweep_time(received_ns: I64, weight: F64) -> int:
    """The newest time since which options with SWEEP_SHARE of the weight have had data; 0 where they have not.

    Shapes: (n,), (n,) -> scalar. Domain: times 0 where there were no data; a weight that is unknown counts as none, and
    options count alike where no weight is known.
    """
    if not received_ns.size:
        return 0
    weight = np.nan_to_num(weight)
    if not weight.sum() > 0.0:
        weight = np.ones(received_ns.size)
    newest_first = np.argsort(-received_ns, kind="stable")
    cumulative = np.cumsum(weight[newest_first])
    last = int(np.searchsorted(cumulative, SWEEP_SHARE * cumulative[-1]))
    return int(received_ns[newest_first[last]])


class SweepLog:
    """Times at which the last sweeps of one board were complete."""

    def __init__(self) -> None:
        self._complete_ns: deque[int] = deque(maxlen=MAX_ABSENT_SWEEPS + 1)

    def absent_rows(self, received_ns: I64, seen_ns: I64, weight: F64, ts_ns: int) -> NDArray[np.intp]:
        """Rows that the last ten sweeps left out. Called at every tick.

        `received_ns` are the times of the newest data of each row, `seen_ns` those of its listing.
        """
        if self._complete_ns and self._complete_ns[-1] > ts_ns:  # our clock was set back
            self._complete_ns.clear()
        if sweep_time(received_ns, weight) > (self._complete_ns[-1] if self._complete_ns else 0):
            self._complete_ns.append(ts_ns)
        if len(self._complete_ns) <= MAX_ABSENT_SWEEPS:
            return np.zeros(0, np.intp)
        before_ns = min(self._complete_ns[0], ts_ns - _MIN_ABSENCE_NS)
        return np.flatnonzero(np.maximum(received_ns, seen_ns) <= before_ns)
