"""The contract of an options venue: a `VenueProtocol` that also lists options and collects their trade histories.

The runtime, the backfill and the doctor use options venues through this contract only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from dfmon.model.events import OptionTrade
from dfmon.model.instrument import Instrument
from dfmon.venues.protocol import Endpoint, RestCall, VenueProtocol


class TradeHistories(Protocol):
    """Full trade histories that are being collected, by option name. Only responses change what is known.

    `mismatched` are options whose stored prints were not the venue's: their histories have started again. `pages`
    counts the responses that brought anything, `prints` the prints over all options.
    """

    complete: set[str]
    given_up: dict[str, str]  # with the reason
    mismatched: set[str]
    pages: int
    prints: int

    def next_call(self, name: str) -> RestCall:
        """The archive page that the history of `name` needs next."""

    def resume(self, name: str, trades: Sequence[OptionTrade]) -> None:
        """Starts a history with stored prints, which begin with number 1."""

    def collected(self, name: str) -> list[OptionTrade]:
        """The prints of a history that is not complete yet."""


@runtime_checkable
class OptionsVenue(VenueProtocol, Protocol):
    """A venue of options.

    Its events are `Listed`, `Delisted` and `ListingComplete`, `OptionTicker` or `OptionMarks`, `OptionTrade` with
    consecutive numbers for each option, `IndexPrice`, `VolIndex`, `SettlementPrice` and `FutureTicker`. A response with
    `stored_tag` has stored prints as its body; it gives an `OptionTradeHistory` like the last page of the archive.
    """

    @property
    def underlyings(self) -> Sequence[str]: ...
    @property
    def options(self) -> Mapping[str, Instrument]:
        """The listed options by name."""

    @property
    def histories(self) -> TradeHistories: ...

    def restore(self, last_seq: Mapping[str, int], complete: Iterable[str], newest_ms: Mapping[str, int]) -> None:
        """Resumes after the last print of each option that an earlier run saw. Called before the first connection.

        `complete` are the options with a full history; `newest_ms` is the time of the newest print of each underlying.
        """

    def listing_calls(self) -> list[RestCall]:
        """Pending REST calls for the options and their open interest; other pending calls are dropped."""


def options_venues(endpoints: Iterable[Endpoint]) -> dict[str, OptionsVenue]:
    """The options venues among `endpoints`, by source."""
    return {e.source: e.protocol for e in endpoints if isinstance(e.protocol, OptionsVenue)}
