"""Events of the venues, in the units of `units`. Decoders produce them; only `engine` applies them.

Every event is about one moment of one venue: `exch_ns` is the venue's clock, 0 where it gives none. A float that the
frame did not contain is NaN: an `OptionTicker` is a full state, so the value is no longer known; a `MarketTicker` is
partial, so the old value stays.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from dfmon.model.instrument import Instrument
from dfmon.model.units import MILLISECOND, NAN


class Event(msgspec.Struct, frozen=True, gc=False):
    """Base of all events."""


# ---- options ---------------------------------------------------------------------------------------------------


class Listed(Event, frozen=True, gc=False):
    """An instrument exists."""

    instrument: Instrument


class ListingComplete(Event, frozen=True, gc=False):
    """`names` are all live options of the underlying at this venue; any other is gone."""

    venue: str
    underlying: str
    names: frozenset[str]


class Delisted(Event, frozen=True, gc=False):
    """The instrument no longer trades (delivered, closed, archived)."""

    venue: str
    name: str
    exch_ns: int = 0


class Greeks(msgspec.Struct, frozen=True, gc=False):
    """A venue's own greeks of one coin of an option, in Deribit's units and five decimals.

    `delta` of the forward without the premium, `gamma` per USD, `vega` USD per vol point, `theta` USD per day.
    """

    delta: float | None = None
    gamma: float | None = None
    vega: float | None = None
    theta: float | None = None


class OptionTicker(Event, frozen=True, gc=False):
    """State of one option: from a ticker, a book-summary row or a recorded board.

    `forward` (USD) is the venue's underlying price of that expiry and `index` (USD) the index at that moment. Prices
    are in the option's own quote currency. A quote that is missing or 0.0 is NaN. `greeks` are the venue's own,
    compared with ours and never summed.
    """

    venue: str
    name: str
    exch_ns: int
    mark_iv: float = NAN
    bid_iv: float = NAN
    ask_iv: float = NAN
    mark: float = NAN
    bid: float = NAN
    ask: float = NAN
    open_interest: float = NAN
    forward: float = NAN
    index: float = NAN
    volume: float = NAN
    greeks: Greeks | None = None


class OptionGreeks(Event, frozen=True, gc=False):
    """A venue's own greeks of one option, with their inputs; used only to compare them with ours."""

    venue: str
    name: str
    exch_ns: int
    mark_iv: float
    forward: float
    greeks: Greeks | None


class RawTicker(Event, frozen=True, gc=False):
    """An option's ticker still in the venue's units; only the newest between two ticks is converted.

    A venue's class has these as fields, in the order of its wire format, which saves a fortieth of the cost of a
    frame.
    """

    @property
    def name(self) -> str:
        """Name of the option."""
        raise NotImplementedError

    @property
    def exch_ms(self) -> int:
        """The venue's clock, ms."""
        raise NotImplementedError

    @property
    def exch_ns(self) -> int:
        return self.exch_ms * MILLISECOND

    def to_option_ticker(self) -> OptionTicker:
        """The ticker in our units."""
        raise NotImplementedError


class OptionMarks(Event, frozen=True, gc=False):
    """Mark IVs (decimal) and mark prices of many options at once: three columns of one length."""

    venue: str
    exch_ns: int
    names: list[str]
    mark_iv: NDArray[np.float64]
    mark: NDArray[np.float64]


class OptionTrade(Event, frozen=True, gc=False):
    """One print of one option. A combo arrives leg by leg; `event_id` ties the legs together ("" for a single)."""

    venue: str
    name: str
    trade_id: str
    seq: int
    exch_ns: int
    side: int
    price: float
    size: float
    iv: float = NAN
    index: float = NAN
    block: bool = False
    rfq: bool = False
    combo: bool = False
    liquidation: str = ""
    event_id: str = ""


class OptionTradeHistory(Event, frozen=True, gc=False):
    """Every print of one option from its first one on, in the order of `seq`; replaces all earlier prints."""

    venue: str
    name: str
    trades: tuple[OptionTrade, ...]


class PrintsLost(Event, frozen=True, gc=False):
    """`count` prints of an option are missing from its sequence and cannot be recovered."""

    venue: str
    name: str
    count: int


class BlockRfqChecked(Event, frozen=True, gc=False):
    """An executed block request was compared with the prints of its legs; `mismatch` describes the difference."""

    venue: str
    underlying: str
    matched: bool
    mismatch: str = ""


