"""What keeps the board alive while no websocket is to be had: everything that REST can tell, asked every few seconds.

`protocol` drives it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dfmon.model.units import MILLISECOND, MINUTE
from dfmon.venues.deribit import wire
from dfmon.venues.deribit.listing import INVERSE, Listings
from dfmon.venues.deribit.rest_calls import Calls
from dfmon.venues.deribit.trades.feed import Prints
from dfmon.venues.health.status import Status
from dfmon.venues.meta_snap import Job, Schedule
from dfmon.venues.rest.fallback import RestAlone

EVERY_S: Final = 10.0
_DVOL_OF: Final = 5 * MINUTE


class Polls(RestAlone):
    """`indices` are those of the underlyings."""

    def __init__(
        self, status: Status, calls: Calls, listings: Listings, prints: Prints, indices: Iterable[str]
    ) -> None:
        super().__init__(status, wire.SOURCE, EVERY_S)
        self._calls, self._listings, self._prints, self._indices = calls, listings, prints, tuple(indices)

    def due(self, now_ns: int, schedule: Schedule) -> None:
        """Listing, marks, open interest, forwards, futures, indices, DVOL and prints, when it is time."""
        self._calls.due(now_ns)
        self._prints.due(now_ns)
        if not self.turn(now_ns):
            return
        if Job.LISTING in schedule.due(now_ns):
            self._calls.listings(self._listings)
        for currency in self._listings.currencies:
            if self._listings.complete(currency):
                self._calls.board(self._listings, currency)
            else:
                self._calls.listing(currency, "option")
        for currency in self._listings.future_currencies:
            self._calls.futures(currency)
        for index in self._indices:
            self._calls.ask(f"index:{index}", "/public/get_index_price", retry=False, index_name=index)
        for underlying in self._listings.underlyings:
            if underlying in INVERSE:
                self._calls.volatility(underlying, (now_ns - _DVOL_OF) // MILLISECOND, now_ns // MILLISECOND)
        if not self._prints.filling:
            self._prints.reconnected(now_ns)
            self._prints.subscribed(now_ns // MILLISECOND)
