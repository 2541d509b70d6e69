"""The update chain of one Binance book: a REST snapshot and the differences that continue it.

Differences are buffered until a snapshot comes that is not older than the first of them. Spot ids count every change,
so the next difference starts right after the last; futures ids jump, and each difference names the one before it.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Final

from dfmon.model.events import BookLost, BookSnapshot, BookUpdate, Event, Market
from dfmon.venues.binance.wire import Depth, DepthSnapshot
from dfmon.venues.decoding import ms_to_ns

_MAX_PENDING: Final = 2_000  # differences buffered while a snapshot is in flight: some minutes


class _Continuity(Enum):
    """Relation of a difference to the book."""

    NEXT = auto()
    OLD = auto()
    GAP = auto()


class DepthSequencer:
    """One book. `needs_snapshot` is true from the first difference without one until a snapshot is taken."""

    def __init__(self, venue: str, market: Market, underlying: str) -> None:
        self._venue = venue
        self._market = market
        self._underlying = underlying
        self._pending: deque[Depth] = deque(maxlen=_MAX_PENDING)
        self._last: int | None = None
        self._just_synced = False  # the snapshot has not been continued yet
        self.needs_snapshot = False

    def update(self, diff: Depth) -> list[Event]:
        """Takes a difference of the stream."""
        if self._last is None:
            self._pending.append(diff)
            self.needs_snapshot = True
            return []
        continuity = self._continuity(diff)
        if continuity is _Continuity.GAP:
            self._restart(diff)
            return [self.lost()]
        return [self._apply(diff)] if continuity is _Continuity.NEXT else []

    def snapshot(self, book: DepthSnapshot) -> list[Event]:
        """Takes the REST book. Returns the buffered differences that continue it; None where it is too old."""
        if self._last is not None:
            return []
        self._last, self._just_synced = book.lastUpdateId, True
        pending, self._pending = self._pending, deque(maxlen=_MAX_PENDING)
        updates: list[Event] = []
        while pending:
            diff = pending.popleft()
            continuity = self._continuity(diff)
            if continuity is _Continuity.GAP:
                self._restart(diff, *pending)
                return []  # no event of this book has been emitted yet
            if continuity is _Continuity.NEXT:
                updates.append(self._apply(diff))
        self.needs_snapshot = False
        exch_ns = ms_to_ns(book.E)
        first = BookSnapshot(self._venue, self._market, self._underlying, exch_ns, book.bids, book.asks)
        return [first, *updates]

    def lost(self) -> BookLost:
        return BookLost(self._venue, self._market, self._underlying)

    def _continuity(self, diff: Depth) -> _Continuity:
        last = self._last or 0
        if self._market is Market.SPOT:
            if diff.u <= last:
                return _Continuity.OLD
            return _Continuity.NEXT if last + 1 >= diff.U else _Continuity.GAP
        if self._just_synced:  # the first one covers the snapshot's id
            if diff.u < last:
                return _Continuity.OLD
            return _Continuity.NEXT if last >= diff.U or diff.pu == last else _Continuity.GAP
        if diff.pu == last:
            return _Continuity.NEXT
        return _Continuity.OLD if diff.u <= last else _Continuity.GAP

    def _apply(self, diff: Depth) -> BookUpdate:
        self._last, self._just_synced = diff.u, False
        exch_ns = ms_to_ns(diff.T or diff.E)
        return BookUpdate(self._venue, self._market, self._underlying, exch_ns, diff.b, diff.a)

    def _restart(self, *diffs: Depth) -> None:
        self._last, self.needs_snapshot = None, True
        self._pending = deque(diffs, maxlen=_MAX_PENDING)
