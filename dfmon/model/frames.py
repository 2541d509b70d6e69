"""Input of one tick to `core`: read-only columns of one underlying, frozen at one moment.

Frames are made by `engine` and read by `core.step`. Arrays of a frame have one length and are not writeable. `uid`
numbers options by their first appearance in the journal and is never reused, so state of `core` about an option
survives every change of the listing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dfmon.model.events import FeedState, Market
from dfmon.model.units import NAN

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
I8 = NDArray[np.int8]
Bools = NDArray[np.bool_]


def float_column(values: list[float]) -> F64:
    """Numbers as a read-only column, at a third of the cost of `np.array`."""
    return np.frombuffer(struct.pack(f"{len(values)}d", *values))


def int_column(values: list[int]) -> I64:
    """As `float_column`, of whole numbers."""
    return np.frombuffer(struct.pack(f"{len(values)}q", *values), np.int64)


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """Option prints, k rows; those of one option stand in the order of `seq`, its own count of prints.

    `uid` is the option's, `side` the taker's (+1 bought), `size` coins, `price` as quoted, `sigma` decimal.
    `key` is a stable hash of the event: equal for the legs of one combo or block, of its own for a single print.
    """

    uid: I64
    seq: I64
    key: U64
    exch_ns: I64
    side: I8
    size: F64
    price: F64
    sigma: F64
    block: Bools
    rfq: Bools
    combo: Bools
    liquidation: tuple[str, ...]

    def rows(self, at: NDArray[np.intp]) -> TradeColumns:
        """The prints at these indices, in this order."""
        columns = {name: getattr(self, name)[at] for name in self.__slots__ if name != "liquidation"}
        return TradeColumns(**columns, liquidation=tuple(self.liquidation[i] for i in at.tolist()))


@dataclass(frozen=True, slots=True)
class TradeHistory:
    """Every print of one option from its first one on; replaces all that was known of the option."""

    uid: int
    trades: TradeColumns


@dataclass(frozen=True, slots=True)
class ReceiveTimes:
    """Our time of receipt of each input of a board, ns; 0 before the first data.

    Marks, forwards and open interest are those of the newest sweep over practically all options.
    """

    spot_ns: int = 0
    marks_ns: int = 0
    forwards_ns: int = 0
    open_interest_ns: int = 0


@dataclass(frozen=True, slots=True)
class ChainFrame:
    """Columns of the n live options of one underlying.

    Units as in `units`: strikes and forwards USD, `sigma` decimal, open interest coins, quotes as quoted. `data_ns`
    is the venue's time of the newest message about the row, `first_seen_ns` our time of the first one. `full_history`
    marks options listed during the session, all of whose prints are known; `listed_ns` is the venue's time of listing.
    `interest` is open interest as the venue showed it at its time `interest_ns` (0: never), long enough ago that the
    prints before it are here. `trades` are the prints since the last
    tick, each exactly once; `lost_prints` counts, by option, prints since then that cannot be recovered;
    `trade_histories` are full histories that arrived since then. `block_rfq_checks` counts the block requests since
    the start whose legs matched the prints, and those that did not. `delivery_average` is the running settlement
    average (USD, NaN outside the window). `clock_ns` is the offset of our clock from the venue's, 0 while it is
    unknown. `absent_rows` are options of which the last ten sweeps brought no data;
    `unlisted_names` are of options that have not expired and that the newest listing or board lacks.
    """

    ts_ns: int
    underlying: str
    spot: float
    spot_ns: int
    vol_index: float
    delivery_average: float
    uid: I64
    names: tuple[str, ...]
    expiry_ns: I64
    strike: F64
    option_type: I8
    inverse: Bools
    forward: F64
    sigma: F64
    bid_sigma: F64
    ask_sigma: F64
    mark: F64
    bid: F64
    ask: F64
    open_interest: F64
    volume: F64
    data_ns: I64
    first_seen_ns: I64
    full_history: Bools
    listed_ns: I64
    interest: F64
    interest_ns: I64
    lost_prints: F64
    trades: TradeColumns
    trade_histories: tuple[TradeHistory, ...] = ()
    block_rfq_checks: tuple[int, int] = (0, 0)
    rejected: tuple[tuple[str, int], ...] = ()
    clock_ns: int = 0
    received: ReceiveTimes = ReceiveTimes()
    absent_rows: tuple[int, ...] = ()
    unlisted_names: tuple[str, ...] = ()
    venue: str = ""  # of the options, as it is shown

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def venue_ns(self) -> int:
        """The options venue's clock at this tick, which decides the time to expiry."""
        return self.ts_ns - self.clock_ns


class VenueFlow(msgspec.Struct, frozen=True, gc=False):
    """Best quotes of one market now, and running sums of its order flow since `since_ns`.

    Times are of receipt, 0 for none; quotes USD and coins, NaN while there is no book. `imbalance_usd` is the
    order-flow imbalance at the best quotes, + = buying; `buy_usd` and `sell_usd` are by the taker. `prints` counts
    taker orders, `signs` sums their sides, `sign_products` the products of the sides of `sign_pairs` consecutive ones.
    Sums start at 0 with every session, which a new `since_ns` shows.
    """

    since_ns: int = 0
    last_print_ns: int = 0
    bid: float = NAN
    bid_size: float = NAN
    ask: float = NAN
    ask_size: float = NAN
    imbalance_usd: float = 0.0
    buy_usd: float = 0.0
    sell_usd: float = 0.0
    prints: int = 0
    signs: int = 0
    sign_pairs: int = 0
    sign_products: int = 0
    long_liquidated_usd: float = 0.0
    short_liquidated_usd: float = 0.0


NO_FLOW: Final = VenueFlow()


@dataclass(frozen=True, slots=True)
class VenueMarket:
    """One spot or perpetual market as of the tick. `depth_usd` is the mean of both sides within 1 % of mid.

    `age_s` is that of its newest data of any kind, `book_age_s` and `volume_age_s` those of its book and its 24 h
    volume; infinite where there was none.
    """

    venue: str
    market: Market
    mid: float
    depth_usd: float
    volume_usd: float
    open_interest_usd: float
    funding_8h: float
    mark: float
    age_s: float
    book_age_s: float
    volume_age_s: float
    flow: VenueFlow = NO_FLOW


@dataclass(frozen=True, slots=True)
class ExpectedMarket:
    """A market of a connected venue, and which of its data belong to the sums over markets."""

    venue: str
    market: Market
    has_book: bool
    has_volume: bool


@dataclass(frozen=True, slots=True)
class MarketFrame:
    """Hedging markets of one underlying, ordered by (venue, market).

    Liquidations are sums over the last hour, USD; `long_liquidated_usd` are longs sold out. `expected` are the markets
    of the connected venues, whether or not they have sent anything.
    """

    markets: tuple[VenueMarket, ...]
    long_liquidated_usd: float
    short_liquidated_usd: float
    expected: tuple[ExpectedMarket, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """One connection as of the tick. `lag_ms` is receive time minus venue time: it may be negative.

    `clock_ms` is the offset of our clock from the venue's; for a venue without a time request it is the minimum
    latency of the last minutes, which includes the network delay. `greeks` counts options whose greeks of the venue
    were compared with ours, and those that differ.
    """

    source: str
    state: FeedState
    age_s: float
    lag_ms: float
    frames: int
    rejected: int
    reconnects: int
    reason: str
    clock_ms: float = NAN
    greeks: tuple[int, int] = (0, 0)
