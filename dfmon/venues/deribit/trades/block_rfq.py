"""Executed block requests (RFQs) beside the prints that carry their number: do both tell the same trade?

The legs of a request are ordinary prints already, so a request adds no volume; it only confirms what was printed, or
does not. Its leg directions describe the structure (a call spread is always bought and sold): the taker's side is the
leg's, turned round where the request as a whole was sold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dfmon.model.events import Event, RequestChecked
from dfmon.model.units import clean
from dfmon.venues.deribit import wire
from dfmon.venues.deribit.listing import Listings

_WAIT_MS: Final = 120_000  # of the venue's time, for prints that wait for others before them
_MOST: Final = 2_000  # requests remembered
_EXACT: Final = 1e-9


@dataclass(slots=True)
class _Request:
    """Signed coins by option, + the taker bought: `said` by the request, `printed` on the tape."""

    since_ms: int
    underlying: str = ""
    said: dict[str, float] | None = None
    printed: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def matched(self) -> bool:
        return self.said is not None and all(
            abs(self.said.get(name, 0.0) - self.printed.get(name, 0.0)) <= _EXACT * self.size
            for name in self.said.keys() | self.printed.keys()
        )

    @property
    def size(self) -> float:
        """Coins of all legs, as said."""
        return sum(map(abs, (self.said or {}).values()))

    @property
    def done(self) -> bool:
        """Whether nothing more can come that would make it right: every leg has been printed in full."""
        return self.said is not None and sum(map(abs, self.printed.values())) >= self.size * (1.0 - _EXACT)


class Requests:
    """Requests and prints that wait for each other, by number, which no two currencies share."""

    def __init__(self, listings: Listings) -> None:
        self._listings = listings
        self._open: dict[str, _Request] = {}

    def executed(self, row: wire.BlockRequest, now_ms: int) -> None:
        """A request as the venue published it. One without an option of ours is nobody's here.

        Patience begins at `now_ms`, the venue's time: what a fill brings may be of long ago.
        """
        amount = sum(fill.amount for fill in row.trades) or row.amount
        turn = 1.0 if row.direction == "buy" else -1.0
        said: defaultdict[str, float] = defaultdict(float)
        for leg in row.legs:
            if leg.instrument_name in self._listings.options:
                said[leg.instrument_name] += turn * (1.0 if leg.direction == "buy" else -1.0) * amount * leg.ratio
        if said:
            request = self._about(str(row.id), now_ms)
            request.said, request.underlying = dict(said), self._listings.options[next(iter(said))].underlying

    def printed(self, row: wire.Trade, now_ms: int) -> None:
        """A print, told once, that names a request."""
        if row.block_rfq_id is not None:
            size = row.amount if row.direction == "buy" else -row.amount
            self._about(str(row.block_rfq_id), now_ms).printed[row.instrument_name] += size

    def _about(self, number: str, ms: int) -> _Request:
        request = self._open.get(number)
        if request is None:
            request = self._open[number] = _Request(ms)
            if len(self._open) > _MOST:
                del self._open[next(iter(self._open))]
        return request

    def settle(self, now_ms: int) -> Iterator[Event]:
        """What can be said by now; prints whose request was never published are forgotten after a while."""
        for number, request in list(self._open.items()):
            late = now_ms - request.since_ms > _WAIT_MS
            if request.said is not None and (request.done or late):
                del self._open[number]
                yield RequestChecked(wire.SOURCE, request.underlying, request.matched, _trouble(number, request))
            elif late:
                del self._open[number]


def _trouble(number: str, request: _Request) -> str:
    if request.matched or request.said is None:
        return ""
    said = ", ".join(f"{name} {size:+g}" for name, size in sorted(request.said.items()))
    printed = ", ".join(f"{name} {size:+g}" for name, size in sorted(request.printed.items()))
    return clean(f"request {number}: {said} published, {printed or 'nothing'} printed")
