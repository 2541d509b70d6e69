"""Typed decoding shared by the venues: the errors of unreadable input, and arrays that survive one bad row.

The structs of each venue declare its rows; this module handles rows that do not match.
"""

from __future__ import annotations

from array import array
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from dfmon.model.events import Rejected
from dfmon.model.units import MILLISECOND, NAN, sanitize

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)
"""Everything a typed decode can raise: bad UTF-8 is a ValueError, deep nesting a RecursionError."""

_MAX_VALUE: Final = 1e15
_ID_SLOTS: Final = 4_096  # per market: more prints than come while two connections overlap

MAX_TIMESTAMP_MS: Final = 9_000_000_000_000
EpochMs = Annotated[int, Meta(ge=0, le=MAX_TIMESTAMP_MS)]
"""Milliseconds since the epoch whose nanoseconds fit into 64 bits."""

PositiveFloat = Annotated[float, Meta(gt=0, le=1e15)]
NonNegativeFloat = Annotated[float, Meta(ge=0, le=1e15)]
Level = tuple[NonNegativeFloat, NonNegativeFloat]

TradeNumber = Annotated[int, Meta(ge=0, lt=2**62)]
"""The number that a venue gives to a print."""

T = TypeVar("T")


class RowDecoder(Generic[T]):
    """Decodes an array of rows at once, and one by one where a row is bad."""

    def __init__(
        self, source: str, array_decoder: msgspec.json.Decoder[list[T]], row_decoder: msgspec.json.Decoder[T]
    ) -> None:
        self._source = source
        self._array_decoder = array_decoder
        self._row_decoder = row_decoder

    def decode(self, raw: bytes | msgspec.Raw) -> tuple[list[T], list[Rejected]]:
        """Good rows in order, and one Rejected for each bad one. Raises where it is not an array."""
        try:
            return self._array_decoder.decode(raw), []
        except UNREADABLE:
            return self._decode_row_by_row(raw)

    def _decode_row_by_row(self, raw: bytes | msgspec.Raw) -> tuple[list[T], list[Rejected]]:
        rows: list[T] = []
        rejections: list[Rejected] = []
        for raw_row in _RAW_ROWS.decode(raw):
            try:
                rows.append(self._row_decoder.decode(raw_row))
            except UNREADABLE as exc:
                rejections.append(rejected(self._source, "row", exc))
        return rows, rejections


_RAW_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


class TradeDeduplicator:
    """Recognises prints that two overlapping connections both bring.

    Numbers of a market rise, so each has a slot by its last digits until one comes that is `_ID_SLOTS` higher: the
    memory of a market is constant from its first print on.
    """

    def __init__(self) -> None:
        self._seen: dict[str, array[int]] = {}

    def is_new(self, market: str, number: int) -> bool:
        """True for a `TradeNumber` not seen before, as far as is remembered, and for 0, a print without a number."""
        seen = self._seen.get(market)
        if seen is None:
            seen = self._seen[market] = array("q", bytes(8 * _ID_SLOTS))
        slot = number % _ID_SLOTS
        if number and seen[slot] == number:
            return False
        seen[slot] = number
        return True


def rejected(source: str, what: str, reason: object) -> Rejected:
    """A Rejected with a detail that is safe to show: an exception's message or a foreign text."""
    if isinstance(reason, BaseException):
        reason = f"{type(reason).__name__}: {reason}"
    return Rejected(source, what, sanitize(str(reason)))


def ms_to_ns(ms: int) -> int:
    return ms * MILLISECOND


def or_nan(value: float | None) -> float:
    """A number that may be absent; NaN for that, and for values beyond any market."""
    return value if value is not None and -_MAX_VALUE < value < _MAX_VALUE else NAN


def positive_or_nan(value: float | None) -> float:
    """A number, NaN for null, 0.0 and below: quotes, volatilities, index prices."""
    return value if value is not None and 0 < value < _MAX_VALUE else NAN


def parse_trade_number(text: str) -> int:
    """A `TradeNumber` written as text; 0 for anything else."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def parse_number(text: str) -> float:
    """A number written as text; NaN for "" and for what is not finite. Raises ValueError for other text."""
    if not text:
        return NAN
    value = float(text)
    return value if -_MAX_VALUE < value < _MAX_VALUE else NAN
