"""The order of Deribit's trade feed: each print once, and per instrument none before those that precede it.

`trade_id` is unique within a settlement currency, `trade_seq` rises by one per instrument. A print that comes early
waits behind the hole that its number tells of; the hole is asked for by number, after a running fill by time. What
nobody brings is given up when the venue's own clock, which its prints and its answers tell, has gone on for a minute,
and counted: an archive that is some seconds late answers many times without it. Only what was received decides what is
told, never our clock: a replay gives up the same prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from dfmon.model.units import SECOND
from dfmon.venues.deribit.wire import Trade

PAGE: Final = 1_000  # the venue's largest page of prints
LARGEST_JUMP: Final = 100_000  # a number further ahead is damaged: no instrument prints so much in an outage
_HOLD_MS: Final = 60_000  # of the venue's time
_WAIT: Final = 2 * SECOND  # before a hole is asked for a second time; doubles three times


@dataclass(slots=True)
class _Line:
    """The sequence of one instrument. Prints up to `last` have been told, or are part of what was known before."""

    currency: str
    last: int | None  # None: prints wait until a running fill has told where the line begins
    waiting: dict[int, Trade] = field(default_factory=dict)
    since_ms: int = 0  # the venue's time when the hole was found
    tries: int = 0  # answers in a row that brought nothing
    asked: tuple[int, int] | None = None  # numbers under way
    again_ns: int = 0


@dataclass(frozen=True, slots=True)
class Hole:
    """Prints `first`..`last` of an instrument, some of which were never seen."""

    currency: str
    name: str
    first: int
    last: int


class Tape:
    """Memory of prints seen. `memory` bounds the ids, `last_ms` is the newest print per currency.

    Ids catch a print that is repeated under another number, which happens near its first time or not at all; whatever
    is repeated later, a sweep or a fill, comes under its own number, which its line has passed.
    """

    def __init__(self, memory: int = 2 * PAGE) -> None:
        self.last_ms: dict[str, int] = {}
        self.now_ms = 0  # the venue's clock, as far as its prints and answers tell
        self.damaged = 0  # numbers that cannot be true, since the reader last set it to 0
        self.begun: list[Hole] = []  # what may precede the first prints of lines, since the reader last emptied it
        self._memory = memory
        self._seen: dict[tuple[str, str], None] = {}
        self._lines: dict[str, _Line] = {}
        self._broken: dict[str, None] = {}  # names of lines with prints that wait

    def heard(self, venue_ms: int) -> None:
        """An answer of the venue tells its time, which holes are given up by."""
        self.now_ms = max(self.now_ms, venue_ms)

    # ---- prints in, prints out -------------------------------------------------------------------------------------

    def take(self, currency: str, rows: Iterable[Trade], *, filling: bool = False, filled: bool = False) -> list[Trade]:
        """The prints that may be told now. `filling`: a fill of the currency is under way; `filled`: the rows are its.

        A batch is not always sorted, so a line begins with the smallest number of the batch that brings it.
        """
        out: list[Trade] = []
        fresh = [row for row in rows if self._fresh(currency, row)]
        if not (filling and not filled):
            self._begin(currency, fresh, live=not filled)
        for row in fresh:
            self._follow(currency, row, out)
        return out

    def _begin(self, currency: str, rows: Iterable[Trade], *, live: bool) -> None:
        """Lines whose first prints these are; what precedes a live one, if anything does, nobody has read."""
        begins: dict[str, int] = {}
        for row in rows:
            name = row.instrument_name
            line = self._lines.get(name)
            if line is None or line.last is None:
                begins[name] = min(begins.get(name, row.trade_seq), row.trade_seq)
        for name, seq in begins.items():
            self._lines.setdefault(name, _Line(currency, None)).last = seq - 1
            if live and seq > 1:
                self.begun.append(Hole(currency, name, max(1, seq - PAGE), seq - 1))

    def _fresh(self, currency: str, trade: Trade) -> bool:
        """Note a print; false where it has been seen before."""
        key = (currency, str(trade.trade_id))
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > self._memory:
            del self._seen[next(iter(self._seen))]
        self.last_ms[currency] = max(self.last_ms.get(currency, 0), trade.timestamp)
        self.now_ms = max(self.now_ms, trade.timestamp)
        return True

    def _follow(self, currency: str, trade: Trade, out: list[Trade]) -> None:
        name, seq = trade.instrument_name, trade.trade_seq
        line = self._lines.setdefault(name, _Line(currency, None))
        line.currency = currency
        if line.last is None:
            line.since_ms = self.now_ms
            line.waiting[seq] = trade
        elif seq > line.last + LARGEST_JUMP:
            self.damaged += 1
        elif seq > line.last:
            if not line.waiting:
                line.since_ms = self.now_ms
            line.waiting[seq] = trade
            self._release(name, line, out)

    def _release(self, name: str, line: _Line, out: list[Trade]) -> None:
        """Tell what stands next in line, and remember whether something still waits."""
        assert line.last is not None
        while line.waiting and (trade := line.waiting.pop(line.last + 1, None)) is not None:
            line.last += 1
            line.since_ms = self.now_ms
            out.append(trade)
        if line.waiting:
            self._broken[name] = None
        else:
            line.tries, line.asked, line.again_ns = 0, None, 0
            self._broken.pop(name, None)

    def fill_ended(self, currency: str) -> list[Trade]:
        """No fill of the currency runs any more: lines of which only live prints are known begin with those.

        The minute of the holes that are left begins now: nobody has asked for them while the fill ran.
        """
        out: list[Trade] = []
        for name, line in self._lines.items():
            if line.currency != currency:
                continue
            line.since_ms = self.now_ms
            if line.last is None:
                line.last = min(line.waiting) - 1
                self._release(name, line, out)
        return sorted(out, key=lambda trade: (trade.timestamp, trade.trade_seq))

    # ---- what is known from elsewhere --------------------------------------------------------------------------------

    def known_to(self, name: str, seq: int) -> list[Trade]:
        """Every print of the instrument up to `seq` is known already; what waited for those may be told now."""
        line = self._lines.setdefault(name, _Line("", seq))
        line.last = seq if line.last is None else max(line.last, seq)
        for number in [number for number in line.waiting if number <= line.last]:
            del line.waiting[number]
        out: list[Trade] = []
        self._release(name, line, out)
        return out

    def born(self, name: str) -> None:
        """An instrument was listed while we watched: its first print is number 1."""
        self._lines.setdefault(name, _Line("", 0))

    def last(self, name: str) -> int:
        """The number of the newest print told of an instrument, 0 where there is none."""
        line = self._lines.get(name)
        return 0 if line is None else line.last or 0

    def forget(self, names: set[str]) -> None:
        """Drop the sequences of instruments that are gone."""
        for name in names:
            self._lines.pop(name, None)
            self._broken.pop(name, None)

    # ---- holes -------------------------------------------------------------------------------------------------------

    def holes(self, filling: Iterable[str], now_ns: int | None = None) -> Iterator[Hole]:
        """Holes to ask for, each once; not of currencies in `filling`, whose fill by time may close them.

        With `now_ns` also those whose first answers did not close them, with growing patience.
        """
        for name in self._broken:
            line = self._lines[name]
            if line.last is None or line.asked or line.currency in filling:
                continue
            if line.tries:
                if now_ns is None:
                    continue
                if not line.again_ns:
                    line.again_ns = now_ns + (_WAIT << min(line.tries - 1, 3))
                if now_ns < line.again_ns:
                    continue
            line.again_ns = 0
            line.asked = line.last + 1, min(line.last + PAGE, max(line.waiting) - 1)
            yield Hole(line.currency, name, *line.asked)

    def ask_again(self) -> None:
        """Whatever was asked for may not have been: `holes` names every open one anew."""
        for name in self._broken:
            self._lines[name].asked = None

    def answered(self, name: str, first: int) -> None:
        """The answer for a hole that began at number `first` has been taken: the rest is asked for again."""
        line = self._lines.get(name)
        if line is not None and line.last is not None and name in self._broken:
            line.asked = None
            line.tries = 0 if line.last >= first else line.tries + 1

    def give_up(self, name: str) -> tuple[int, list[Trade]]:
        """Nobody will answer for the hole of an instrument."""
        line = self._lines.get(name)
        return (0, []) if line is None or not line.waiting else self._give_up(name, line, max(line.waiting))

    def overdue(self, filling: Iterable[str]) -> Iterator[tuple[str, int, list[Trade]]]:
        """What has waited for more than a minute of the venue's time: instrument, prints given up, prints told."""
        for name in list(self._broken):
            line = self._lines[name]
            if line.currency not in filling and self.now_ms - line.since_ms > _HOLD_MS:
                yield (name, *self._give_up(name, line, max(line.waiting)))

    def _give_up(self, name: str, line: _Line, last: int) -> tuple[int, list[Trade]]:
        """Go on behind every hole that begins at or before `last`."""
        lost, out = 0, list[Trade]()
        while line.waiting and line.last is not None and line.last < last:
            following = min(line.waiting)
            lost += following - line.last - 1
            line.last, line.tries = following - 1, 0
            self._release(name, line, out)
        return lost, out
