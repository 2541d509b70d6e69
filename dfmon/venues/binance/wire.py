"""Binance's JSON as typed structs. Prices and sizes are strings on the wire; they become floats while decoding.

Spot and USD-M futures share the shapes; a field that only one of them sends is optional. Book levels that are negative
or not finite make the frame unreadable, so a damaged number cannot enter a book.
"""

from __future__ import annotations

from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from dfmon.venues.decoding import EpochMs, Level, NonNegativeFloat, PositiveFloat, TradeNumber

T = TypeVar("T")


class Stream(Struct, Generic[T]):
    """A frame of a combined connection; the stream's name was read before, from the bytes."""

    data: T


class AnyStream(Struct):
    """Any other message: acknowledgements and errors."""

    stream: str = ""
    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    error: msgspec.Raw = msgspec.Raw(b"")


class AggTrade(Struct):
    """Taker prints of one price and side; `m`: the buyer was the maker."""

    p: PositiveFloat
    q: PositiveFloat
    T: EpochMs
    m: bool
    a: TradeNumber = 0


class Trade(Struct):
    """One fill; futures name its kind in `X`."""

    p: PositiveFloat
    q: PositiveFloat
    T: EpochMs
    m: bool
    t: int
    X: str = ""


class Ticker(Struct):
    """24 hours; `q` is the quote volume. The futures' has no best bid and ask."""

    c: NonNegativeFloat
    q: NonNegativeFloat
    E: EpochMs
    b: NonNegativeFloat = 0.0
    a: NonNegativeFloat = 0.0


class MarkPrice(Struct):
    """Mark `p`, index `i`, funding rate `r` (a fraction, "" where there is none)."""

    E: EpochMs
    p: PositiveFloat
    i: str = ""
    r: str = ""


class Order(Struct):
    """The liquidation order: `z` filled so far at the average price `ap`."""

    S: str
    p: NonNegativeFloat
    ap: NonNegativeFloat
    z: NonNegativeFloat
    T: EpochMs


class ForceOrder(Struct):
    o: Order


class BookTicker(Struct):
    """Best bid and ask; the spot one carries no time at all."""

    b: NonNegativeFloat
    B: NonNegativeFloat
    a: NonNegativeFloat
    A: NonNegativeFloat
    T: EpochMs = 0


class Depth(Struct):
    """A difference of the book: update ids `U`..`u`; futures name the id before them in `pu`."""

    E: EpochMs
    U: int
    u: int
    b: tuple[Level, ...]
    a: tuple[Level, ...]
    T: EpochMs = 0
    pu: int = -1


class DepthSnapshot(Struct):
    """The REST book that the differences continue."""

    lastUpdateId: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    E: EpochMs = 0


class OpenInterest(Struct):
    openInterest: NonNegativeFloat
    time: EpochMs = 0


class PremiumIndex(Struct):
    """The REST form of the stream of mark prices."""

    markPrice: PositiveFloat
    indexPrice: str = ""
    lastFundingRate: str = ""
    time: EpochMs = 0


class FundingInfo(Struct):
    """A contract whose funding period or bounds were ever changed."""

    symbol: str
    fundingIntervalHours: Annotated[float, Meta(gt=0, le=24)] = 8.0


def _stream(kind: type[T]) -> msgspec.json.Decoder[Stream[T]]:
    return msgspec.json.Decoder(Stream[kind], strict=False)  # type: ignore[valid-type]  # the type is an argument


any_stream: Final = msgspec.json.Decoder(AnyStream)
agg_trade: Final = _stream(AggTrade)
trade: Final = _stream(Trade)
ticker: Final = _stream(Ticker)
mark_price: Final = _stream(MarkPrice)
force_order: Final = _stream(ForceOrder)
book_ticker: Final = _stream(BookTicker)
depth: Final = _stream(Depth)
snapshot: Final = msgspec.json.Decoder(DepthSnapshot, strict=False)
premium_index: Final = msgspec.json.Decoder(PremiumIndex, strict=False)
funding_info: Final = msgspec.json.Decoder(list[FundingInfo], strict=False)
open_interest: Final = msgspec.json.Decoder(OpenInterest, strict=False)
