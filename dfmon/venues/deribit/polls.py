"""What keeps the board alive while no websocket is to be had: everything that REST can tell, asked every few seconds.

It begins some seconds after the loss, so that an ordinary reconnect asks for nothing twice. `protocol` drives it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dfmon.model.events import FeedState, FeedStatus
from dfmon.model.units import MILLISECOND, SECOND, clean
from dfmon.venues.deribit import wire
from dfmon.venues.deribit.asking import Calls
from dfmon.venues.deribit.listing import Listings
from dfmon.venues.deribit.prints import Prints
from dfmon.venues.meta_snap import Job, Schedule

EVERY_NS: Final = 10 * SECOND


class Polls:
    """`lost` says why there is no websocket, or nothing; `answering` whether REST brings data in its place."""

    def __init__(self, calls: Calls, listings: Listings, prints: Prints, indices: Iterable[str]) -> None:
        self.lost = ""
        self.answering = False
        self._calls, self._listings, self._prints, self._indices = calls, listings, prints, tuple(indices)
        self._next_ns = 0

    def over(self) -> None:
        """There is a websocket again."""
        self.lost, self.answering, self._next_ns = "", False, 0

    def begin(self, reason: str) -> None:
        """The websocket is gone, or another attempt has failed."""
        self.lost = clean(reason) or "no connection"

    def status(self) -> FeedStatus:
        words = f"by REST alone, every {EVERY_NS // SECOND} s: {self.lost}"
        return FeedStatus(wire.SOURCE, FeedState.SYNCING, words)

    def due(self, now_ns: int, schedule: Schedule) -> None:
        """Listing, marks, open interest, forwards, index and prints, when it is time."""
        self._calls.due(now_ns)
        self._prints.due(now_ns)
        if now_ns < self._next_ns:
            return
        first, self._next_ns = not self._next_ns, now_ns + EVERY_NS
        if first:
            return
        if Job.LISTING in schedule.due(now_ns):
            self._calls.listings(self._listings)
        for currency in self._listings.currencies:
            if self._listings.complete(currency):
                self._calls.board(self._listings, currency)
            else:
                self._calls.listing(currency, "option")
        for index in self._indices:
            self._calls.ask(f"index:{index}", "/public/get_index_price", retry=False, index_name=index)
        if not self._prints.filling:
            self._prints.reconnected(now_ns)
            self._prints.subscribed(now_ns // MILLISECOND)
