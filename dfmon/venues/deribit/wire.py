"""Deribit's JSON as typed structs, field by field as the venue names them. No conversion: see `decode`.

Frames of one object are decoded in one pass; arrays go through `RowDecoder`, which survives a bad row.
Unknown fields are ignored, since the venue adds some unannounced.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from dfmon.model.events import Greeks, RawTicker, Rejected
from dfmon.venues.decoding import (
    MAX_TIMESTAMP_MS,
    UNREADABLE,
    EpochMs,
    NonNegativeFloat,
    PositiveFloat,
    RowDecoder,
    TradeNumber,
)

T = TypeVar("T")
SOURCE: Final = "deribit"

OptionalFloat = float | None
EpochUs = Annotated[int, Meta(ge=0, le=9_000_000_000_000_000)]  # microseconds since the epoch
OptionalAmount = NonNegativeFloat | None  # no number of an option is negative; a frame with one is damaged
FieldUpdate = float | None | UnsetType


class Params(Struct, Generic[T], gc=False):
    data: T


class Notification(Struct, Generic[T], gc=False):
    """A subscription frame; the channel was read before, from the bytes."""

    params: Params[T]


class NotificationRows(Generic[T]):
    """The rows of a subscription frame: the frame in one go, and row by row where one is bad."""

    def __init__(self, rows: RowDecoder[T], frame: msgspec.json.Decoder[Notification[list[T]]]) -> None:
        self._rows = rows
        self._frame = frame

    def decode(self, frame: bytes) -> tuple[list[T], list[Rejected]]:
        """Good rows in order, and a Rejected for each bad one. Raises if there is no array."""
        try:
            return self._frame.decode(frame).params.data, []
        except UNREADABLE:
            return self._rows.decode(array.decode(frame).params.data)


_TIMESTAMP: Final = re.compile(rb'"timestamp":\s*(\d{1,13})(?!\d)')


def timestamp_ms(frame: bytes) -> int:
    """The first `timestamp` of a frame, ms; 0 if there is none in range."""
    found = _TIMESTAMP.search(frame)
    ms = int(found[1]) if found else 0
    return ms if ms <= MAX_TIMESTAMP_MS else 0


class AnyParams(Struct):
    channel: str = ""
    type: str = ""


class RpcError(Struct):
    code: int
    message: str = ""
    data: Raw = Raw(b"null")


class Envelope(Struct):
    """Messages other than notifications in their usual spelling: responses, heartbeats, errors."""

    id: int | None = None
    method: str = ""
    params: AnyParams | None = None
    result: Raw = Raw(b"")
    error: RpcError | None = None
    usIn: EpochUs = 0
    usOut: EpochUs = 0


class Stats(Struct, gc=False):
    volume: OptionalAmount = None


class Ticker(RawTicker, frozen=True, gc=False, kw_only=True):
    """`ticker` of an option: IVs in percent, prices in the quote currency, OI in coins.

    The fields stand in the order of the wire, which makes the decoder faster.
    """

    exch_ms: EpochMs = field(default=0, name="timestamp")
    stats: Stats | None = None
    greeks: Greeks | None = None
    index_price: OptionalAmount = None
    name: str = field(name="instrument_name")
    open_interest: OptionalAmount = None
    mark_price: OptionalAmount = None
    best_ask_price: OptionalAmount = None
    best_bid_price: OptionalAmount = None
    mark_iv: OptionalAmount = None
    bid_iv: OptionalAmount = None
    ask_iv: OptionalAmount = None
    underlying_price: OptionalAmount = None


class FutureStats(Struct, gc=False):
    volume_usd: FieldUpdate = UNSET


class FutureRow(Struct, gc=False):
    """`ticker` and `incremental_ticker` of a future: a field that is absent has not changed, null is none."""

    instrument_name: str
    timestamp: EpochMs = 0
    type: str = ""
    mark_price: FieldUpdate = UNSET
    best_bid_price: FieldUpdate = UNSET
    best_ask_price: FieldUpdate = UNSET
    index_price: FieldUpdate = UNSET
    open_interest: FieldUpdate = UNSET
    funding_8h: FieldUpdate = UNSET
    stats: FutureStats | None = None


class Trade(Struct, gc=False):
    """A print of `trades.*` or of a REST page; `direction` is the taker's, amount in coins for options."""

    trade_id: str | int
    trade_seq: TradeNumber
    instrument_name: str
    timestamp: EpochMs
    direction: Literal["buy", "sell"]
    price: NonNegativeFloat
    amount: PositiveFloat
    iv: OptionalFloat = None
    index_price: OptionalFloat = None
    combo_id: str | None = None
    combo_trade_id: str | int | float | None = None
    block_trade_id: str | int | None = None
    block_rfq_id: str | int | None = None
    liquidation: str | None = None


class BlockRfqLeg(Struct, gc=False):
    """A leg of the structure: its direction is the taker's only if that of the request is "buy"."""

    instrument_name: str
    direction: Literal["buy", "sell"]
    ratio: PositiveFloat = 1.0


class BlockRfqFill(Struct, gc=False):
    amount: PositiveFloat


class BlockRfq(Struct):
    """A row of `block_rfq.trades.*`: an executed request. A leg's size is the amount times its ratio."""

    id: int | str
    timestamp: EpochMs
    direction: Literal["buy", "sell"]
    amount: PositiveFloat
    legs: list[BlockRfqLeg]
    trades: list[BlockRfqFill] = []


