"""Deribit's JSON as typed structs, field by field as the venue names them. No conversion: see `decode`.

Frames of one object are decoded whole in one pass; arrays go through `Rows`, which survives a bad row.
Unknown fields are ignored, since the venue adds some unannounced.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from dfmon.model.events import Greeks, Rejected, UnreadTicker
from dfmon.venues.decoding import LAST_MS, UNREADABLE, Amount, Ms, Positive, Rows, Serial

T = TypeVar("T")
SOURCE: Final = "deribit"

Maybe = float | None
Us = Annotated[int, Meta(ge=0, le=9_000_000_000_000_000)]  # microseconds since the epoch
Quantity = Amount | None  # none of an option's numbers is negative; a frame that says so is damaged
Field = float | None | UnsetType


class Params(Struct, Generic[T], gc=False):
    data: T


class Push(Struct, Generic[T], gc=False):
    """A subscription frame; the channel was read before, from the bytes."""

    params: Params[T]


class Pushed(Generic[T]):
    """The rows of a subscription frame: the frame in one go, and row by row where one is bad."""

    def __init__(self, rows: Rows[T], frame: msgspec.json.Decoder[Push[list[T]]]) -> None:
        self._rows = rows
        self._frame = frame

    def decode(self, frame: bytes) -> tuple[list[T], list[Rejected]]:
        """Good rows in order, and one Rejected for each bad one. Raises where there is no array at all."""
        try:
            return self._frame.decode(frame).params.data, []
        except UNREADABLE:
            return self._rows.decode(array.decode(frame).params.data)


_TIME: Final = re.compile(rb'"timestamp":\s*(\d{1,13})(?!\d)')


def moment(frame: bytes) -> int:
    """The first `timestamp` of a frame, ms; 0 where there is none that could be."""
    found = _TIME.search(frame)
    ms = int(found[1]) if found else 0
    return ms if ms <= LAST_MS else 0


class AnyParams(Struct):
    channel: str = ""
    type: str = ""


class RpcError(Struct):
    code: int
    message: str = ""
    data: Raw = Raw(b"null")


class Envelope(Struct):
    """Whatever is not a push in its usual spelling: answers, heartbeats, errors."""

    id: int | None = None
    method: str = ""
    params: AnyParams | None = None
    result: Raw = Raw(b"")
    error: RpcError | None = None
    usIn: Us = 0
    usOut: Us = 0


class Stats(Struct, gc=False):
    volume: Quantity = None


class Ticker(UnreadTicker, frozen=True, gc=False, kw_only=True):
    """`ticker` of an option: IVs in percent, prices in the quote currency, OI in coins.

    The fields stand in the order of the wire, which makes the decoder faster.
    """

    exch_ms: Ms = field(default=0, name="timestamp")
    stats: Stats | None = None
    greeks: Greeks | None = None
    index_price: Quantity = None
    name: str = field(name="instrument_name")
    open_interest: Quantity = None
    mark_price: Quantity = None
    best_ask_price: Quantity = None
    best_bid_price: Quantity = None
    mark_iv: Quantity = None
    bid_iv: Quantity = None
    ask_iv: Quantity = None
    underlying_price: Quantity = None


class FutureStats(Struct, gc=False):
    volume_usd: Field = UNSET


class FutureRow(Struct, gc=False):
    """`ticker` and `incremental_ticker` of a future: a field that is absent has not changed, null is none."""

    instrument_name: str
    timestamp: Ms = 0
    type: str = ""
    mark_price: Field = UNSET
    best_bid_price: Field = UNSET
    best_ask_price: Field = UNSET
    index_price: Field = UNSET
    open_interest: Field = UNSET
    funding_8h: Field = UNSET
    stats: FutureStats | None = None


class Trade(Struct, gc=False):
    """A print of `trades.*` or of a REST page; `direction` is the taker's, amount in coins for options."""

    trade_id: str | int
    trade_seq: Serial
    instrument_name: str
    timestamp: Ms
    direction: Literal["buy", "sell"]
    price: Amount
    amount: Positive
    iv: Maybe = None
    index_price: Maybe = None
    combo_id: str | None = None
    combo_trade_id: str | int | float | None = None
    block_trade_id: str | int | None = None
    block_rfq_id: str | int | None = None
    liquidation: str | None = None


class RequestLeg(Struct, gc=False):
    """A leg as the structure has it: its direction is the taker's only where the request's own is "buy"."""

    instrument_name: str
    direction: Literal["buy", "sell"]
    ratio: Positive = 1.0


class RequestFill(Struct, gc=False):
    amount: Positive


class BlockRequest(Struct):
    """A row of `block_rfq.trades.*`: an executed request. A leg's size is the amount times its ratio."""

    id: int | str
    timestamp: Ms
    direction: Literal["buy", "sell"]
    amount: Positive
    legs: list[RequestLeg]
    trades: list[RequestFill] = []


