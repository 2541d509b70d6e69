"""Which stretches of time are read from Deribit's archive: an outage once it is over, what came since the last look.

A fill brings what was printed while no channel was open, and live prints of its currency wait for it. A sweep reads
what the open channels should have brought, for a print that was dropped and has no later one to tell of it. `prints`
takes the pages of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dfmon.model.units import MILLISECOND, MINUTE
from dfmon.venues.deribit.listing import INVERSE, Listings
from dfmon.venues.deribit.rest_calls import Calls
from dfmon.venues.deribit.trades.sequencer import Tape

_OVERLAP_MS: Final = 5_000  # a fill by time starts before the last print seen: prints of one moment come in any order
_SWEEP: Final = 5 * MINUTE  # between two readings of what the channels should have brought
_LATE_MS: Final = 10_000  # a print may come this late, to the channel or to the archive
_RESUME_MS: Final = 300_000  # what was kept over a restart may lack prints that waited for others when it was written
_PATIENCE_MS: Final = 120_000  # of the venue's time, for the next page of a fill, while live prints wait for it


class Fills:
    """Times are milliseconds, the venue's where nothing else is said; `tape` tells where they stand."""

    def __init__(self, listings: Listings, calls: Calls, tape: Tape, look_back_ms: int) -> None:
        self.running: dict[str, int] = {}  # currencies being filled by time -> the venue's time of the last progress
        self.first: dict[str, int] = {}  # of those, currencies in their first fill -> where it began
        self.read_ms: dict[str, int] = {}  # currency -> until when the venue's archive has been read
        self.opened_ms: dict[str, int] = {}  # currency -> since when its channel has been open, the first time
        self._listings, self._calls, self._tape = listings, calls, tape
        self._look_back_ms = look_back_ms
        self._unasked: dict[str, int] = {}  # currencies whose fill is still to be asked for -> where it begins
        self._connected_ms = 0
        self._until_ms: int | None = None  # where fills end; None until the channels are open
        self._sweep_ns = 0  # when the archive is to be read again
        self._kept_ms: dict[str, int] = {}  # underlying -> newest print that was kept from an earlier run

    def kept(self, newest_ms: Mapping[str, int]) -> None:
        """By underlying the time of the newest print that an earlier run knew."""
        self._kept_ms.update(newest_ms)

    # ---- after an outage -------------------------------------------------------------------------------------------

    def reconnected(self, now_ns: int) -> None:
        """What was printed since the last print of each currency is wanted.

        What no sweep has read yet is read again with it: the connection may have dropped prints before it ended. At the
        first connection, and after one that ended during the first fill, that is what an earlier run has not seen, or
        the look-back.
        """
        now_ms = now_ns // MILLISECOND
        self.running.clear()
        self._unasked.clear()
        for currency in self._listings.currencies:
            if currency in self._tape.last_ms and currency not in self.first:
                start_ms = self._tape.last_ms[currency] - _OVERLAP_MS
                start_ms = min(start_ms, self.read_ms.get(currency, start_ms + _LATE_MS) - _LATE_MS)
            else:
                since_ms = self._kept_until(currency) or (now_ms - self._look_back_ms if self._look_back_ms else None)
                if since_ms is None:
                    continue
                start_ms = self.first.setdefault(currency, since_ms)
            self.running[currency] = now_ms
            self._unasked[currency] = start_ms
        self._connected_ms, self._until_ms = now_ms, None
        self._sweep_ns = now_ns + _SWEEP

    def subscribed(self, now_ms: int) -> None:
        """The channels carry prints from the venue's `now_ms` on: fills may bring those before.

        Asked any earlier, what is printed between the answer and the first frame would be in neither.
        """
        if self._until_ms is None:
            self._tape.heard(now_ms)
            for currency in self._listings.currencies:
                if now_ms:
                    self.opened_ms.setdefault(currency, now_ms)
                    if currency not in self.running:
                        self.read_ms.setdefault(currency, now_ms)
            self._until_ms = max(now_ms, self._connected_ms)
            self.ask()

    def ask(self) -> None:
        """Fills whose time has come: the channels are open, and the listing tells whose the prints are."""
        if self._until_ms is None:
            return
        for currency in [currency for currency in self._unasked if self._listings.complete(currency)]:
            self._calls.prints(currency, self._unasked.pop(currency), self._until_ms)

    def _kept_until(self, currency: str) -> int | None:
        """Where an earlier run's prints of a settlement currency end: every coin settled in it must be among them."""
        coins = [currency] if currency in INVERSE else self._listings.underlyings
        kept = [self._kept_ms.get(coin) for coin in coins]
        known = [ms for ms in kept if ms is not None]
        return min(known) - _RESUME_MS if len(known) == len(coins) else None

    def goes_on(self, currency: str) -> None:
        """A page of a fill has come."""
        if currency in self.running:
            self.running[currency] = max(self.running[currency], self._tape.now_ms)

    def out_of_patience(self, currency: str) -> bool:
        """Whether live prints have waited too long for the next page."""
        return currency in self.running and self._tape.now_ms - self.running[currency] > _PATIENCE_MS

    def end(self, currency: str) -> None:
        """Its last page has come, or none will."""
        self.running.pop(currency, None)
        self.first.pop(currency, None)

    # ---- while the channels are open -------------------------------------------------------------------------------

    def sweep(self, now_ns: int) -> None:
        """Ask for what was printed since the last reading, if it is time."""
        if self._until_ms is not None and now_ns >= self._sweep_ns:
            self._sweep_ns = now_ns + _SWEEP
            for currency in self._listings.currencies:
                read_ms = self.read_ms.setdefault(currency, self._tape.now_ms)
                if self._listings.complete(currency) and currency not in self.running:
                    self._calls.sweep(currency, read_ms - _LATE_MS, self._tape.now_ms)
