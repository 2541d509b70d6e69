"""A limit order book as a moving ladder: one price at the touch, then one level every `level_spacing` ticks.

Prices are integer ticks, sizes are coins rounded to the venue's lot. Each step records only the levels it changed,
so the cost of a venue's diff stream is that of the changes and not of the book.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_NOISE_BATCH = 512


@dataclass(frozen=True, slots=True)
class LadderSpec:
    """Shape of a book. `coins_1pct` rest within 1 % of the mid on each side; `spread` and `level_spacing` are in
    ticks.
    """

    tick: float
    level_spacing: int
    levels: int
    coins_1pct: float
    lot_digits: int
    spread: int = 1


class BookChange(NamedTuple):
    """One step's difference: price in ticks to the new size, 0 where the level is gone."""

    version: int
    bids: dict[int, float]
    asks: dict[int, float]


class Ladder:
    """Both sides of one book."""

    def __init__(self, spec: LadderSpec, mid: float, rng: np.random.Generator) -> None:
        self.spec = spec
        self._rng = rng
        self._noise_batch: list[float] = []
        per_level = 100.0 * spec.level_spacing * spec.tick / mid  # levels' share of one per cent
        self._mean_size = spec.coins_1pct * per_level * 1.03
        self._ramp_levels = 0.0008 * mid / (spec.tick * spec.level_spacing)  # levels over which the book thickens
        self.bids: dict[int, float] = {}
        self.asks: dict[int, float] = {}
        self.bid = self.ask = 0
        self.version = 1
        self.change_log: deque[BookChange] = deque(maxlen=256)
        self.move_to(mid)

    def move_to(self, mid: float) -> None:
        """Moves the book to `mid` and lets a few levels change."""
        spec = self.spec
        bid = math.floor(mid / spec.tick - 0.5 * spec.spread + 0.5)
        ask = bid + spec.spread
        change = BookChange(self.version + 1, {}, {})
        self._update_side(self.bids, change.bids, self.bid, bid, -1)
        self._update_side(self.asks, change.asks, self.ask, ask, +1)
        self.bid, self.ask = bid, ask
        if change.bids or change.asks:
            self.version += 1
            self.change_log.append(change)

    def refresh_touch(self) -> None:
        """An order at the touch is replaced by its equal: an update that changes nothing."""
        self.version += 1
        self.change_log.append(
            BookChange(self.version, {self.bid: self.bids[self.bid]}, {self.ask: self.asks[self.ask]})
        )

    def changes_since(self, version: int) -> BookChange:
        """All changes after `version`, merged."""
        bids: dict[int, float] = {}
        asks: dict[int, float] = {}
        for change in self.change_log:
            if change.version > version:
                bids.update(change.bids)
                asks.update(change.asks)
        return BookChange(self.version, bids, asks)

    def top_bids(self, n: int) -> list[tuple[int, float]]:
        """The best `n` bids, best first."""
        return sorted(self.bids.items(), reverse=True)[:n] if n > 20 else self._best_levels(self.bids, self.bid, -1, n)

    def top_asks(self, n: int) -> list[tuple[int, float]]:
        """The best `n` asks, best first."""
        return sorted(self.asks.items())[:n] if n > 20 else self._best_levels(self.asks, self.ask, +1, n)

    @property
    def mid(self) -> float:
        """Middle of the touch."""
        return 0.5 * (self.bid + self.ask) * self.spec.tick

    def _best_levels(self, side: dict[int, float], best: int, direction: int, n: int) -> list[tuple[int, float]]:
        level_spacing = self.spec.level_spacing
        first = _first_grid_level(best, level_spacing, direction)
        prices = [best] + [direction * level * level_spacing for level in range(first, first + n - 1)]
        return [(p, side[p]) for p in prices if p in side]

    def _update_side(
        self, side: dict[int, float], diff: dict[int, float], old_best: int, best: int, direction: int
    ) -> None:
        """Rewrite one side; `direction` points away from the mid. Levels count outwards from behind the touch."""
        level_spacing, levels = self.spec.level_spacing, self.spec.levels
        top = _first_grid_level(best, level_spacing, direction)
        if old_best != best:
            old_top = _first_grid_level(old_best, level_spacing, direction) if old_best else top + levels
            self._remove_level(side, diff, old_best)
            for level in _range_difference(old_top, old_top + levels, top, top + levels):
                self._remove_level(side, diff, direction * level * level_spacing)
            for level in _range_difference(top, top + levels, old_top, old_top + levels):
                self._set_level(side, diff, direction * level * level_spacing, level - top)
            if old_best % level_spacing == 0 and top <= direction * old_best // level_spacing < top + levels:
                self._set_level(side, diff, old_best, direction * old_best // level_spacing - top)
        draws = self._draw_uniforms(4)
        for u in draws[:3]:
            depth = int(levels * u**4)
            self._set_level(side, diff, direction * (top + depth) * level_spacing, depth)
        if best not in side or draws[3] < 0.4:
            self._set_level(side, diff, best, 0)

    @staticmethod
    def _remove_level(side: dict[int, float], diff: dict[int, float], price: int) -> None:
        if side.pop(price, None) is not None:
            diff[price] = 0.0

    def _set_level(self, side: dict[int, float], diff: dict[int, float], price: int, depth: int) -> None:
        shape = 0.35 + 0.65 * min(1.0, depth / max(self._ramp_levels, 1.0))
        size = round(self._mean_size * shape * self._draw_lognormal(), self.spec.lot_digits)
        side[price] = diff[price] = max(size, 10.0**-self.spec.lot_digits)

    def _draw_lognormal(self) -> float:
        if not self._noise_batch:
            self._noise_batch = np.exp(self._rng.normal(-0.08, 0.4, _NOISE_BATCH)).tolist()
        return self._noise_batch.pop()

    def _draw_uniforms(self, n: int) -> list[float]:
        drawn: list[float] = self._rng.random(n).tolist()
        return drawn


def _first_grid_level(best: int, level_spacing: int, direction: int) -> int:
    """The first grid level strictly behind the touch, counted outwards (negative on the bid side)."""
    return direction * best // level_spacing + 1


def _range_difference(first: int, end: int, other_first: int, other_end: int) -> Iterator[int]:
    """Members of [first, end) that are not in [other_first, other_end)."""
    yield from range(first, min(end, other_first))
    yield from range(max(first, other_end), end)
