"""Units and sign conventions, stated once. Everything is converted to these in the decoders, never later.

time        integer nanoseconds since the epoch, UTC (`*_ns`); years are ACT/365
volatility  decimal per sqrt(year): 0.58 is 58 %
quantity    coins of the underlying, for options and linear contracts alike. A venue that counts contracts is
            converted where its frame is decoded, so a contract size can never be applied twice
price       as quoted by the venue: coins for inverse options, USD(C) for everything else
side        +1 the taker bought, -1 the taker sold
position    dealer position, + long; it is minus the customers' net position
absent      NaN in a float column; 0.0 only where the venue reports a real zero
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000_000_000
MILLISECOND: Final = 1_000_000
MICROSECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
YEAR: Final = 365 * DAY
NAN: Final = math.nan

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def utc(ts_ns: int) -> datetime:
    """The moment `ts_ns` as an aware datetime; sub-microsecond digits are dropped."""
    return datetime.fromtimestamp(ts_ns // SECOND, UTC).replace(microsecond=ts_ns % SECOND // 1000)


@lru_cache(1_024)
def nanoseconds(moment: datetime) -> int:
    """Nanoseconds of a moment, exact to the microsecond; UTC if it has no zone. The inverse of `utc`."""
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1) * MICROSECOND


@lru_cache(1_024)
def iso(ts_ns: int) -> str:
    """UTC with milliseconds, as every output of dfmon writes time.

    >>> iso(1769085005047000000)
    '2026-01-22T12:30:05.047Z'
    """
    return f"{utc(ts_ns):%Y-%m-%dT%H:%M:%S}.{ts_ns % SECOND // MILLISECOND:03d}Z"


@lru_cache(1_024)
def expiry_label(expiry_ns: int) -> str:
    """The day of an expiry as the venues write it, without a leading zero.

    >>> expiry_label(1767340800000000000)
    '2JAN26'
    """
    day = utc(expiry_ns)
    return f"{day.day}{MONTHS[day.month - 1]}{day.year % 100:02d}"


def format_hms(seconds: float) -> str:
    """A duration in hours, minutes and seconds.

    >>> format_hms(4_503.6)
    '1:15:04'
    """
    minutes, s = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{s:02d}"


def sanitize(text: str, limit: int = 200) -> str:
    r"""Foreign text made safe for a terminal: control, zero-width and direction marks become `?`.

    >>> sanitize("BTC\x1b[2J")
    'BTC?[2J'
    """
    return _CONTROL.sub("?", text[:limit])
