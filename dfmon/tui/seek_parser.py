"""Parser of times in a recording: `13:41`, `2026-11-22 13:41:30`, `+5m`, `-1h`. Times are UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize, utc

_OFFSET_PATTERN = re.compile(r"([+-])(\d{1,6}(?:\.\d+)?)(s|m|h|d|)", re.IGNORECASE | re.ASCII)
_TIME_PATTERN = re.compile(
    r"(?:(\d{4}-\d\d-\d\d)[T ]+)?(\d{1,2}):(\d\d)(?::(\d\d(?:\.\d+)?))?Z?", re.IGNORECASE | re.ASCII
)
_UNIT_SECONDS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
TIME_EXAMPLES: Final = "13:41, 2026-11-22 13:41:30, +5m, -1h"


def parse_seek(text: str, now_ns: int) -> str:
    """The value of a "replay.seek" request: signed seconds or an ISO time. Without a date it is on the day of `now_ns`.

    Raises UsageError with examples.

    >>> parse_seek("-1.5m", 0), parse_seek("13:41", 1_795_356_187_000_000_000)
    ('-90', '2026-11-22T13:41:00Z')
    """
    stripped = text.strip()
    if found := _OFFSET_PATTERN.fullmatch(stripped):
        return f"{found[1]}{float(found[2]) * _UNIT_SECONDS[found[3].casefold()]:g}"
    found = _TIME_PATTERN.fullmatch(stripped)
    try:
        if found is None:
            raise ValueError
        day = datetime.strptime(found[1], "%Y-%m-%d").replace(tzinfo=UTC) if found[1] else utc(now_ns)
        midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
        hours, minutes, seconds = int(found[2]), int(found[3]), float(found[4] or 0)
        if hours > 23 or minutes > 59 or seconds >= 60:
            raise ValueError
        timestamp = midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    except (ValueError, OverflowError):
        raise UsageError(f'invalid time "{sanitize(stripped, 30)}" (UTC): {TIME_EXAMPLES}') from None
    return timestamp.isoformat().replace("+00:00", "Z")
