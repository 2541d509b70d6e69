"""Typed decoding shared by the venues: what counts as unreadable, and arrays that survive one bad row.

The decoders of each venue declare what a row looks like; this module says what happens when a row does not look so.
Before it come the bytes of a frame, after it the venue's own conversion to events.
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
_ID_SLOTS: Final = 4_096  # numbers of a market: more than come while two connections overlap

MAX_TIMESTAMP_MS: Final = 9_000_000_000_000
EpochMs = Annotated[int, Meta(ge=0, le=MAX_TIMESTAMP_MS)]
"""Milliseconds since the epoch whose nanoseconds fit into 64 bits."""

PositiveFloat = Annotated[float, Meta(gt=0, le=1e15)]
NonNegativeFloat = Annotated[float, Meta(ge=0, le=1e15)]
Level = tuple[NonNegativeFloat, NonNegativeFloat]

TradeNumber = Annotated[int, Meta(ge=0, lt=2**62)]
"""A number that a venue counts its prints by."""

T = TypeVar("T")


class RowDecoder(Generic[T]):
    """An array of rows: decoded in one go, and one by one where a row is bad."""

    def __init__(
        self, source: str, array_decoder: msgspec.json.Decoder[list[T]], row_decoder: msgspec.json.Decoder[T]
    ) -> None:
        self._source = source
        self._array_decoder = array_decoder
        self._row_decoder = row_decoder

    def decode(self, raw: bytes | msgspec.Raw) -> tuple[list[T], list[Rejected]]:
        """Good rows in order, and one Rejected for each bad one. Raises where there is no array at all."""
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
    """Numbers of the newest prints of each market, so that two connections can bring them and each counts once.

    Numbers of a market rise, so each has a place by its last digits until one comes that is `_ID_SLOTS` higher: the
    memory of a market is as large from its first print on as it ever gets.
    """

    def __init__(self) -> None:
        self._seen: dict[str, array[int]] = {}

    def is_new(self, market: str, number: int) -> bool:
        """Whether `number`, a `TradeNumber`, was not given before, as far as is remembered; a print without one (0)
        is.
        """
        seen = self._seen.get(market)
        if seen is None:
            seen = self._seen[market] = array("q", bytes(8 * _ID_SLOTS))
        slot = number % _ID_SLOTS
        if number and seen[slot] == number:
            return False
        seen[slot] = number
        return True


def rejected(source: str, what: str, reason: object) -> Rejected:
    """A Rejected whose detail is safe to show: an exception's words or a foreign text."""
    if isinstance(reason, BaseException):
        reason = f"{type(reason).__name__}: {reason}"
    return Rejected(source, what, sanitize(str(reason)))


def ms_to_ns(ms: int) -> int:
    return ms * MILLISECOND


def or_nan(value: float | None) -> float:
    """A number the venue may leave out; what is beyond any market is none either."""
    return value if value is not None and -_MAX_VALUE < value < _MAX_VALUE else NAN


def positive_or_nan(value: float | None) -> float:
    """A number where null, 0.0 and below all mean that there is none: quotes, volatilities, prices of an index."""
    return value if value is not None and 0 < value < _MAX_VALUE else NAN


def parse_trade_number(text: str) -> int:
    """A `TradeNumber` written as text; 0 for whatever is none."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def parse_number(text: str) -> float:
    """A number written as text; "" is none, and so is what is not finite. Raises ValueError for other text."""
    if not text:
        return NAN
    value = float(text)
    return value if -_MAX_VALUE < value < _MAX_VALUE else NAN
