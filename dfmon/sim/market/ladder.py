"""A limit order book as a moving ladder: one price at the touch, then one level every `group` ticks.

Prices are integer ticks, sizes are coins rounded to the venue's lot. Each step records only the levels it changed,
so a venue's diff stream costs what changed and not what rests.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class LadderSpec:
    """Shape of a book. `coins_1pct` rest within 1 % of the mid on each side; `spread` and `group` are in ticks."""

    tick: float
    group: int
    levels: int
    coins_1pct: float
    lot_digits: int
    spread: int = 1


class Change(NamedTuple):
    """One step's difference: price in ticks to the new size, 0 where the level is gone."""

    version: int
    bids: dict[int, float]
    asks: dict[int, float]


class Ladder:
    """Both sides of one book."""

    def __init__(self, spec: LadderSpec, mid: float, rng: np.random.Generator) -> None:
        self.spec = spec
        self._rng = rng
        self._noise: list[float] = []
        per_level = 100.0 * spec.group * spec.tick / mid  # levels' share of one per cent
        self._mean = spec.coins_1pct * per_level * 1.03
        self._ramp = 0.0008 * mid / (spec.tick * spec.group)  # levels over which the book thickens
        self.bids: dict[int, float] = {}
        self.asks: dict[int, float] = {}
        self.bid = self.ask = 0
        self.version = 1
        self.log: deque[Change] = deque(maxlen=256)
        self.step(mid)

    def step(self, mid: float) -> None:
        """Move the book to `mid` and let a few levels change."""
        spec = self.spec
        bid = math.floor(mid / spec.tick - 0.5 * spec.spread + 0.5)
        ask = bid + spec.spread
        change = Change(self.version + 1, {}, {})
        self._side(self.bids, change.bids, self.bid, bid, -1)
        self._side(self.asks, change.asks, self.ask, ask, +1)
        self.bid, self.ask = bid, ask
        if change.bids or change.asks:
            self.version += 1
            self.log.append(change)

    def touch(self) -> None:
        """An order at the touch is replaced by its equal: an update that changes nothing."""
        self.version += 1
        self.log.append(Change(self.version, {self.bid: self.bids[self.bid]}, {self.ask: self.asks[self.ask]}))

    def since(self, version: int) -> Change:
        """All changes after `version`, merged."""
        bids: dict[int, float] = {}
        asks: dict[int, float] = {}
        for change in self.log:
            if change.version > version:
                bids.update(change.bids)
                asks.update(change.asks)
        return Change(self.version, bids, asks)

    def top_bids(self, n: int) -> list[tuple[int, float]]:
        """The best `n` bids, best first."""
        return sorted(self.bids.items(), reverse=True)[:n] if n > 20 else self._top(self.bids, self.bid, -1, n)

    def top_asks(self, n: int) -> list[tuple[int, float]]:
        """The best `n` asks, best first."""
        return sorted(self.asks.items())[:n] if n > 20 else self._top(self.asks, self.ask, +1, n)

    @property
    def mid(self) -> float:
        """Middle of the touch."""
        return 0.5 * (self.bid + self.ask) * self.spec.tick

    def _top(self, side: dict[int, float], best: int, way: int, n: int) -> list[tuple[int, float]]:
        group = self.spec.group
        first = _behind(best, group, way)
        prices = [best] + [way * level * group for level in range(first, first + n - 1)]
        return [(p, side[p]) for p in prices if p in side]

    def _side(self, side: dict[int, float], diff: dict[int, float], old: int, best: int, way: int) -> None:
        """Rewrite one side; `way` points away from the mid. Levels count outwards from behind the touch."""
        group, levels = self.spec.group, self.spec.levels
        top = _behind(best, group, way)
        if old != best:
            before = _behind(old, group, way) if old else top + levels
            self._drop(side, diff, old)
            for level in _outside(before, before + levels, top, top + levels):
                self._drop(side, diff, way * level * group)
            for level in _outside(top, top + levels, before, before + levels):
                self._put(side, diff, way * level * group, level - top)
            if old % group == 0 and top <= way * old // group < top + levels:
                self._put(side, diff, old, way * old // group - top)
        moving = self._uniform(4)
        for u in moving[:3]:
            depth = int(levels * u**4)
            self._put(side, diff, way * (top + depth) * group, depth)
        if best not in side or moving[3] < 0.4:
            self._put(side, diff, best, 0)

    @staticmethod
    def _drop(side: dict[int, float], diff: dict[int, float], price: int) -> None:
        if side.pop(price, None) is not None:
            diff[price] = 0.0

    def _put(self, side: dict[int, float], diff: dict[int, float], price: int, depth: int) -> None:
        shape = 0.35 + 0.65 * min(1.0, depth / max(self._ramp, 1.0))
        size = round(self._mean * shape * self._lognormal(), self.spec.lot_digits)
        side[price] = diff[price] = max(size, 10.0**-self.spec.lot_digits)

    def _lognormal(self) -> float:
        if not self._noise:
            self._noise = np.exp(self._rng.normal(-0.08, 0.4, _BLOCK)).tolist()
        return self._noise.pop()

    def _uniform(self, n: int) -> list[float]:
        drawn: list[float] = self._rng.random(n).tolist()
        return drawn


def _behind(best: int, group: int, way: int) -> int:
    """The first grid level strictly behind the touch, counted outwards (negative on the bid side)."""
    return way * best // group + 1


def _outside(first: int, end: int, other_first: int, other_end: int) -> Iterator[int]:
    """Members of [first, end) that are not in [other_first, other_end)."""
    yield from range(first, min(end, other_first))
    yield from range(max(first, other_end), end)
