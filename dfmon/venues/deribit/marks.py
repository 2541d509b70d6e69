"""Decoders of frames of marks: row by row, and in columns where a frame repeats the names of the one before.

A chain comes in one order each time, so all but its numbers is known beforehand, byte for byte. `FrameTemplate` has
those bytes, finds the numbers between them and parses them all at once. Any other frame is decoded by `wire`.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dfmon.model.events import OptionMarks, Rejected
from dfmon.model.frames import F64, I64, float_column
from dfmon.model.units import NAN
from dfmon.venues.decoding import ms_to_ns
from dfmon.venues.deribit import wire

_ROW_START: Final = re.compile(rb'\{"timestamp":[1-9]\d{12},"iv":')
_NAME_KEY: Final = b',"instrument_name":"'
_MARK_PRICE_KEY: Final = b'","mark_price":'
_COMMAS_PER_ROW: Final = 4  # of a row and what follows it
_MAX_WIDTH: Final = 8  # characters of a number, which are worked on as one word
_MIN_WIDTH: Final = 3
_SLOW_FRAMES: Final = 100  # frames


def _repeat_byte(value: int) -> np.uint64:
    """A word of eight equal bytes."""
    return np.uint64(value * 0x0101010101010101)


_POINT_BYTES, _ZERO_BYTES, _LOW_BITS, _HIGH_BITS, _ABOVE_NINE = (
    _repeat_byte(value) for value in (ord("."), ord("0"), 0x7F, 0x80, 0x80 - 10)
)
_POWERS_OF_TEN: Final = np.concatenate(
    [np.full(128, np.nan), 10.0 ** np.arange(7, -1, -1)]
)  # from 128 on by place of the point


class MarksDecoder:
    """Decoder of the frames of one channel, in order."""

    def __init__(self) -> None:
        self._names: list[str] = []  # of the newest frame that was read row by row
        self._template: FrameTemplate | None = None
        self._slow_frames_left = 0  # so many frames more are read row by row

    def decode_frame(self, frame: bytes) -> tuple[OptionMarks | None, list[Rejected]]:
        """The marks of a frame, or None, and the bad rows. Raises if there is no array."""
        numbers = None if self._template is None or self._slow_frames_left else self._template.numbers(frame)
        if numbers is not None:
            names, rejections = self._names, list[Rejected]()
            sigma, mark = numbers
        else:
            rows, rejections = wire.mark_frame.decode(frame)
            names = [row.instrument_name for row in rows]
            sigma, mark = float_column([row.iv for row in rows]), float_column([row.mark_price for row in rows])
            self._update_template(names, frame)
        if not names:
            return None, rejections
        if not sigma.all():
            sigma = np.where(sigma > 0.0, sigma, NAN)
        return OptionMarks(wire.SOURCE, ms_to_ns(wire.timestamp_ms(frame)), names, sigma, mark), rejections

    def _update_template(self, names: list[str], frame: bytes) -> None:
        """Names that come a second time in the same order are likely to come again.

        Where they did and the shape was another all the same, it will be so for some time: numbers of some other form.
        """
        if not names or names != self._names:
            self._names, self._template, self._slow_frames_left = names, None, 0
        elif self._template is None:
            self._template = FrameTemplate(names, frame)
        else:
            self._slow_frames_left = (self._slow_frames_left or _SLOW_FRAMES) - 1


class FrameTemplate:
    """A frame without its numbers and its time: the bytes before, between and after them."""

    def __init__(self, names: list[str], frame: bytes) -> None:
        """`frame` is one that was read as these names, one row each."""
        middles = [_NAME_KEY + name.encode() + _MARK_PRICE_KEY for name in names]
        self._count = len(names)
        self._prefix = frame[: frame.find(b"[{") + 1]
        self._suffix = frame[frame.rfind(b"}]") + 1 :]
        self._lengths = np.array([len(middle) for middle in middles])
        self._head_width = int(self._lengths.min())  # so many bytes of each middle are compared from its start on
        self._tail_width = max(1, int(self._lengths.max()) - self._head_width)  # and so many up to its end
        self._name_heads = b"".join(middle[: self._head_width] for middle in middles)
        self._name_tails = b"".join(middle[-self._tail_width :] for middle in middles)

    def numbers(self, frame: bytes) -> F64 | None:
        """The IVs and mark prices of the rows as two rows; None if the frame does not fit."""
        if not (frame.startswith(self._prefix) and frame.endswith(self._suffix)):
            return None
        start, stop = len(self._prefix), len(frame) - len(self._suffix)
        found = _ROW_START.match(frame, start)
        if found is None:
            return None
        head = found[0]
        (commas,) = (np.frombuffer(frame, np.uint8, stop - start, start) == ord(",")).nonzero()
        if commas.size != _COMMAS_PER_ROW * self._count - 1:
            return None
        commas += start
        middles, row_ends = commas[1::_COMMAS_PER_ROW], commas[3::_COMMAS_PER_ROW]
        prices = middles + self._lengths
        row_closes = row_ends - 1
        try:
            matches = (
                _slices(frame, row_closes, 2 + len(head)).tobytes() == (b"}," + head) * row_closes.size
                and _slices(frame, middles, self._head_width).tobytes() == self._name_heads
                and _slices(frame, prices - self._tail_width, self._tail_width).tobytes() == self._name_tails
            )
        except IndexError:
            return None
        if not matches:
            return None
        starts, stops = np.empty((2, 2, self._count), np.int64)
        starts[0, 0], starts[0, 1:], starts[1] = start + len(head), row_ends + (1 + len(head)), prices
        stops[0], stops[1, :-1], stops[1, -1] = middles, row_closes, stop - 1
        return _parse_decimals(frame, starts, stops)


def _slices(text: bytes, offsets: I64, width: int) -> NDArray[np.void]:
    """So many bytes from each place on. Raises IndexError where the text ends before."""
    windows: NDArray[np.void] = np.ndarray((len(text) - width + 1,), f"V{width}", text, 0, (1,))
    return windows[offsets]


def _parse_decimals(text: bytes, starts: I64, stops: I64) -> F64 | None:
    """Numbers such as 0.0327 between these places; None where one is anything else, or longer than a word.

    The digits of a word are added up in three steps (D. Lemire, "Quickly parsing eight digits", 2018). They make an
    integer below 10^7, which is divided by a power of ten: both are exact, so the quotient is the nearest double.
    """
    widths = stops - starts
    if widths.min() < _MIN_WIDTH or widths.max() > _MAX_WIDTH:
        return None
    shift = (8 * (_MAX_WIDTH - widths)).astype(np.uint64)
    from_first = _slices(text, stops - _MAX_WIDTH, _MAX_WIDTH).view("<u8").reshape(stops.shape) >> shift
    packed = from_first << shift  # the last character is the highest byte, and before the first there is nothing
    xor = packed ^ _POINT_BYTES
    point = ~(((xor & _LOW_BITS) + _LOW_BITS) | xor | _LOW_BITS)  # the highest bit of each byte that is a point
    below_point = point - 1
    digits = ((packed & (point >> 7) - 1) << 8 | packed & ~(point + below_point)) ^ (_ZERO_BYTES << shift + 8)
    no_digit = (digits + _ABOVE_NINE | digits) & _HIGH_BITS
    not_one_point = point & below_point | (point | below_point) >> 63  # or one behind the last digit
    begins = from_first.astype("<u2").view(np.uint8)
    first, second = begins[..., ::2], begins[..., 1::2]
    invalid_json = (first == ord(".")) | (first == ord("0")) & (second != ord("."))
    if (no_digit | not_one_point).any() or invalid_json.any():
        return None
    pairs = digits * 10 + (digits >> 8)
    number = ((pairs & 0xFF000000FF) * 0xF424000000064 + ((pairs >> 16) & 0xFF000000FF) * 0x271000000001) >> 32
    point_index = point.astype(np.float64).view(np.int64) >> 55  # of 2 ** (8 * place + 7), by its exponent
    decimals: F64 = number / _POWERS_OF_TEN[point_index]
    return decimals