class Page(Struct):
    trades: Raw
    has_more: bool = False


class Mark(Struct, gc=False):
    """A row of `markprice.options.*`: the only place where Deribit's iv is a fraction.

    The rows of a frame share one time, which `timestamp_ms` reads once: a thousand times would cost a tenth of the
    frame.
    """

    iv: NonNegativeFloat
    instrument_name: str
    mark_price: NonNegativeFloat


class Summary(Struct, gc=False):
    """A row of the book summary: mark_iv in percent, null for an absent quote."""

    instrument_name: str
    creation_timestamp: EpochMs = 0
    mark_iv: OptionalFloat = None
    mark_price: OptionalFloat = None
    bid_price: OptionalFloat = None
    ask_price: OptionalFloat = None
    open_interest: OptionalFloat = None
    underlying_price: OptionalFloat = None
    estimated_delivery_price: float | str | None = None  # the string "expired" after delivery
    volume: OptionalFloat = None


class FutureSummary(Struct, gc=False):
    """A row of the book summary of futures: open interest of an inverse one in USD, of a linear one in coins."""

    instrument_name: str
    creation_timestamp: EpochMs = 0
    mark_price: OptionalFloat = None
    bid_price: OptionalFloat = None
    ask_price: OptionalFloat = None
    open_interest: OptionalFloat = None
    funding_8h: OptionalFloat = None
    volume_usd: OptionalFloat = None


class VolatilityCandles(Struct, gc=False):
    """The response to public/get_volatility_index_data: start of the candle, open, high, low, close in percent."""

    data: list[tuple[EpochMs, NonNegativeFloat, NonNegativeFloat, NonNegativeFloat, PositiveFloat]]


class Record(Struct, gc=False):
    """A row of get_instruments, and the body of an instrument.creation notification."""

    instrument_name: str
    kind: str
    base_currency: str
    expiration_timestamp: int
    instrument_id: int = 0
    instrument_type: str = ""
    settlement_currency: str = ""
    settlement_period: str = ""
    option_type: str | None = None
    strike: float | None = None
    contract_size: PositiveFloat = 1.0
    price_index: str = ""
    creation_timestamp: EpochMs = 0
    is_active: bool = True


class Index(Struct, gc=False):
    price: PositiveFloat
    timestamp: EpochMs = 0


class Volatility(Struct, gc=False):
    volatility: PositiveFloat
    timestamp: EpochMs = 0


class Expiration(Struct, gc=False):
    price: PositiveFloat
    seconds: NonNegativeFloat


class InstrumentState(Struct, gc=False):
    instrument_name: str
    state: str
    timestamp: EpochMs = 0


class VenueStatus(Struct):
    """The response to public/status: "true", "partial" or "false"."""

    locked: bool | str | None = None


class PlatformState(Struct, gc=False):
    """Three notifications on two channels; only the fields of one are present."""

    price_index: str = ""
    locked: bool | str | None = None
    maintenance: bool | None = None
    allow_unauthenticated_public_requests: bool | None = None


class Response(Struct):
    """A REST body."""

    result: Raw = Raw(b"")
    error: RpcError | None = None
    usOut: EpochUs = 0


class IndexPriceResponse(Struct):
    """The response to public/get_index_price."""

    index_price: PositiveFloat


envelope: Final = msgspec.json.Decoder(Envelope)
response: Final = msgspec.json.Decoder(Response)
page: Final = msgspec.json.Decoder(Page)
index_price_response: Final = msgspec.json.Decoder(IndexPriceResponse)
volatility_candles: Final = msgspec.json.Decoder(VolatilityCandles)
channels: Final = msgspec.json.Decoder(list[str])
venue_status: Final = msgspec.json.Decoder(VenueStatus)
future: Final = msgspec.json.Decoder(Notification[FutureRow])
index: Final = msgspec.json.Decoder(Notification[Index])
volatility: Final = msgspec.json.Decoder(Notification[Volatility])
expiration: Final = msgspec.json.Decoder(Notification[Expiration])
state: Final = msgspec.json.Decoder(Notification[InstrumentState])
platform: Final = msgspec.json.Decoder(Notification[PlatformState])
created: Final = msgspec.json.Decoder(Notification[Record])
array: Final = msgspec.json.Decoder(Notification[Raw])
fields: Final = msgspec.json.Decoder(Notification[dict[str, Any]])

trades: Final = RowDecoder(SOURCE, msgspec.json.Decoder(list[Trade]), msgspec.json.Decoder(Trade))
trade_frame: Final = NotificationRows(trades, msgspec.json.Decoder(Notification[list[Trade]]))
mark_frame: Final = NotificationRows(
    RowDecoder(SOURCE, msgspec.json.Decoder(list[Mark]), msgspec.json.Decoder(Mark)),
    msgspec.json.Decoder(Notification[list[Mark]]),
)
block_rfqs: Final = RowDecoder(SOURCE, msgspec.json.Decoder(list[BlockRfq]), msgspec.json.Decoder(BlockRfq))
summaries: Final = RowDecoder(SOURCE, msgspec.json.Decoder(list[Summary]), msgspec.json.Decoder(Summary))
future_summaries: Final = RowDecoder(
    SOURCE, msgspec.json.Decoder(list[FutureSummary]), msgspec.json.Decoder(FutureSummary)
)
records: Final = RowDecoder(SOURCE, msgspec.json.Decoder(list[Record]), msgspec.json.Decoder(Record))
