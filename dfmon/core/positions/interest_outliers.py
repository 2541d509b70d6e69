"""Single values of open interest that the next one takes back.

A change beyond what prints explain is in doubt until the next value of its option. Where that is explained from the
value before, and not from the one in doubt, the one in doubt was wrong. Otherwise it counts from the next one on, or
from the time by which that should have come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.frames import F64, I64

DOUBTFUL_SHARE: Final = 0.02  # of open interest: what is unexplained of a change that is in doubt
_NEVER: Final = np.iinfo(np.int64).max
_ROUNDING: Final = 1e-9  # of the coins in question: less is no difference


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Marks of wrong values and of those in doubt still, and the time from which each of the others counts."""

    wrong: NDArray[np.bool_]
    in_doubt: NDArray[np.bool_]
    counts_ns: I64


def verdicts(
    row: I64, ts_ns: I64, before: F64, value: F64, printed: F64, limit_ns: I64, now_ns: int
) -> Verdicts | None:
    """Verdicts on values in the order of row and time; None where all of them count at once.

    `before` is the value before each (NaN: none was shown), `printed` the coins printed between the two, `limit_ns` the
    time by which the next one should have come.

    Units: coins, ns. Shapes: (n,) each.
    """
    change = value - before
    unexplained = np.abs(change) - printed
    doubtful = unexplained > DOUBTFUL_SHARE * np.maximum(value, before)
    if not doubtful.any():
        return None
    next_ns = np.full(row.size, _NEVER)
    same_row = row[1:] == row[:-1]
    next_ns[:-1][same_row] = ts_ns[1:][same_row]
    returns = np.zeros(row.size, np.bool_)
    both, all_printed = change[:-1] + change[1:], printed[:-1] + printed[1:]
    explained = np.abs(both) <= all_printed + _ROUNDING * (value[:-1] + all_printed)
    returns[:-1] = explained & (unexplained[1:] > _ROUNDING * value[:-1]) & (next_ns <= limit_ns)[:-1]
    wrong = np.zeros(row.size, np.bool_)
    for at in np.flatnonzero(doubtful).tolist():
        if at and wrong[at - 1]:
            doubtful[at] = False  # it is explained from the value before the wrong one
        else:
            wrong[at] = returns[at]
    counts_ns = np.where(doubtful, np.minimum(next_ns, limit_ns), ts_ns)
    return Verdicts(wrong, doubtful & (counts_ns > now_ns), counts_ns)