class Page(Struct):
    trades: Raw
    has_more: bool = False


class Mark(Struct, gc=False):
    """A row of `markprice.options.*`: the only place where Deribit's iv is a fraction.

    The rows of a frame share one time, which `moment` reads once: a thousand times would cost a tenth of the frame.
    """

    iv: Amount
    instrument_name: str
    mark_price: Amount


class Summary(Struct, gc=False):
    """A row of the book summary: mark_iv in percent, null for an absent quote."""

    instrument_name: str
    creation_timestamp: Ms = 0
    mark_iv: Maybe = None
    mark_price: Maybe = None
    bid_price: Maybe = None
    ask_price: Maybe = None
    open_interest: Maybe = None
    underlying_price: Maybe = None
    estimated_delivery_price: float | str | None = None  # the string "expired" after delivery
    volume: Maybe = None


class FutureSummary(Struct, gc=False):
    """A row of the book summary of futures: open interest of an inverse one in USD, of a linear one in coins."""

    instrument_name: str
    creation_timestamp: Ms = 0
    mark_price: Maybe = None
    bid_price: Maybe = None
    ask_price: Maybe = None
    open_interest: Maybe = None
    funding_8h: Maybe = None
    volume_usd: Maybe = None


class VolatilityCandles(Struct, gc=False):
    """The answer to public/get_volatility_index_data: start of the candle, open, high, low, close in percent."""

    data: list[tuple[Ms, Amount, Amount, Amount, Positive]]


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
    contract_size: Positive = 1.0
    price_index: str = ""
    creation_timestamp: Ms = 0
    is_active: bool = True


class Index(Struct, gc=False):
    price: Positive
    timestamp: Ms = 0


class Volatility(Struct, gc=False):
    volatility: Positive
    timestamp: Ms = 0


class Expiration(Struct, gc=False):
    price: Positive
    seconds: Amount


class InstrumentState(Struct, gc=False):
    instrument_name: str
    state: str
    timestamp: Ms = 0


class VenueStatus(Struct):
    """The answer to public/status: "true", "partial" or "false"."""

    locked: bool | str | None = None


class PlatformState(Struct, gc=False):
    """Three notifications on two channels; only the fields of one are present."""

    price_index: str = ""
    locked: bool | str | None = None
    maintenance: bool | None = None
    allow_unauthenticated_public_requests: bool | None = None


class Answer(Struct):
    """A REST body."""

    result: Raw = Raw(b"")
    error: RpcError | None = None
    usOut: Us = 0


class IndexAsked(Struct):
    """The answer to public/get_index_price."""

    index_price: Positive


envelope: Final = msgspec.json.Decoder(Envelope)
answer: Final = msgspec.json.Decoder(Answer)
page: Final = msgspec.json.Decoder(Page)
index_asked: Final = msgspec.json.Decoder(IndexAsked)
volatility_candles: Final = msgspec.json.Decoder(VolatilityCandles)
channels: Final = msgspec.json.Decoder(list[str])
venue_status: Final = msgspec.json.Decoder(VenueStatus)
future: Final = msgspec.json.Decoder(Push[FutureRow])
index: Final = msgspec.json.Decoder(Push[Index])
volatility: Final = msgspec.json.Decoder(Push[Volatility])
expiration: Final = msgspec.json.Decoder(Push[Expiration])
state: Final = msgspec.json.Decoder(Push[InstrumentState])
platform: Final = msgspec.json.Decoder(Push[PlatformState])
created: Final = msgspec.json.Decoder(Push[Record])
array: Final = msgspec.json.Decoder(Push[Raw])
fields: Final = msgspec.json.Decoder(Push[dict[str, Any]])

trades: Final = Rows(SOURCE, msgspec.json.Decoder(list[Trade]), msgspec.json.Decoder(Trade))
trade_frame: Final = Pushed(trades, msgspec.json.Decoder(Push[list[Trade]]))
mark_frame: Final = Pushed(
    Rows(SOURCE, msgspec.json.Decoder(list[Mark]), msgspec.json.Decoder(Mark)), msgspec.json.Decoder(Push[list[Mark]])
)
requests: Final = Rows(SOURCE, msgspec.json.Decoder(list[BlockRequest]), msgspec.json.Decoder(BlockRequest))
summaries: Final = Rows(SOURCE, msgspec.json.Decoder(list[Summary]), msgspec.json.Decoder(Summary))
future_summaries: Final = Rows(SOURCE, msgspec.json.Decoder(list[FutureSummary]), msgspec.json.Decoder(FutureSummary))
records: Final = Rows(SOURCE, msgspec.json.Decoder(list[Record]), msgspec.json.Decoder(Record))
