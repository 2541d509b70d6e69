"""Times as a user writes them: seconds from a known moment, or a UTC time."""

from __future__ import annotations

from datetime import UTC, datetime

from dfmon.model.errors import UsageError
from dfmon.model.units import SECOND, clean, iso

_EXPECTED = "seconds such as +60 or -3600, or a UTC time such as 2026-01-22T12:30:00"
_LATEST_S = 10_000_000_000  # some three hundred years: what fits into nanoseconds


def moment(text: str, start_ns: int, end_ns: int) -> int:
    """The time that `text` means, ns: +S counts from `start_ns`, -S from `end_ns`; UsageError where it means none."""
    words = text.strip()
    try:
        seconds = float(words) if words[:1] in ("+", "-") else None
        if seconds is not None and abs(seconds) < _LATEST_S:
            return (start_ns if words[0] == "+" else end_ns) + round(seconds * SECOND)
        if seconds is None and len(words) >= len("2026-01-22"):
            at = datetime.fromisoformat(words)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            return round(at.timestamp() * 1e6) * 1_000
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{clean(repr(text), 60)} is no time: {_EXPECTED} is expected")


def within(name: str, text: str, start_ns: int, end_ns: int) -> int:
    """The same for an option of the command line; outside of the recording it is a UsageError."""
    try:
        at_ns = moment(text, start_ns, end_ns)
    except UsageError as exc:
        raise UsageError(f"{name}: {exc}") from None
    if not start_ns <= at_ns <= end_ns:
        raise UsageError(
            f"{name} {clean(text, 60)}: {iso(at_ns)} is outside of what is recorded, {iso(start_ns)} to {iso(end_ns)}"
        )
    return at_ns