class TradeHistoryComplete(Event, frozen=True, gc=False):
    """Every option print of the underlying since `since_ns` has arrived as an `OptionTrade`."""

    venue: str
    underlying: str
    since_ns: int


class FutureTicker(Event, frozen=True, gc=False):
    """Mark of a dated future (gives the forward of its expiry, `expiry_ns` > 0) or of a perpetual (0).

    `open_interest_usd` and `volume_usd` (24 h) are USD, `funding_8h` a fraction per 8 h.
    """

    venue: str
    name: str
    underlying: str
    expiry_ns: int
    exch_ns: int
    mark: float = NAN
    bid: float = NAN
    ask: float = NAN
    index: float = NAN
    open_interest_usd: float = NAN
    volume_usd: float = NAN
    funding_8h: float = NAN


class IndexPrice(Event, frozen=True, gc=False):
    """Spot index of an underlying, USD."""

    venue: str
    underlying: str
    price: float
    exch_ns: int


class VolIndex(Event, frozen=True, gc=False):
    """The venue's volatility index (DVOL), decimal."""

    venue: str
    underlying: str
    value: float
    exch_ns: int


class SettlementPrice(Event, frozen=True, gc=False):
    """Running delivery average: `price` USD, `remaining_s` to the delivery."""

    venue: str
    underlying: str
    price: float
    remaining_s: float
    exch_ns: int = 0


# ---- spot and perpetual markets -----------------------------------------------------------------------------------


class Market(StrEnum):
    """Market of a hedging venue; `INVERSE` is a coin-settled perpetual beside a linear one."""

    SPOT = "spot"
    PERP = "perp"
    INVERSE = "inverse"


class MarketTrade(Event, frozen=True, gc=False):
    """One taker print: `price` USD, `size` coins, `side` of the taker."""

    venue: str
    market: Market
    underlying: str
    exch_ns: int
    price: float
    size: float
    side: int


class BookSnapshot(Event, frozen=True, gc=False):
    """A full book: levels (price USD, size coins), in any order."""

    venue: str
    market: Market
    underlying: str
    exch_ns: int
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]


class BookUpdate(Event, frozen=True, gc=False):
    """Changed levels of a book whose sequence the decoder has verified; size 0 removes the level."""

    venue: str
    market: Market
    underlying: str
    exch_ns: int
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]


class BookLost(Event, frozen=True, gc=False):
    """The sequence of a book broke: the book must not be used until the next snapshot."""

    venue: str
    market: Market
    underlying: str


class MarketTicker(Event, frozen=True, gc=False):
    """Slow facts of a market; each may come alone. USD, except `funding_8h` (fraction per 8 h)."""

    venue: str
    market: Market
    underlying: str
    exch_ns: int
    last: float = NAN
    mark: float = NAN
    index: float = NAN
    volume_usd: float = NAN
    open_interest_usd: float = NAN
    funding_8h: float = NAN
    bid: float = NAN
    ask: float = NAN


class Liquidation(Event, frozen=True, gc=False):
    """A forced order: `side` +1 when a short was bought in, -1 when a long was sold out; `usd` is a lower bound."""

    venue: str
    market: Market
    underlying: str
    exch_ns: int
    side: int
    price: float
    usd: float


# ---- feeds -------------------------------------------------------------------------------------------------------


class FeedState(StrEnum):
    """State of one connection, as shown on screen; a venue without a connection by its configuration is disabled."""

    CONNECTING = "connecting"
    SYNCING = "syncing"
    LIVE = "live"
    DOWN = "down"
    DISABLED = "disabled"


class FeedStatus(Event, frozen=True, gc=False):
    """A connection changed state; `reason` is sanitised text."""

    source: str
    state: FeedState
    reason: str = ""


class ClockReading(Event, frozen=True, gc=False):
    """A request and its response: sent at `sent_ns` of our clock, processed by the venue from `venue_recv_ns` to
    `venue_sent_ns` of its clock.
    """

    source: str
    sent_ns: int
    venue_recv_ns: int
    venue_sent_ns: int


class Rejected(Event, frozen=True, gc=False):
    """Data that the decoder rejected. `what` is a short class such as "row" or "frame"; counted, never raised."""

    source: str
    what: str
    detail: str = ""
