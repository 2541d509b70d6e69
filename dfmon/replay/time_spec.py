"""Parses times as a user writes them: seconds from a known time, or a UTC time."""

from __future__ import annotations

from datetime import datetime

from dfmon.model.errors import UsageError
from dfmon.model.units import SECOND, iso, nanoseconds, sanitize

_EXPECTED_FORMS = "seconds such as +60 or -3600, or a UTC time such as 2026-01-22T12:30:00"
_MAX_OFFSET_S = 10_000_000_000  # about 300 years, which fit into 64 bits of nanoseconds


def parse_time(text: str, start_ns: int, end_ns: int) -> int:
    """The time in `text`, ns: +S counts from `start_ns`, -S from `end_ns`. Raises UsageError."""
    spec = text.strip()
    try:
        seconds = float(spec) if is_relative(spec) else None
        if seconds is not None and abs(seconds) < _MAX_OFFSET_S:
            return (start_ns if spec[0] == "+" else end_ns) + round(seconds * SECOND)
        if seconds is None and len(spec) >= len("2026-01-22"):
            return nanoseconds(datetime.fromisoformat(spec))
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{sanitize(repr(text), 60)} is not a time; allowed: {_EXPECTED_FORMS}")


def is_relative(text: str) -> bool:
    """True for a time that counts from the beginning or the end."""
    return text.strip()[:1] in ("+", "-")


def parse_option_time(name: str, text: str, start_ns: int = 0, end_ns: int = 0) -> int:
    """The time of a command-line option. Raises UsageError with its name."""
    try:
        return parse_time(text, start_ns, end_ns)
    except UsageError as exc:
        raise UsageError(f"{name}: {exc}") from None


def parse_time_within(name: str, text: str, start_ns: int, end_ns: int) -> int:
    """The time of a command-line option. Raises UsageError if it is outside of the recording."""
    at_ns = parse_option_time(name, text, start_ns, end_ns)
    if not start_ns <= at_ns <= end_ns:
        raise UsageError(
            f"{name} {sanitize(text, 60)}: {iso(at_ns)} is outside of the recording, {iso(start_ns)} to {iso(end_ns)}"
        )
    return at_ns
