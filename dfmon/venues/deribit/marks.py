"""Frames of marks: read row by row, and as columns where they repeat the names of the frame before.

A whole chain comes in one order each time, so all but its numbers is known beforehand, byte for byte. `Shape` holds
that, finds the numbers between it and reads them all at once. A frame that is not exactly so is read by `wire`.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.events import OptionMarks, Rejected
from dfmon.model.frames import F64, I64, column
from dfmon.model.units import NAN
from dfmon.venues.decoding import ns
from dfmon.venues.deribit import wire

_HEAD: Final = re.compile(rb'\{"timestamp":[1-9]\d{12},"iv":')
_NAME: Final = b',"instrument_name":"'
_PRICE: Final = b'","mark_price":'
_COMMAS: Final = 4  # of a row and what follows it
_LONGEST: Final = 8  # characters of a number, which are worked on as one word
_SHORTEST: Final = 3
_REST: Final = 100  # frames


def _bytes(value: int) -> np.uint64:
    """A word of eight equal bytes."""
    return np.uint64(value * 0x0101010101010101)


_POINTS, _ZEROS, _LOW, _HIGH, _PAST_NINE = (_bytes(value) for value in (ord("."), ord("0"), 0x7F, 0x80, 0x80 - 10))
_TENS: Final = np.concatenate([np.full(128, np.nan), 10.0 ** np.arange(7, -1, -1)])  # from 128 on by place of the point


class Marks:
    """The frames of one channel, in the order in which they came."""

    def __init__(self) -> None:
        self._names: list[str] = []  # of the newest frame that was read row by row
        self._shape: Shape | None = None
        self._rest = 0  # so many frames more are read row by row

    def read(self, frame: bytes) -> tuple[OptionMarks | None, list[Rejected]]:
        """The marks of a frame, None where it has none; what was bad. Raises where there is no array at all."""
        numbers = None if self._shape is None or self._rest else self._shape.numbers(frame)
        if numbers is not None:
            names, bad = self._names, list[Rejected]()
            sigma, mark = numbers
        else:
            rows, bad = wire.mark_frame.decode(frame)
            names = [row.instrument_name for row in rows]
            sigma, mark = column([row.iv for row in rows]), column([row.mark_price for row in rows])
            self._learn(names, frame)
        if not names:
            return None, bad
        if not sigma.all():
            sigma = np.where(sigma > 0.0, sigma, NAN)
        return OptionMarks(wire.SOURCE, ns(wire.moment(frame)), names, sigma, mark), bad

    def _learn(self, names: list[str], frame: bytes) -> None:
        """Names that come a second time in the same order are likely to come again.

        Where they did and the shape was another all the same, it will be so for some time: numbers of some other form.
        """
        if not names or names != self._names:
            self._names, self._shape, self._rest = names, None, 0
        elif self._shape is None:
            self._shape = Shape(names, frame)
        else:
            self._rest = (self._rest or _REST) - 1


class Shape:
    """All of a frame but its numbers and its time: what stands before, between and behind the rows."""

    def __init__(self, names: list[str], frame: bytes) -> None:
        """`frame` is one that was read as these names, one row each."""
        middles = [_NAME + name.encode() + _PRICE for name in names]
        self._count = len(names)
        self._before = frame[: frame.find(b"[{") + 1]
        self._after = frame[frame.rfind(b"}]") + 1 :]
        self._length = np.array([len(middle) for middle in middles])
        self._first = int(self._length.min())  # so many bytes of each middle are compared from its start on
        self._last = max(1, int(self._length.max()) - self._first)  # and so many up to its end
        self._firsts = b"".join(middle[: self._first] for middle in middles)
        self._lasts = b"".join(middle[-self._last :] for middle in middles)

    def numbers(self, frame: bytes) -> F64 | None:
        """The ivs of the rows and their mark prices, two rows of them; None where the frame is not of this shape."""
        if not (frame.startswith(self._before) and frame.endswith(self._after)):
            return None
        start, stop = len(self._before), len(frame) - len(self._after)
        found = _HEAD.match(frame, start)
        if found is None:
            return None
        head = found[0]
        (commas,) = (np.frombuffer(frame, np.uint8, stop - start, start) == ord(",")).nonzero()
        if commas.size != _COMMAS * self._count - 1:
            return None
        commas += start
        middles, behind = commas[1::_COMMAS], commas[3::_COMMAS]
        prices = middles + self._length
        heads = behind - 1
        try:
            same = (
                _cut(frame, heads, 2 + len(head)).tobytes() == (b"}," + head) * heads.size
                and _cut(frame, middles, self._first).tobytes() == self._firsts
                and _cut(frame, prices - self._last, self._last).tobytes() == self._lasts
            )
        except IndexError:
            return None
        if not same:
            return None
        starts, stops = np.empty((2, 2, self._count), np.int64)
        starts[0, 0], starts[0, 1:], starts[1] = start + len(head), behind + (1 + len(head)), prices
        stops[0], stops[1, :-1], stops[1, -1] = middles, heads, stop - 1
        return _decimals(frame, starts, stops)


def _cut(text: bytes, places: I64, width: int) -> NDArray[np.void]:
    """So many bytes from each place on. Raises IndexError where the text ends before."""
    everywhere: NDArray[np.void] = np.ndarray((len(text) - width + 1,), f"V{width}", text, 0, (1,))
    return everywhere[places]


def _decimals(text: bytes, starts: I64, stops: I64) -> F64 | None:
    """Numbers such as 0.0327 between these places; None where one is anything else, or longer than a word.

    The digits of a word are added up in three steps (D. Lemire, "Quickly parsing eight digits", 2018). They make an
    integer below 10^7, which is divided by a power of ten: both are exact, so the quotient is the nearest double.
    """
    widths = stops - starts
    if widths.min() < _SHORTEST or widths.max() > _LONGEST:
        return None
    spare = (8 * (_LONGEST - widths)).astype(np.uint64)
    from_first = _cut(text, stops - _LONGEST, _LONGEST).view("<u8").reshape(stops.shape) >> spare
    word = from_first << spare  # the last character is the highest byte, and before the first there is nothing
    other = word ^ _POINTS
    point = ~(((other & _LOW) + _LOW) | other | _LOW)  # the highest bit of each byte that is a point
    less = point - 1
    digits = ((word & (point >> 7) - 1) << 8 | word & ~(point + less)) ^ (_ZEROS << spare + 8)
    no_digit = (digits + _PAST_NINE | digits) & _HIGH
    not_one_point = point & less | (point | less) >> 63  # or one behind the last digit
    begins = from_first.astype("<u2").view(np.uint8)
    first, second = begins[..., ::2], begins[..., 1::2]
    no_json = (first == ord(".")) | (first == ord("0")) & (second != ord("."))
    if (no_digit | not_one_point).any() or no_json.any():
        return None
    pairs = digits * 10 + (digits >> 8)
    number = ((pairs & 0xFF000000FF) * 0xF424000000064 + ((pairs >> 16) & 0xFF000000FF) * 0x271000000001) >> 32
    place = point.astype(np.float64).view(np.int64) >> 55  # of 2 ** (8 * place + 7), by its exponent
    decimals: F64 = number / _TENS[place]
    return decimals
