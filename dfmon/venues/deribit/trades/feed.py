"""Deribit's option prints on their way to events: each once, in order, ours only, none missing that can be had.

Prints of names that no listing has explained wait here. `tape` remembers what was seen and what waits for whom, `fills`
asks for stretches of time; this module decides what is told, and asks for a range of numbers where an instrument's
sequence jumps. `lives` collects whole histories, which take the place of what was told before them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from dfmon.model.events import Event, HistorySeen, OptionLife, OptionTrade, PrintsLost
from dfmon.model.units import MILLISECOND
from dfmon.venues.decoding import rejected
from dfmon.venues.deribit import decode, wire
from dfmon.venues.deribit.listing import Listings
from dfmon.venues.deribit.rest_calls import Calls
from dfmon.venues.deribit.trades.block_rfq import Requests
from dfmon.venues.deribit.trades.gap_fill import Fills
from dfmon.venues.deribit.trades.history import Lives
from dfmon.venues.deribit.trades.sequencer import Hole, Tape

_HELD: Final = 5_000


class Prints:
    """`unknown` collects the currencies whose listing should be read again."""

    def __init__(self, listings: Listings, calls: Calls, look_back_ms: int = 0) -> None:
        self.unknown: set[str] = set()
        self.lives = Lives()
        self.requests = Requests(listings)
        self._listings = listings
        self._calls = calls
        self._tape = Tape()
        self._held: deque[tuple[str, wire.Trade]] = deque()  # bounded by _HELD
        self._fills = Fills(listings, calls, self._tape, look_back_ms)
        self._preceding: dict[str, Hole] = {}  # options whose first print may not have been the first since then

    # ---- the connection --------------------------------------------------------------------------------------------

    def restored(self, last: Mapping[str, int], whole: Iterable[str], newest_ms: Mapping[str, int]) -> None:
        """What an earlier run knew: by option the number of its last print, by underlying the time of the newest.

        Of the options in `whole` it knew every print.
        """
        for name, seq in last.items():
            self._tape.known_to(name, seq)
        self.lives.whole.update(whole)
        self._fills.kept(newest_ms)

    def reconnected(self, now_ns: int) -> None:
        """Ask for what was printed meanwhile, and again for what was asked: open calls ended with the connection."""
        self._tape.ask_again()
        self._fills.reconnected(now_ns)

    @property
    def filling(self) -> bool:
        """Whether a fill by time is still to be answered."""
        return bool(self._fills.running)

    def subscribed(self, now_ms: int) -> None:
        """The channels carry prints from the venue's `now_ms` on."""
        self._fills.subscribed(now_ms)

    def due(self, now_ns: int) -> None:
        """Ask again for holes that the first answer did not close, and for what nothing later can tell of."""
        for hole in self._tape.holes(self._fills.running, now_ns):
            self._calls.hole(hole)
        for hole in self._preceding.values():
            if self._calls.before(hole):
                break  # one a second: there is no haste, and many begin at once
        self._fills.sweep(now_ns)

    def heard(self, venue_ms: int) -> None:
        """An answer of the venue tells its time, which holes are given up by."""
        self._tape.heard(venue_ms)

    # ---- prints ------------------------------------------------------------------------------------------------------

    def take(self, currency: str, rows: Sequence[wire.Trade], *, filled: bool = False) -> list[Event]:
        """Prints as they come: ours when their turn is, those of unknown names when the listing tells what they are."""
        events: list[Event] = []
        ours: list[wire.Trade] = []
        for row in rows:
            if row.instrument_name in self._listings.options:
                ours.append(row)
            elif not self._listings.known(row.instrument_name):
                self.unknown.add(currency)
                self._held.append((currency, row))
                if len(self._held) > _HELD:
                    _, lost = self._held.popleft()
                    events.append(rejected(wire.SOURCE, "instrument", lost.instrument_name))
        events += self._told(self._tape.take(currency, ours, filling=currency in self._fills.running, filled=filled))
        self._preceding |= {hole.name: hole for hole in self._tape.begun if hole.currency in self._fills.opened_ms}
        self._tape.begun.clear()
        events += self._out_of_patience(currency)
        for hole in self._tape.holes(self._fills.running):
            self._calls.hole(hole)
        return events

    def _told(self, rows: Iterable[wire.Trade]) -> list[Event]:
        events: list[Event] = []
        for row in rows:
            self.requests.printed(row, self._tape.now_ms)
            events.append(decode.option_trade(row))
        return events

    def _out_of_patience(self, currency: str) -> list[Event]:
        """What the venue's own clock has ended: a fill that does not go on, holes, requests without prints."""
        now_ms, events = self._tape.now_ms, list[Event]()
        if self._fills.out_of_patience(currency):
            events += self._fill_ended(currency)
        for name, count, rows in self._tape.overdue(self._fills.running):
            events += [*self._lost(name, count), *self._told(rows)]
        events += self.requests.settle(now_ms)
        if self._tape.damaged:
            events.append(rejected(wire.SOURCE, "row", f"{self._tape.damaged} prints with a number out of all order"))
            self._tape.damaged = 0
        return events

    @staticmethod
    def _lost(name: str, count: int) -> list[Event]:
        if not count:
            return []
        return [
            PrintsLost(wire.SOURCE, name, count),
            rejected(wire.SOURCE, "gap", f"{name}: {count} prints not returned"),
        ]

    def born(self, names: Iterable[str]) -> None:
        """Options that were listed while we watched: their history is whole from the start."""
        for name in names:
            self._tape.born(name)
            self.lives.whole.add(name)

    def executed(self, rows: Iterable[wire.BlockRequest]) -> list[Event]:
        """Block requests as published: compared with their prints when those have come."""
        newest_ms = self._tape.now_ms
        for row in rows:
            newest_ms = max(newest_ms, row.timestamp)
            self.requests.executed(row, newest_ms)
        return list(self.requests.settle(newest_ms))

    def listed(self, currency: str, came: set[str], gone: set[str]) -> list[Event]:
        """A listing has come: each held print of it is ours, somebody else's, or of nothing listed.

        `came` are options that were listed while we watched.
        """
        self.born(came)
        self._fills.ask()
        self._tape.forget(gone)
        self.lives.forget(gone)
        for name in gone & self._preceding.keys():
            del self._preceding[name]
        self.unknown.discard(currency)
        held, self._held = self._held, deque()  # bounded by _HELD
        events: list[Event] = []
        ours: list[wire.Trade] = []
        for waiting in held:
            name = waiting[1].instrument_name
            if waiting[0] != currency:
                self._held.append(waiting)
            elif name in self._listings.options:
                ours.append(waiting[1])
            elif not self._listings.known(name):
                events.append(rejected(wire.SOURCE, "instrument", name))
        return [*self.take(currency, ours), *events]

    # ---- answers -----------------------------------------------------------------------------------------------------

    def filled(self, currency: str, start_ms: int, end_ms: int, page: wire.Page) -> list[Event]:
        """A page of prints of a time; the next one starts at the last print of this, which comes twice."""
        rows, bad = wire.trades.decode(page.trades)
        since_ms = self._fills.first.get(currency)
        past = since_ms is not None  # prints of what has expired since are nobody's any more
        known = [row for row in rows if not past or self._listings.known(row.instrument_name)]
        self._fills.goes_on(currency)
        events = [*self.take(currency, known, filled=True), *bad]
        if page.has_more and rows:
            self._calls.prints(currency, max(max(row.timestamp for row in rows), start_ms + 1), end_ms)
            return events
        self._fills.read_ms[currency] = min(end_ms, self._tape.now_ms)
        events += self._fill_ended(currency)
        if since_ms is not None and currency in self._listings.underlyings:
            events.append(HistorySeen(wire.SOURCE, currency, since_ms * MILLISECOND))
        return events

    def swept(self, currency: str, start_ms: int, end_ms: int, page: wire.Page) -> list[Event]:
        """A page of what the channels should have brought; most of it, as a rule all, has been told."""
        if currency in self._fills.running:  # the connection was lost meanwhile: the fill reads the same time, in order
            return []
        rows, bad = wire.trades.decode(page.trades)
        events = self.take(currency, [row for row in rows if self._listings.known(row.instrument_name)], filled=True)
        if page.has_more and rows:
            self._calls.sweep(currency, max(max(row.timestamp for row in rows), start_ms + 1), end_ms)
        else:
            self._fills.read_ms[currency] = end_ms
        return [*events, *bad]

    def _fill_ended(self, currency: str) -> list[Event]:
        """Live prints wait for a fill no longer; what it left open is asked for by number."""
        self._fills.end(currency)
        events = self._told(self._tape.fill_ended(currency))
        for hole in self._tape.holes(self._fills.running):
            self._calls.hole(hole)
        return events

    def mended(self, currency: str, name: str, first: int, page: wire.Page) -> list[Event]:
        """The prints of a hole that begins at number `first`."""
        rows, bad = wire.trades.decode(page.trades)
        events: list[Event] = [*self.take(currency, rows, filled=True), *bad]
        self._tape.answered(name, first)
        for hole in self._tape.holes(self._fills.running):
            self._calls.hole(hole)
        return events

    def preceding(self, currency: str, name: str, last: int, page: wire.Page) -> list[Event]:
        """The prints up to number `last`, before the first that was seen: told where they came while we watched."""
        self._preceding.pop(name, None)
        rows, bad = wire.trades.decode(page.trades)
        since_ms = self._fills.opened_ms[currency]
        missed = [row for row in rows if row.instrument_name == name and row.trade_seq <= last]
        missed = sorted((row for row in missed if row.timestamp >= since_ms), key=lambda row: row.trade_seq)
        return [*self._told(missed), *bad]

    def unanswered(self, kind: str, about: list[str], why: str) -> list[Event]:
        """A fill (`trades`), a hole (`gap`) or a history (`life`) will not be answered: go on without it."""
        if kind == "trades":
            return self._fill_ended(about[0])
        if kind == "gap":
            count, behind = self._tape.give_up(about[1])
            return [*self._lost(about[1], count), *self._told(behind)]
        if kind == "before":
            self._preceding.pop(about[1], None)
        if kind == "life":
            self.lives.failed(about[0], why)
            return self._given_up(about[0])
        return []

    # ---- whole histories ---------------------------------------------------------------------------------------------

    def life_page(self, name: str, first: int, page: wire.Page) -> list[Event]:
        """A page of an option's history: nothing to tell until it is whole."""
        if name not in self._listings.options:
            return [rejected(wire.SOURCE, "life", f"{name}: not listed")]
        rows, bad = wire.trades.decode(page.trades)
        whole = self.lives.take(name, first, rows, has_more=page.has_more, live=self._tape.last(name))
        return [*bad, *(self._given_up(name) if whole is None else self._lived(name, whole))]

    def life_kept(self, name: str, trades: Sequence[OptionTrade]) -> list[Event]:
        """The beginning of a history, or all of it, as an earlier run kept it."""
        if name not in self._listings.options:
            return [rejected(wire.SOURCE, "life", f"{name}: not listed")]
        self.lives.begin(name, trades)
        whole = self.lives.kept(name, self._tape.last(name))
        return [] if whole is None else self._lived(name, whole)

    def _lived(self, name: str, trades: tuple[OptionTrade, ...]) -> list[Event]:
        following = self._told(self._tape.known_to(name, len(trades)))
        return [OptionLife(wire.SOURCE, name, trades), *following]

    def _given_up(self, name: str) -> list[Event]:
        why = self.lives.given_up.get(name)
        return [rejected(wire.SOURCE, "life", f"{name}: {why}")] if why else []
