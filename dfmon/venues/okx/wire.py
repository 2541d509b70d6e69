"""OKX's v5 JSON as typed structs. Nearly every number is a string, and "" means none.

Small rows keep the text and `number` reads it; book levels become floats while decoding, so that a level that is
negative or not finite makes its frame unreadable. Sizes of swaps are contracts here: `protocol` makes them coins.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from dfmon.venues.decoding import EpochMs, NonNegativeFloat, PositiveFloat, RowDecoder

SOURCE: Final = "okx"


class Arg(Struct, frozen=True):
    """The channel and instrument of a message."""

    channel: str = ""
    instId: str = ""
    instType: str = ""


class Message(Struct):
    """Any frame but the text pong: events carry `event`, pushes carry `data`."""

    event: str = ""
    code: str = ""
    msg: str = ""
    arg: Arg = Arg()
    action: str = ""
    data: Raw = Raw(b"")


class Trade(Struct):
    instId: str
    px: PositiveFloat
    sz: PositiveFloat
    side: Literal["buy", "sell"]
    ts: EpochMs
    tradeId: str = ""


class Ticker(Struct):
    """`volCcy24h` is quote currency for spot, base coin for swaps."""

    instId: str
    ts: EpochMs
    last: str = ""
    bidPx: str = ""
    askPx: str = ""
    volCcy24h: str = ""


class Mark(Struct):
    instId: str
    ts: EpochMs
    markPx: str = ""


class Funding(Struct):
    """The rate of the period fundingTime .. nextFundingTime; some lack a rate, those before 2023 a time."""

    instId: str
    ts: EpochMs = 0
    fundingRate: str = ""
    fundingTime: str = ""
    nextFundingTime: str = ""


class Interest(Struct):
    instId: str
    ts: EpochMs
    oiCcy: str = ""
    oiUsd: str = ""


class Detail(Struct):
    """One liquidation order: `side` of the order, `sz` in contracts, `bkPx` the bankruptcy price."""

    side: Literal["buy", "sell"]
    bkPx: PositiveFloat
    sz: PositiveFloat
    ts: EpochMs


class LiquidationRow(Struct):
    instId: str
    details: list[Detail]


class Level(Struct, array_like=True, gc=False):
    """A level; what follows on the wire, a retired field and the number of orders, is not read."""

    price: NonNegativeFloat
    size: NonNegativeFloat


class Book(Struct):
    """`prevSeqId` is -1 on a snapshot; recordings of before 2023 have no ids at all, and then every link holds.

    The checksum has been a fixed 0 since June 2026 and is not read.
    """

    asks: tuple[Level, ...]
    bids: tuple[Level, ...]
    ts: EpochMs
    seqId: int = -1
    prevSeqId: int = -1


class Contract(Struct):
    """A listing record; ctVal x ctMult of ctValCcy are a contract: the coin of a linear swap, USD of an inverse one."""

    instId: str
    ctVal: str = ""
    ctMult: str = ""
    ctType: str = ""
    ctValCcy: str = ""


class Response(Struct):
    code: str
    msg: str = ""
    data: Raw = Raw(b"[]")


message: Final = msgspec.json.Decoder(Message)
response: Final = msgspec.json.Decoder(Response)
books: Final = msgspec.json.Decoder(tuple[Book], strict=False)
trades: Final = RowDecoder(
    SOURCE, msgspec.json.Decoder(list[Trade], strict=False), msgspec.json.Decoder(Trade, strict=False)
)
tickers: Final = RowDecoder(
    SOURCE, msgspec.json.Decoder(list[Ticker], strict=False), msgspec.json.Decoder(Ticker, strict=False)
)
marks: Final = RowDecoder(
    SOURCE, msgspec.json.Decoder(list[Mark], strict=False), msgspec.json.Decoder(Mark, strict=False)
)
fundings: Final = RowDecoder(
    SOURCE, msgspec.json.Decoder(list[Funding], strict=False), msgspec.json.Decoder(Funding, strict=False)
)
interests: Final = RowDecoder(
    SOURCE, msgspec.json.Decoder(list[Interest], strict=False), msgspec.json.Decoder(Interest, strict=False)
)
liquidations: Final = RowDecoder(
    SOURCE,
    msgspec.json.Decoder(list[LiquidationRow], strict=False),
    msgspec.json.Decoder(LiquidationRow, strict=False),
)
contracts: Final = RowDecoder(SOURCE, msgspec.json.Decoder(list[Contract]), msgspec.json.Decoder(Contract))
