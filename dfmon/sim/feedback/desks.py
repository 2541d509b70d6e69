"""Dealer desks that hedge late, in part, or outside a band only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dfmon.sim.market.surface import FloatArray


class Desk(NamedTuple):
    """A share of the book. It trades `fraction` of its open delta `lag` minutes after a move, once that delta is beyond
    `band` (as the log return that hedging it would make).
    """

    share: float = 1.0
    lag: int = 1
    fraction: float = 1.0
    band: float = 0.0


class HedgingDesks:
    """The open deltas of desks in n markets side by side."""

    def __init__(self, desks: Sequence[Desk], markets: int) -> None:
        self._desks = tuple(desks)
        self._open = [np.zeros(markets) for _ in desks]
        self._moves = [np.zeros((desk.lag, markets)) for desk in desks]
        self._minute = 0

    def add(self, delta: FloatArray) -> None:
        """Takes the delta that the book gained in this minute, as a log return."""
        for desk, moves in zip(self._desks, self._moves):
            moves[self._minute % desk.lag] = delta

    def hedge(self) -> FloatArray:
        """The log return that the hedges of the next minute make."""
        self._minute += 1
        total = np.zeros(self._open[0].shape)
        for desk, delta, moves in zip(self._desks, self._open, self._moves):
            delta += desk.share * moves[self._minute % desk.lag]
            traded = desk.fraction * delta
            if desk.band:
                traded[np.abs(delta) <= desk.band] = 0.0
            delta -= traded
            total -= traded
        return total
