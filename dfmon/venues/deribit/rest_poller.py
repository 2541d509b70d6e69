"""REST polling while there is no websocket: all data that REST has, every few seconds.

`protocol` drives it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dfmon.model.units import MILLISECOND, MINUTE
from dfmon.venues.deribit import wire
from dfmon.venues.deribit.listing import INVERSE, Listings
from dfmon.venues.deribit.rest_calls import DeribitRestQueue
from dfmon.venues.deribit.trades.feed import TradeFeed
from dfmon.venues.health.status import StatusTracker
from dfmon.venues.meta_snap import Job, PollSchedule
from dfmon.venues.rest.fallback import RestFallback

POLL_INTERVAL_S: Final = 10.0
_DVOL_WINDOW: Final = 5 * MINUTE


class RestPoller(RestFallback):
    """`indices` are those of the underlyings."""

    def __init__(
        self,
        status: StatusTracker,
        calls: DeribitRestQueue,
        listings: Listings,
        trade_feed: TradeFeed,
        indices: Iterable[str],
    ) -> None:
        super().__init__(status, wire.SOURCE, POLL_INTERVAL_S)
        self._calls, self._listings, self._trade_feed, self._indices = calls, listings, trade_feed, tuple(indices)

    def poll(self, now_ns: int, schedule: PollSchedule) -> None:
        """Listing, marks, open interest, forwards, futures, indices, DVOL and prints, when it is time."""
        self._calls.release_retries(now_ns)
        self._trade_feed.request_missing(now_ns)
        if not self.poll_due(now_ns):
            return
        if Job.LISTING in schedule.due_jobs(now_ns):
            self._calls.listings(self._listings)
        for currency in self._listings.currencies:
            if self._listings.complete(currency):
                self._calls.request_summary(self._listings, currency)
            else:
                self._calls.request_listing(currency, "option")
        for currency in self._listings.future_currencies:
            self._calls.request_futures(currency)
        for index in self._indices:
            self._calls.enqueue(f"index:{index}", "/public/get_index_price", retry=False, index_name=index)
        for underlying in self._listings.underlyings:
            if underlying in INVERSE:
                self._calls.request_volatility_index(
                    underlying, (now_ns - _DVOL_WINDOW) // MILLISECOND, now_ns // MILLISECOND
                )
        if not self._trade_feed.filling:
            self._trade_feed.reconnected(now_ns)
            self._trade_feed.channels_opened(now_ns // MILLISECOND)
