"""The book of one option: a few levels behind the board's quote, as snapshots of the best or as a chain of changes.

`prev_change_id` is 0 after an empty book, as the venue has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from dfmon.model.units import MILLISECOND
from dfmon.sim.deribit.records import Record
from dfmon.sim.deribit.topics import SECOND_TICKS, Topic
from dfmon.sim.market.currency_market import CurrencyMarket

_MAX_LEVELS: Final = 4
_FIRST_CHANGE_ID: Final = 61_000_000_000

Levels = dict[float, float]


class OptionBookTopic(Topic):
    """Bids and asks of one option, price to amount in coins."""

    def __init__(self, currency: CurrencyMarket, name: str, depth: int) -> None:
        super().__init__(SECOND_TICKS)
        self._currency, self._name, self._depth = currency, name, depth
        self._change_id = _FIRST_CHANGE_ID
        self._last_sides: tuple[Levels, Levels] = self._sides()

    def depth_record(self) -> Record | None:
        """`book.X.none.N`: the best levels, no type and no actions."""
        if self._name not in self._currency.board.rows:
            return None
        bids, asks = self._sides()
        levels = ([[p, a] for p, a in side.items()][: self._depth] for side in (bids, asks))
        return {
            **self._head(),
            "change_id": self._currency.now_ns // MILLISECOND,
            **dict(zip(("bids", "asks"), levels)),
        }

    def snapshot(self) -> object | None:
        """`book.X.100ms`: every level is new."""
        sides = ([["new", p, a] for p, a in side.items()] for side in self._last_sides)
        return {"type": "snapshot", **self._head(), "change_id": self._change_id, **dict(zip(("bids", "asks"), sides))}

    def next_payloads(self) -> Iterable[object]:
        """The changes since the last call, chained."""
        if self._name not in self._currency.board.rows:
            return ()
        previous_sides, current_sides = self._last_sides, self._sides()
        if current_sides == previous_sides:
            return ()
        previous_change_id = self._change_id if any(previous_sides) else 0
        self._last_sides, self._change_id = current_sides, self._change_id + 41
        sides = (_actions(old, new) for old, new in zip(previous_sides, current_sides))
        chain = {"prev_change_id": previous_change_id, "change_id": self._change_id}
        return ({"type": "change", **self._head(), **chain, **dict(zip(("bids", "asks"), sides))},)

    def _head(self) -> Record:
        return {"timestamp": self._currency.now_ns // MILLISECOND, "instrument_name": self._name}

    def _sides(self) -> tuple[Levels, Levels]:
        board = self._currency.board
        row, quotation = board.rows[self._name], board.quotation
        sides: list[Levels] = []
        for best, size, direction in (
            (board.bid[row], board.bid_size[row], -1),
            (board.ask[row], board.ask_size[row], 1),
        ):
            levels: Levels = {}
            price = float(best)
            while not math.isnan(price) and price >= quotation.fine_tick and len(levels) < _MAX_LEVELS:
                levels[round(price, quotation.digits)] = round(float(size) * (1 + len(levels)), 4)
                price += direction * quotation.tick_size(price)
            sides.append(levels)
        return sides[0], sides[1]


def _actions(old: Levels, new: Levels) -> list[list[Any]]:
    rows: list[list[Any]] = [["delete", price, 0.0] for price in old if price not in new]
    changed = [(price, amount) for price, amount in new.items() if old.get(price) != amount]
    return rows + [["change" if price in old else "new", price, amount] for price, amount in changed]
