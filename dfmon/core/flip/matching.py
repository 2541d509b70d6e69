"""Roots of the members of an ensemble, assigned to the roots of the headline book, and their bands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfmon.core.flip.member_roots import MemberRoots
from dfmon.core.pricing.black import F64, Mask

BAND: Final = np.array([0.05, 0.95])
MIN_SHARE: Final = 0.5
"""A root that a smaller share of the members has gets no band."""
_MATCH_WORTH: Final = 1e3
"""Worth of one more match in units of log distance, above any sum of distances."""


@dataclass(frozen=True, slots=True)
class RootBands:
    """For each of k headline roots the share of members that have it, and 5 and 95 % quantiles of their levels.

    `low` and `high` are NaN where under MIN_SHARE of the members have the root.
    """

    low: F64
    high: F64
    p: F64

    def as_pairs(self) -> list[tuple[float, float] | tuple[None, None]]:
        """The band of each root, None where it has none."""
        return [
            (None, None) if math.isnan(low) else (low, high) for low, high in zip(self.low.tolist(), self.high.tolist())
        ]


def match_roots(level: F64, rising: Mask, members: MemberRoots) -> F64:
    """The level of each headline root in each member; NaN where the member does not have it.

    Both lists are ascending. Of the assignments that keep the order and pair equal directions, takes the one with the
    largest number of pairs, among these the one with the smallest sum of absolute log distances.

    Units: USD. Shapes: (k,), (k,) -> (k, M). Domain: levels positive and ascending.
    Source: longest common subsequence with weights: Needleman & Wunsch (1970), J. Mol. Biol. 48.

    >>> members = MemberRoots.from_rows(2, [0, 0, 1], [91.0, 108.0, 95.0], [True, False, False])
    >>> match_roots(np.array([90.0, 110.0]), np.array([True, False]), members).tolist()
    [[91.0, nan], [108.0, 95.0]]
    """
    padded, member_rising = members.padded()
    if not level.size or not padded.shape[1]:
        return np.full((level.size, members.size), np.nan)
    log_level, log_member = np.log(level), np.log(padded)
    best = np.zeros((level.size + 1, members.size, padded.shape[1] + 1))
    """Largest score of the first i headline roots and the first j of the member, lexicographic in one number."""
    ending: list[F64] = []
    for i in range(level.size):
        worth = _MATCH_WORTH - np.abs(log_member - log_level[i])
        worth[(member_rising != rising[i]) | np.isnan(log_member)] = -np.inf
        ending.append(best[i, :, :-1] + worth)
        candidates = best[i].copy()
        np.maximum(candidates[:, 1:], ending[i], out=candidates[:, 1:])
        best[i + 1] = np.maximum.accumulate(candidates, axis=1)
    matched, row = np.full((level.size, members.size), np.nan), np.arange(members.size)
    last = np.full(members.size, padded.shape[1])
    for i in reversed(range(level.size)):
        score = best[i + 1, row, last]
        taken = np.flatnonzero(score > best[i, row, last])
        column = (ending[i][taken] == score[taken, None]).argmax(axis=1)
        matched[i, taken] = padded[taken, column]
        last[taken] = column
    return matched


def root_bands(matched: F64) -> RootBands:
    """Bands of the levels that `match_roots` returns.

    Units: of the levels. Shapes: (k, M) -> (k,) each. Domain: NaN where a member does not have the root; M >= 1.
    Source: Hyndman & Fan (1996), definition 7.

    >>> bands = root_bands(np.array([[90.0, 110.0, np.nan], [np.nan, np.nan, 90.0]]))
    >>> bands.low.tolist(), bands.high.tolist(), bands.p.round(3).tolist()
    ([91.0, nan], [109.0, nan], [0.667, 0.333])
    """
    count = matched.shape[1] - np.count_nonzero(np.isnan(matched), axis=1)
    p = count / matched.shape[1]
    quantiles = sorted_quantiles(np.sort(matched, axis=1), count)
    quantiles[:, (p < MIN_SHARE) | (count == 0)] = np.nan
    return RootBands(quantiles[0], quantiles[1], p)


def sorted_quantiles(ordered: F64, count: F64 | int) -> F64:
    """The BAND quantiles of the first `count` values of each row.

    Shapes: (k, M), (k,) or scalar -> (2, k). Domain: rows ascending; an empty row gives its first value.
    Source: Hyndman & Fan (1996), definition 7.
    """
    position = BAND[:, None] * np.maximum(np.asarray(count) - 1, 0)
    below = position.astype(np.intp)
    share = position - below
    rows = np.arange(ordered.shape[0])
    low, high = ordered[rows, below], ordered[rows, np.minimum(below + 1, np.maximum(np.asarray(count) - 1, 0))]
    return np.asarray(low + (high - low) * share)
