"""Comparison of executed block requests (RFQs) with the prints that have their number.

The legs of a request are ordinary prints already, so a request adds no volume; it only confirms the prints, or does
not. Its leg directions describe the structure (a call spread is always bought and sold): the taker's side is the
leg's, turned round where the request as a whole was sold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dfmon.model.events import BlockRfqChecked, Event
from dfmon.model.units import sanitize
from dfmon.venues.deribit import wire
from dfmon.venues.deribit.listing import Listings

_MAX_WAIT_MS: Final = 120_000  # of the venue's time, for prints that wait for others before them
_MAX_PENDING: Final = 2_000  # requests remembered
_REL_TOLERANCE: Final = 1e-9


@dataclass(slots=True)
class _PendingRfq:
    """Signed coins by option, + the taker bought: `published` by the request, `printed` on the tape."""

    since_ms: int
    underlying: str = ""
    published: dict[str, float] | None = None
    printed: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def matched(self) -> bool:
        return self.published is not None and all(
            abs(self.published.get(name, 0.0) - self.printed.get(name, 0.0)) <= _REL_TOLERANCE * self.size
            for name in self.published.keys() | self.printed.keys()
        )

    @property
    def size(self) -> float:
        """Coins of all legs, as published."""
        return sum(map(abs, (self.published or {}).values()))

    @property
    def is_complete(self) -> bool:
        """True once every leg has been printed in full, so that no later print can resolve a difference."""
        return self.published is not None and sum(map(abs, self.printed.values())) >= self.size * (1.0 - _REL_TOLERANCE)


class BlockRfqChecker:
    """Requests and prints that wait for each other, by number, which is unique over currencies."""

    def __init__(self, listings: Listings) -> None:
        self._listings = listings
        self._pending: dict[str, _PendingRfq] = {}

    def on_published(self, row: wire.BlockRfq, now_ms: int) -> None:
        """A published request. One without an option of ours is ignored.

        Its prints are awaited from `now_ms` on, the venue's time: a gap fill may bring old requests.
        """
        amount = sum(fill.amount for fill in row.trades) or row.amount
        sign = 1.0 if row.direction == "buy" else -1.0
        published: defaultdict[str, float] = defaultdict(float)
        for leg in row.legs:
            if leg.instrument_name in self._listings.options:
                published[leg.instrument_name] += sign * (1.0 if leg.direction == "buy" else -1.0) * amount * leg.ratio
        if published:
            rfq = self._get_or_create(str(row.id), now_ms)
            rfq.published, rfq.underlying = dict(published), self._listings.options[next(iter(published))].underlying

    def on_print(self, row: wire.Trade, now_ms: int) -> None:
        """A new print with the number of a request."""
        if row.block_rfq_id is not None:
            size = row.amount if row.direction == "buy" else -row.amount
            self._get_or_create(str(row.block_rfq_id), now_ms).printed[row.instrument_name] += size

    def _get_or_create(self, rfq_id: str, ms: int) -> _PendingRfq:
        rfq = self._pending.get(rfq_id)
        if rfq is None:
            rfq = self._pending[rfq_id] = _PendingRfq(ms)
            if len(self._pending) > _MAX_PENDING:
                del self._pending[next(iter(self._pending))]
        return rfq

    def check_pending(self, now_ms: int) -> Iterator[Event]:
        """The checks that are decided; prints whose RFQ was never published expire."""
        for rfq_id, rfq in list(self._pending.items()):
            expired = now_ms - rfq.since_ms > _MAX_WAIT_MS
            if rfq.published is not None and (rfq.is_complete or expired):
                del self._pending[rfq_id]
                yield BlockRfqChecked(wire.SOURCE, rfq.underlying, rfq.matched, _mismatch_note(rfq_id, rfq))
            elif expired:
                del self._pending[rfq_id]


def _mismatch_note(rfq_id: str, rfq: _PendingRfq) -> str:
    if rfq.matched or rfq.published is None:
        return ""
    published = ", ".join(f"{name} {size:+g}" for name, size in sorted(rfq.published.items()))
    printed = ", ".join(f"{name} {size:+g}" for name, size in sorted(rfq.printed.items()))
    return sanitize(f"request {rfq_id}: {published} published, {printed or 'nothing'} printed")
