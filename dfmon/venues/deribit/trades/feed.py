"""Deribit's option prints as events: each once, in order, ours only, complete as far as the venue has them.

Prints of names that are not listed yet wait here. `sequencer` has the order of prints and those that wait, `gap_fill`
requests ranges of time; this module releases prints, and requests a range of numbers where an instrument's sequence
jumps. `history` collects full histories, which replace the prints before them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from dfmon.model.events import Event, OptionTrade, OptionTradeHistory, PrintsLost, TradeHistoryComplete
from dfmon.model.units import MILLISECOND
from dfmon.venues.decoding import rejected
from dfmon.venues.deribit import decode, wire
from dfmon.venues.deribit.listing import Listings
from dfmon.venues.deribit.rest_calls import DeribitRestQueue
from dfmon.venues.deribit.trades.block_rfq import BlockRfqChecker
from dfmon.venues.deribit.trades.gap_fill import GapFiller
from dfmon.venues.deribit.trades.history import TradeHistoryCollector
from dfmon.venues.deribit.trades.sequencer import SequenceGap, TradeSequencer

_MAX_UNKNOWN: Final = 5_000


class TradeFeed:
    """`stale_listings` are currencies whose listing should be read again."""

    def __init__(self, listings: Listings, calls: DeribitRestQueue, look_back_ms: int = 0) -> None:
        self.stale_listings: set[str] = set()
        self.histories = TradeHistoryCollector()
        self.block_rfqs = BlockRfqChecker(listings)
        self._listings = listings
        self._calls = calls
        self._sequencer = TradeSequencer()
        self._unknown_prints: deque[tuple[str, wire.Trade]] = deque()  # bounded by _MAX_UNKNOWN
        self._gap_filler = GapFiller(listings, calls, self._sequencer, look_back_ms)
        self._preceding: dict[str, SequenceGap] = {}  # options whose first print may not have been the first since then

    # ---- the connection --------------------------------------------------------------------------------------------

    def restore(self, last_seq: Mapping[str, int], complete: Iterable[str], newest_ms: Mapping[str, int]) -> None:
        """State of an earlier run: by option the number of its last print, by underlying the time of the newest.

        Of the options in `complete` all prints were known.
        """
        for name, seq in last_seq.items():
            self._sequencer.mark_known(name, seq)
        self.histories.complete.update(complete)
        self._gap_filler.set_stored(newest_ms)

    def reconnected(self, now_ns: int) -> None:
        """Requests the prints since the last connection, and repeats calls that were pending when it ended."""
        self._sequencer.reset_requests()
        self._gap_filler.reconnected(now_ns)

    @property
    def filling(self) -> bool:
        """True while a gap fill by time awaits its response."""
        return bool(self._gap_filler.running)

    def channels_opened(self, now_ms: int) -> None:
        """The channels carry prints from the venue's `now_ms` on."""
        self._gap_filler.channels_opened(now_ms)

    def request_missing(self, now_ns: int) -> None:
        """Repeats requests for gaps that the first response did not close, and starts sweeps."""
        for gap in self._sequencer.gaps(self._gap_filler.running, now_ns):
            self._calls.gap(gap)
        for gap in self._preceding.values():
            if self._calls.request_preceding(gap):
                break  # one a second: they are not urgent, and many start at once
        self._gap_filler.sweep(now_ns)

    def sweep_soon(self) -> None:
        """A channel may have been closed meanwhile: the next sweep is due at the next timer."""
        self._gap_filler.sweep_soon()

    def advance_clock(self, venue_ms: int) -> None:
        """Advances the venue's clock, by which gaps expire, to the time of a response."""
        self._sequencer.advance_clock(venue_ms)

    # ---- prints ------------------------------------------------------------------------------------------------------

    def add_prints(self, currency: str, rows: Sequence[wire.Trade], *, from_fill: bool = False) -> list[Event]:
        """Adds prints of a channel: ours are released in order, those of unknown names once they are listed."""
        events: list[Event] = []
        own_rows: list[wire.Trade] = []
        for row in rows:
            if row.instrument_name in self._listings.options:
                own_rows.append(row)
            elif not self._listings.known(row.instrument_name):
                self.stale_listings.add(currency)
                self._unknown_prints.append((currency, row))
                if len(self._unknown_prints) > _MAX_UNKNOWN:
                    _, lost = self._unknown_prints.popleft()
                    events.append(rejected(wire.SOURCE, "instrument", lost.instrument_name))
        events += self._to_events(
            self._sequencer.accept(
                currency, own_rows, filling=currency in self._gap_filler.running, from_fill=from_fill
            )
        )
        self._preceding |= {
            gap.name: gap for gap in self._sequencer.preceding_gaps if gap.currency in self._gap_filler.open_since_ms
        }
        self._sequencer.preceding_gaps.clear()
        events += self._expire_waiting(currency)
        for gap in self._sequencer.gaps(self._gap_filler.running):
            self._calls.gap(gap)
        return events

    def _to_events(self, rows: Iterable[wire.Trade]) -> list[Event]:
        events: list[Event] = []
        for row in rows:
            self.block_rfqs.on_print(row, self._sequencer.now_ms)
            events.append(decode.option_trade(row))
        return events

    def _expire_waiting(self, currency: str) -> list[Event]:
        """Expires by the venue's clock: stalled gap fills, sequence gaps, RFQs without prints."""
        now_ms, events = self._sequencer.now_ms, list[Event]()
        if self._gap_filler.timed_out(currency):
            events += self._finish_fill(currency)
        for name, count, rows in self._sequencer.give_up_overdue(self._gap_filler.running):
            events += [*self._lost_events(name, count), *self._to_events(rows)]
        events += self.block_rfqs.check_pending(now_ms)
        if self._sequencer.invalid_count:
            events.append(
                rejected(wire.SOURCE, "row", f"{self._sequencer.invalid_count} prints with a number out of all order")
            )
            self._sequencer.invalid_count = 0
        return events

    @staticmethod
    def _lost_events(name: str, count: int) -> list[Event]:
        if not count:
            return []
        return [
            PrintsLost(wire.SOURCE, name, count),
            rejected(wire.SOURCE, "gap", f"{name}: {count} prints not returned"),
        ]

    def mark_listed(self, names: Iterable[str]) -> None:
        """Options that were listed during the session: their history is complete from the start."""
        for name in names:
            self._sequencer.mark_listed(name)
            self.histories.complete.add(name)

    def on_published(self, rows: Iterable[wire.BlockRfq]) -> list[Event]:
        """Published block requests, which are compared with their prints."""
        newest_ms = self._sequencer.now_ms
        for row in rows:
            newest_ms = max(newest_ms, row.timestamp)
            self.block_rfqs.on_published(row, newest_ms)
        return list(self.block_rfqs.check_pending(newest_ms))

    def on_listing(self, currency: str, added: set[str], removed: set[str]) -> list[Event]:
        """Releases or drops the waiting prints of a currency that has been listed.

        `added` are options that were listed during the session.
        """
        self.mark_listed(added)
        self._gap_filler.request_ready()
        self._sequencer.drop(removed)
        self.histories.drop(removed)
        for name in removed & self._preceding.keys():
            del self._preceding[name]
        self.stale_listings.discard(currency)
        unknown_prints, self._unknown_prints = self._unknown_prints, deque()  # bounded by _MAX_UNKNOWN
        events: list[Event] = []
        own_rows: list[wire.Trade] = []
        for unknown_print in unknown_prints:
            name = unknown_print[1].instrument_name
            if unknown_print[0] != currency:
                self._unknown_prints.append(unknown_print)
            elif name in self._listings.options:
                own_rows.append(unknown_print[1])
            elif not self._listings.known(name):
                events.append(rejected(wire.SOURCE, "instrument", name))
        return [*self.add_prints(currency, own_rows), *events]

    # ---- responses ---------------------------------------------------------------------------------------------------

    def on_fill_page(self, currency: str, start_ms: int, end_ms: int, page: wire.Page) -> list[Event]:
        """A page of a gap fill; the next one starts at the last print of this, which comes twice."""
        rows, rejections = wire.trades.decode(page.trades)
        since_ms = self._gap_filler.initial_start_ms.get(currency)
        is_initial_fill = since_ms is not None  # prints of options that have expired since are dropped
        known = [row for row in rows if not is_initial_fill or self._listings.known(row.instrument_name)]
        self._gap_filler.on_page(currency)
        events = [*self.add_prints(currency, known, from_fill=True), *rejections]
        if page.has_more and rows:
            self._calls.request_prints(currency, max(max(row.timestamp for row in rows), start_ms + 1), end_ms)
            return events
        self._gap_filler.read_until_ms[currency] = min(end_ms, self._sequencer.now_ms)
        events += self._finish_fill(currency)
        if since_ms is not None and currency in self._listings.underlyings:
            events.append(TradeHistoryComplete(wire.SOURCE, currency, since_ms * MILLISECOND))
        return events

    def on_sweep_page(self, currency: str, start_ms: int, end_ms: int, page: wire.Page) -> list[Event]:
        """A page of a sweep; most of its prints, as a rule all, are known."""
        if (
            currency in self._gap_filler.running
        ):  # the connection was lost meanwhile: the fill reads the same time, in order
            return []
        rows, rejections = wire.trades.decode(page.trades)
        events = self.add_prints(
            currency, [row for row in rows if self._listings.known(row.instrument_name)], from_fill=True
        )
        if page.has_more and rows:
            self._calls.request_sweep(currency, max(max(row.timestamp for row in rows), start_ms + 1), end_ms)
        else:
            self._gap_filler.read_until_ms[currency] = end_ms
        return [*events, *rejections]

    def _finish_fill(self, currency: str) -> list[Event]:
        """Ends a gap fill: live prints are released, and remaining gaps are requested by number."""
        self._gap_filler.finish(currency)
        events = self._to_events(self._sequencer.finish_fill(currency))
        for gap in self._sequencer.gaps(self._gap_filler.running):
            self._calls.gap(gap)
        return events

    def on_gap_page(self, currency: str, name: str, first: int, page: wire.Page) -> list[Event]:
        """The prints of a gap that begins at number `first`."""
        rows, rejections = wire.trades.decode(page.trades)
        events: list[Event] = [*self.add_prints(currency, rows, from_fill=True), *rejections]
        self._sequencer.on_gap_response(name, first)
        for gap in self._sequencer.gaps(self._gap_filler.running):
            self._calls.gap(gap)
        return events

    def on_preceding_page(self, currency: str, name: str, last_seq: int, page: wire.Page) -> list[Event]:
        """The prints up to number `last_seq`, before the first that was seen: released if they are of this session."""
        self._preceding.pop(name, None)
        rows, rejections = wire.trades.decode(page.trades)
        since_ms = self._gap_filler.open_since_ms[currency]
        older_rows = [row for row in rows if row.instrument_name == name and row.trade_seq <= last_seq]
        older_rows = sorted((row for row in older_rows if row.timestamp >= since_ms), key=lambda row: row.trade_seq)
        return [*self._to_events(older_rows), *rejections]

    def on_no_response(self, kind: str, args: list[str], reason: str) -> list[Event]:
        """A gap fill (`trades`), a gap (`gap`) or a history (`life`) gets no response: continues without it."""
        if kind == "trades":
            return self._finish_fill(args[0])
        if kind == "gap":
            count, released = self._sequencer.give_up(args[1])
            return [*self._lost_events(args[1], count), *self._to_events(released)]
        if kind == "before":
            self._preceding.pop(args[1], None)
        if kind == "life":
            self.histories.failed(args[0], reason)
            return self._history_given_up(args[0])
        return []

    # ---- whole histories ---------------------------------------------------------------------------------------------

    def on_history_page(self, name: str, first: int, page: wire.Page) -> list[Event]:
        """A page of an option's history: no event until it is complete."""
        if name not in self._listings.options:
            return [rejected(wire.SOURCE, "life", f"{name}: not listed")]
        rows, rejections = wire.trades.decode(page.trades)
        history = self.histories.add_page(
            name, first, rows, has_more=page.has_more, live_seq=self._sequencer.last_seq(name)
        )
        return [
            *rejections,
            *(self._history_given_up(name) if history is None else self._history_complete(name, history)),
        ]

    def on_stored_history(self, name: str, trades: Sequence[OptionTrade]) -> list[Event]:
        """A stored history, or its beginning."""
        if name not in self._listings.options:
            return [rejected(wire.SOURCE, "life", f"{name}: not listed")]
        self.histories.resume(name, trades)
        history = self.histories.finish_restored(name, self._sequencer.last_seq(name))
        return [] if history is None else self._history_complete(name, history)

    def _history_complete(self, name: str, trades: tuple[OptionTrade, ...]) -> list[Event]:
        following = self._to_events(self._sequencer.mark_known(name, len(trades)))
        return [OptionTradeHistory(wire.SOURCE, name, trades), *following]

    def _history_given_up(self, name: str) -> list[Event]:
        reason = self.histories.given_up.get(name)
        return [rejected(wire.SOURCE, "life", f"{name}: {reason}")] if reason else []
