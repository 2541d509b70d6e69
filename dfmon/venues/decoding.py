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
from dfmon.model.units import MILLISECOND, NAN, clean

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)
"""Everything a typed decode can raise: bad UTF-8 is a ValueError, deep nesting a RecursionError."""

_LARGEST: Final = 1e15
_REMEMBERED: Final = 4_096  # numbers of a market: more than come while two connections overlap

LAST_MS: Final = 9_000_000_000_000
Ms = Annotated[int, Meta(ge=0, le=LAST_MS)]
"""Milliseconds since the epoch whose nanoseconds fit into 64 bits."""

Positive = Annotated[float, Meta(gt=0, le=1e15)]
Amount = Annotated[float, Meta(ge=0, le=1e15)]
Level = tuple[Amount, Amount]

Serial = Annotated[int, Meta(ge=0, lt=2**62)]
"""A number that a venue counts its prints by."""

T = TypeVar("T")


class Rows(Generic[T]):
    """An array of rows: decoded in one go, and one by one where a row is bad."""

    def __init__(self, source: str, whole: msgspec.json.Decoder[list[T]], row: msgspec.json.Decoder[T]) -> None:
        self._source = source
        self._whole = whole
        self._row = row

    def decode(self, raw: bytes | msgspec.Raw) -> tuple[list[T], list[Rejected]]:
        """Good rows in order, and one Rejected for each bad one. Raises where there is no array at all."""
        try:
            return self._whole.decode(raw), []
        except UNREADABLE:
            return self._one_by_one(raw)

    def _one_by_one(self, raw: bytes | msgspec.Raw) -> tuple[list[T], list[Rejected]]:
        good: list[T] = []
        bad: list[Rejected] = []
        for part in _RAW_ROWS.decode(raw):
            try:
                good.append(self._row.decode(part))
            except UNREADABLE as exc:
                bad.append(rejected(self._source, "row", exc))
        return good, bad


_RAW_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Recent:
    """Numbers of the newest prints of each market, so that two connections can bring them and each counts once.

    Numbers of a market rise, so each has a place by its last digits until one comes that is `_REMEMBERED` higher: the
    memory of a market is as large from its first print on as it ever gets.
    """

    def __init__(self) -> None:
        self._seen: dict[str, array[int]] = {}

    def fresh(self, market: str, number: int) -> bool:
        """Whether `number`, a `Serial`, was not given before, as far as is remembered; a print without one (0) is."""
        seen = self._seen.get(market)
        if seen is None:
            seen = self._seen[market] = array("q", bytes(8 * _REMEMBERED))
        place = number % _REMEMBERED
        if number and seen[place] == number:
            return False
        seen[place] = number
        return True


def rejected(source: str, what: str, why: object) -> Rejected:
    """A Rejected whose detail is safe to show: an exception's words or a foreign text."""
    if isinstance(why, BaseException):
        why = f"{type(why).__name__}: {why}"
    return Rejected(source, what, clean(str(why)))


def ns(ms: int) -> int:
    return ms * MILLISECOND


def known(value: float | None) -> float:
    """A number the venue may leave out; what is beyond any market is none either."""
    return value if value is not None and -_LARGEST < value < _LARGEST else NAN


def positive(value: float | None) -> float:
    """A number where null, 0.0 and below all mean that there is none: quotes, volatilities, prices of an index."""
    return value if value is not None and 0 < value < _LARGEST else NAN


def serial(text: str) -> int:
    """A `Serial` written as text; 0 for whatever is none."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def number(text: str) -> float:
    """A number written as text; "" is none, and so is what is not finite. Raises ValueError for other text."""
    if not text:
        return NAN
    value = float(text)
    return value if -_LARGEST < value < _LARGEST else NAN
