"""The completeness of Deribit's trade feed: each print once, and a call for every print that is missing.

`trade_id` is unique within a settlement currency, `trade_seq` rises by one per instrument. A reconnect is filled by
time, a jump of the sequence by number; both answers come back through `fresh`, so nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dfmon.venues.deribit.wire import Trade

LARGEST_GAP: Final = 1_000  # one page of the venue; a larger hole is filled from its newest end


@dataclass(slots=True)
class _Line:
    """The sequence of one instrument."""

    currency: str
    last: int
    missing: set[int] = field(default_factory=set)
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Hole:
    """Prints `first`..`last` of an instrument that were never seen."""

    currency: str
    name: str
    first: int
    last: int


class Tape:
    """Memory of prints seen. `memory` bounds the ids, `last_ms` is the newest print per currency."""

    def __init__(self, memory: int = 50_000) -> None:
        self.last_ms: dict[str, int] = {}
        self._memory = memory
        self._seen: dict[tuple[str, str], None] = {}
        self._lines: dict[str, _Line] = {}
        self._broken: dict[str, None] = {}

    def fresh(self, currency: str, trade: Trade) -> bool:
        """Note a print; false where it has been seen before."""
        key = (currency, str(trade.trade_id))
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > self._memory:
            del self._seen[next(iter(self._seen))]
        self.last_ms[currency] = max(self.last_ms.get(currency, 0), trade.timestamp)
        self._follow(currency, trade.instrument_name, trade.trade_seq)
        return True

    def _follow(self, currency: str, name: str, seq: int) -> None:
        line = self._lines.get(name)
        if line is None:  # the first print of an instrument has no predecessor to check
            self._lines[name] = _Line(currency, seq)
        elif seq > line.last:
            if seq > line.last + 1:
                line.missing.update(range(max(line.last + 1, seq - LARGEST_GAP), seq))
                line.asked = False
                self._broken[name] = None
            line.last = seq
        else:
            line.missing.discard(seq)
            if not line.missing:
                self._broken.pop(name, None)

    def holes(self, waiting: set[str]) -> Iterator[Hole]:
        """Holes to ask for, each once; not of currencies `waiting` for a fill by time, which may close them."""
        for name in self._broken:
            line = self._lines[name]
            if line.missing and not line.asked and line.currency not in waiting:
                line.asked = True
                yield Hole(line.currency, name, min(line.missing), max(line.missing))

    def ask_again(self) -> None:
        """Whatever was asked for may not have been: `holes` names every open one anew."""
        for name in self._broken:
            self._lines[name].asked = False

    def give_up(self, name: str) -> int:
        """The answer for an instrument's hole has come: forget what it did not bring, and say how many."""
        self._broken.pop(name, None)
        line = self._lines.get(name)
        if line is None or not line.asked:
            return 0
        lost = len(line.missing)
        line.missing.clear()
        return lost

    def forget(self, names: set[str]) -> None:
        """Drop the sequences of instruments that are gone."""
        for name in names:
            self._lines.pop(name, None)
            self._broken.pop(name, None)
