"""The update chain of one Binance book: a REST snapshot and the differences that continue it.

Differences are buffered until a snapshot comes that is not older than the first of them. Spot ids count every change,
so the next difference starts right after the last; futures ids jump, and each difference names the one before it.

A difference that is older than the book is refused: normal for a moment after a snapshot. A damaged id, or ids that
start anew, would have every later difference refused, so after a time without an accepted one the book is given up.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Final

from dfmon.model.events import BookLost, BookSnapshot, BookUpdate, Event, Market
from dfmon.model.units import SECOND
from dfmon.venues.binance.wire import Depth, DepthSnapshot
from dfmon.venues.decoding import ms_to_ns

_MAX_PENDING: Final = 2_000  # differences buffered while a snapshot is in flight: some minutes
_MAX_REFUSAL_NS: Final = 5 * SECOND  # half of the age at which depth is stale
_MIN_RESYNC_INTERVAL_NS: Final = 30 * SECOND  # a full spot book costs a twenty-fourth of the venue's minute


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
        self._awaits_first_diff = False  # the snapshot has not been continued yet
        self.needs_snapshot = False
        self._refused = False  # the newest difference was refused
        self._refused_since_ns: int | None = None  # first timer of these refusals
        self._resynced_ns: int | None = None

    def update(self, diff: Depth) -> list[Event]:
        """Takes a difference of the stream."""
        if self._last is None:
            if self._pending and diff.u < self._pending[-1].u:
                self._pending.clear()  # ids fell: those before belong to another sequence, or are damaged
            self._pending.append(diff)
            self.needs_snapshot = True
            return []
        continuity = self._continuity(diff)
        if continuity is _Continuity.GAP:
            self._restart(diff)
            return [self.lost()]
        if continuity is _Continuity.OLD:
            self._refused = True
            return []
        return [self._apply(diff)]

    def on_timer(self, now_ns: int) -> list[Event]:
        """Gives the book up where its differences have been refused for too long. Called once a second."""
        if not self._refused or self._last is None:
            self._refused_since_ns = None
            return []
        if self._refused_since_ns is None or now_ns < self._refused_since_ns:  # or our clock was set back
            self._refused_since_ns = now_ns
        if now_ns - self._refused_since_ns < _MAX_REFUSAL_NS:
            return []
        if self._resynced_ns is not None and 0 <= now_ns - self._resynced_ns < _MIN_RESYNC_INTERVAL_NS:
            return []
        self._resynced_ns = now_ns
        self._restart()
        return [self.lost()]

    def snapshot(self, book: DepthSnapshot) -> list[Event]:
        """Takes the REST book. Returns the buffered differences that continue it; None where it is too old."""
        if self._last is not None:
            return []
        self._last, self._awaits_first_diff = book.lastUpdateId, True
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
        if self._awaits_first_diff:  # the first one covers the snapshot's id
            if diff.u < last:
                return _Continuity.OLD
            return _Continuity.NEXT if last >= diff.U or diff.pu == last else _Continuity.GAP
        if diff.pu == last:
            return _Continuity.NEXT
        return _Continuity.OLD if diff.u <= last else _Continuity.GAP

    def _apply(self, diff: Depth) -> BookUpdate:
        self._last, self._awaits_first_diff, self._refused = diff.u, False, False
        exch_ns = ms_to_ns(diff.T or diff.E)
        return BookUpdate(self._venue, self._market, self._underlying, exch_ns, diff.b, diff.a)

    def _restart(self, *diffs: Depth) -> None:
        self._last, self.needs_snapshot, self._refused = None, True, False
        self._pending = deque(diffs, maxlen=_MAX_PENDING)
