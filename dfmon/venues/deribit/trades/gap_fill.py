"""Time ranges to read from Deribit's REST: after an outage, and a sweep now and then.

A fill brings the prints of a time without channels, and live prints of its currency wait for it. A sweep repeats what
the open channels have brought, to find a dropped print that no later number reveals.
`request_prints` takes the pages of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dfmon.model.units import MILLISECOND, MINUTE
from dfmon.venues.deribit.listing import INVERSE, Listings
from dfmon.venues.deribit.rest_calls import DeribitRestQueue
from dfmon.venues.deribit.trades.sequencer import TradeSequencer

_OVERLAP_MS: Final = 5_000  # a fill by time starts before the last print seen: prints of one moment come in any order
_SWEEP_INTERVAL: Final = 5 * MINUTE  # between two readings of what the channels should have brought
_MAX_LATENESS_MS: Final = 10_000  # a print may come this late, to the channel or to the archive
_RESUME_OVERLAP_MS: Final = 300_000  # the stored state may lack prints that waited for others when it was written
_PAGE_TIMEOUT_MS: Final = 120_000  # of the venue's time, for the next page of a fill, while live prints wait for it


class GapFiller:
    """Times are milliseconds, the venue's unless noted; `sequencer` has the newest prints."""

    def __init__(
        self, listings: Listings, calls: DeribitRestQueue, sequencer: TradeSequencer, look_back_ms: int
    ) -> None:
        self.running: dict[str, int] = {}  # currencies being filled by time -> the venue's time of the last progress
        self.initial_start_ms: dict[str, int] = {}  # of those, currencies in their first fill -> where it began
        self.read_until_ms: dict[str, int] = {}  # currency -> until when the venue's archive has been read
        self.open_since_ms: dict[str, int] = {}  # currency -> since when its channel has been open, the first time
        self._listings, self._calls, self._sequencer = listings, calls, sequencer
        self._look_back_ms = look_back_ms
        self._pending: dict[str, int] = {}  # currencies whose fill is still to be requested -> where it begins
        self._connected_ms = 0
        self._end_ms: int | None = None  # where fills end; None until the channels are open
        self._next_sweep_ns = 0  # when the archive is to be read again
        self._stored_ms: dict[str, int] = {}  # underlying -> newest print that was kept from an earlier run

    def set_stored(self, newest_ms: Mapping[str, int]) -> None:
        """Time of the newest print of an earlier run, by underlying."""
        self._stored_ms.update(newest_ms)

    # ---- after an outage -------------------------------------------------------------------------------------------

    def reconnected(self, now_ns: int) -> None:
        """Requests the prints since the last print of each currency.

        What no sweep has read yet is read again with it: the connection may have dropped prints before it ended. At the
        first connection, and after one that ended during the first fill, that is what an earlier run has not seen, or
        the look-back.
        """
        now_ms = now_ns // MILLISECOND
        self.running.clear()
        self._pending.clear()
        for currency in self._listings.currencies:
            if currency in self._sequencer.last_ms and currency not in self.initial_start_ms:
                start_ms = self._sequencer.last_ms[currency] - _OVERLAP_MS
                start_ms = min(
                    start_ms, self.read_until_ms.get(currency, start_ms + _MAX_LATENESS_MS) - _MAX_LATENESS_MS
                )
            else:
                since_ms = self._stored_until_ms(currency) or (
                    now_ms - self._look_back_ms if self._look_back_ms else None
                )
                if since_ms is None:
                    continue
                start_ms = self.initial_start_ms.setdefault(currency, since_ms)
            self.running[currency] = now_ms
            self._pending[currency] = start_ms
        self._connected_ms, self._end_ms = now_ms, None
        self._next_sweep_ns = now_ns + _SWEEP_INTERVAL

    def channels_opened(self, now_ms: int) -> None:
        """The channels carry prints from the venue's `now_ms` on: fills may bring those before.

        An earlier request would miss the prints between its response and the first frame.
        """
        if self._end_ms is None:
            self._sequencer.advance_clock(now_ms)
            for currency in self._listings.currencies:
                if now_ms:
                    self.open_since_ms.setdefault(currency, now_ms)
                    if currency not in self.running:
                        self.read_until_ms.setdefault(currency, now_ms)
            self._end_ms = max(now_ms, self._connected_ms)
            self.request_ready()

    def request_ready(self) -> None:
        """Fills that can start: the channels are open, and the options are listed."""
        if self._end_ms is None:
            return
        for currency in [currency for currency in self._pending if self._listings.complete(currency)]:
            self._calls.request_prints(currency, self._pending.pop(currency), self._end_ms)

    def _stored_until_ms(self, currency: str) -> int | None:
        """End of an earlier run's prints of a settlement currency: every coin settled in it must be among them."""
        coins = [currency] if currency in INVERSE else self._listings.underlyings
        newest = [self._stored_ms.get(coin) for coin in coins]
        found = [ms for ms in newest if ms is not None]
        return min(found) - _RESUME_OVERLAP_MS if len(found) == len(coins) else None

    def on_page(self, currency: str) -> None:
        """A page of a fill has come."""
        if currency in self.running:
            self.running[currency] = max(self.running[currency], self._sequencer.now_ms)

    def timed_out(self, currency: str) -> bool:
        """True once live prints have waited too long for the next page."""
        return currency in self.running and self._sequencer.now_ms - self.running[currency] > _PAGE_TIMEOUT_MS

    def finish(self, currency: str) -> None:
        """Its last page has come, or will not come."""
        self.running.pop(currency, None)
        self.initial_start_ms.pop(currency, None)

    # ---- while the channels are open -------------------------------------------------------------------------------

    def sweep_soon(self) -> None:
        """A sweep is due."""
        self._next_sweep_ns = 0

    def sweep(self, now_ns: int) -> None:
        """Requests the prints since the last sweep, when one is due."""
        if self._end_ms is not None and now_ns >= self._next_sweep_ns:
            self._next_sweep_ns = now_ns + _SWEEP_INTERVAL
            for currency in self._listings.currencies:
                read_until_ms = self.read_until_ms.setdefault(currency, self._sequencer.now_ms)
                if self._listings.complete(currency) and currency not in self.running:
                    self._calls.request_sweep(currency, read_until_ms - _MAX_LATENESS_MS, self._sequencer.now_ms)
