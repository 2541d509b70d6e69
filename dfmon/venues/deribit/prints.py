"""Deribit's option prints on their way to events: each once, ours only, and none missing as far as the venue can tell.

Prints of names that no listing has explained wait here. `tape` remembers what was seen; this module decides what is
told and what is asked for: a page of time after an outage, a range of numbers where an instrument's sequence jumps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from dfmon.model.events import Event, HistorySeen
from dfmon.model.units import MILLISECOND
from dfmon.venues.decoding import rejected
from dfmon.venues.deribit import decode, wire
from dfmon.venues.deribit.asking import Calls
from dfmon.venues.deribit.listing import Listings
from dfmon.venues.deribit.tape import Tape

_OVERLAP_MS: Final = 5_000  # a fill by time starts before the last print seen: prints of one moment come in any order
_HELD: Final = 5_000


class Prints:
    """`unknown` collects the currencies whose listing should be read again."""

    def __init__(self, listings: Listings, calls: Calls, look_back_ms: int = 0) -> None:
        self.unknown: set[str] = set()
        self._listings = listings
        self._calls = calls
        self._tape = Tape()
        self._held: deque[tuple[str, wire.Trade]] = deque()  # bounded by _HELD
        self._filling: set[str] = set()  # currencies whose outage or past is being filled by time
        self._past: dict[str, int] = {}  # of those, currencies in their first fill -> where it began, ms
        self._look_back_ms = look_back_ms

    def reconnected(self, now_ns: int) -> None:
        """Ask for what was printed since the last print of each currency; open calls ended with the connection.

        At the first connection, and after one that ended during the first fill, that is the look-back.
        """
        self._tape.ask_again()
        now_ms = now_ns // MILLISECOND
        self._filling.clear()
        for currency in self._listings.currencies:
            if currency in self._tape.last_ms and currency not in self._past:
                start_ms = self._tape.last_ms[currency] - _OVERLAP_MS
            elif self._look_back_ms:
                start_ms = self._past.setdefault(currency, now_ms - self._look_back_ms)
            else:
                continue
            self._filling.add(currency)
            self._calls.prints(currency, start_ms, now_ms)

    def take(self, currency: str, rows: Sequence[wire.Trade]) -> list[Event]:
        """Prints as they come: ours at once, those of unknown names when the listing has told what they are."""
        events: list[Event] = []
        for row in rows:
            name = row.instrument_name
            ours = name in self._listings.options
            if (not ours and self._listings.known(name)) or not self._tape.fresh(currency, row):
                continue
            if ours:
                events.append(decode.option_trade(row))
                continue
            self.unknown.add(currency)
            self._held.append((currency, row))
            if len(self._held) > _HELD:
                _, lost = self._held.popleft()
                events.append(rejected(wire.SOURCE, "instrument", lost.instrument_name))
        for hole in self._tape.holes(self._filling):
            if hole.name in self._listings.options:
                self._calls.hole(hole)
        return events

    def listed(self, currency: str, gone: set[str]) -> list[Event]:
        """A listing has come: each held print of it is ours, somebody else's, or of nothing listed."""
        self._tape.forget(gone)
        self._tape.ask_again()  # holes of names that were not ours to ask for until now
        self.unknown.discard(currency)
        held, self._held = self._held, deque()  # bounded by _HELD
        events: list[Event] = []
        for waiting in held:
            name = waiting[1].instrument_name
            if waiting[0] != currency:
                self._held.append(waiting)
            elif name in self._listings.options:
                events.append(decode.option_trade(waiting[1]))
            elif not self._listings.known(name):
                events.append(rejected(wire.SOURCE, "instrument", name))
        return events

    def filled(self, currency: str, start_ms: int, end_ms: int, page: wire.Page) -> list[Event]:
        """A page of prints of a time; the next one starts at the last print of this, which comes twice."""
        rows, bad = wire.trades.decode(page.trades)
        since_ms = self._past.get(currency)
        past = since_ms is not None  # prints of what has expired since are nobody's any more
        known = [row for row in rows if not past or self._listings.known(row.instrument_name)]
        if page.has_more and rows:
            self._calls.prints(currency, max(max(row.timestamp for row in rows), start_ms + 1), end_ms)
            return [*self.take(currency, known), *bad]
        self._filling.discard(currency)
        self._past.pop(currency, None)
        events = [*self.take(currency, known), *bad]
        if since_ms is not None and currency in self._listings.underlyings:
            events.append(HistorySeen(wire.SOURCE, currency, since_ms * MILLISECOND))
        return events

    def mended(self, currency: str, name: str, page: wire.Page) -> list[Event]:
        """The prints of a hole, and a word about those the venue did not return."""
        rows, bad = wire.trades.decode(page.trades)
        events: list[Event] = [*self.take(currency, rows), *bad]
        lost = self._tape.give_up(name)
        return [*events, rejected(wire.SOURCE, "gap", f"{name}: {lost} prints not returned")] if lost else events

    def unanswered(self, kind: str, about: list[str]) -> None:
        """A fill (`trades`) or a hole (`gap`) will not be answered: go on without it."""
        if kind == "trades":
            self._filling.discard(about[0])
            self._past.pop(about[0], None)
        elif kind == "gap":
            self._tape.give_up(about[1])
