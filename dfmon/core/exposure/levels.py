"""Strikes of note: walls, key gamma, the largest open interest, and max pain. Separate facts, never mixed.

Comes after the roll-ups by strike; feeds the chart's lines and the snapshot's `levels`.
"""

from __future__ import annotations

import numpy as np

from dfmon.model.frames import F64, I8
from dfmon.model.snapshot import Levels


def levels(strikes: F64, ngi: F64, open_interest: F64, max_pain: float | None) -> Levels:
    """Levels from sums by strike.

    `call_wall` is the strike with the largest positive and `put_wall` that with the largest negative dealer gamma;
    None where no strike has that sign. `key_gamma` has the largest of either sign.
    Units: strikes USD; ngi USD per +1 %; interest coins. Shapes: (k,) each, strikes ascending.
    Domain: k may be 0; all-zero columns give None. Source: walls as the equity vendors name them.
    """

    def strike_of(values: F64) -> float | None:
        top = int(np.argmax(values)) if values.size else 0
        return float(strikes[top]) if values.size and values[top] > 0.0 else None

    return Levels(
        call_wall=strike_of(ngi),
        put_wall=strike_of(-ngi),
        key_gamma=strike_of(np.abs(ngi)),
        oi_wall=strike_of(open_interest),
        max_pain=max_pain,
    )


def max_pain(strike: F64, option_type: I8, open_interest: F64) -> float | None:
    """The listed strike of one expiry at which its options pay out least.

    Units: USD; interest coins. Shapes: (n,) each. Domain: NaN interest counts as none; None without any.
    Source: the usual definition, sum of intrinsic value times open interest.

    >>> k = np.array([90.0, 100.0, 110.0, 90.0, 100.0, 110.0])
    >>> cp = np.array([1, 1, 1, -1, -1, -1], np.int8)
    >>> max_pain(k, cp, np.array([0.0, 5.0, 9.0, 9.0, 5.0, 0.0]))
    100.0
    """
    weights = np.nan_to_num(open_interest)
    if not weights.any():
        return None
    candidates = np.unique(strike)
    intrinsic = np.maximum(option_type[None, :] * (candidates[:, None] - strike[None, :]), 0.0)
    return float(candidates[int(np.argmin((intrinsic * weights).sum(axis=1)))])
