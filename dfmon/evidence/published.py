"""A third party's published figures with the options behind them, and readers of its times, days and types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.evidence.conventions import Column, VendorChain
from dfmon.model.errors import UsageError
from dfmon.model.units import DAY, HOUR, expiry_label, iso, nanoseconds, sanitize
from dfmon.store.boards.cells import BadCell
from dfmon.store.boards.names import OptionTerms, parse_option_name

_EXPIRY_HOUR: Final = 8
_SAME_MOMENT_NS: Final = HOUR  # a snapshot of all options takes minutes


class Fact(NamedTuple):
    """A count or a list of the file beside what its options give."""

    name: str
    published: str
    found: str


class Published(NamedTuple):
    """All figures of a file. `sums` and `levels` (flip, call wall, put wall) are by expiry, `by_option` by name; the
    chain is that of the published expiries. `conflicts` are sentences on times, days and terms that contradict one
    another, `notes` on what was not read or not compared.
    """

    vendor: str
    ts_ns: int
    chain: VendorChain
    names: Sequence[str]
    sums: dict[str, Column]
    levels: dict[str, tuple[str, dict[str, float]]]
    by_option: dict[str, Column]
    facts: list[Fact]
    conflicts: list[str]
    notes: list[str]


def moment_ns(text: str, shown: str) -> int:
    """A time as text, UTC if it has no zone. Raises UsageError."""
    try:
        return nanoseconds(datetime.fromisoformat(text))
    except ValueError:
        raise UsageError(
            f"{shown}: {sanitize(text, 30)!r} is no time, such as 2026-01-23T02:00:00 is expected"
        ) from None


def expiry_ns(text: str, shown: str) -> int:
    """A date, which means 08:00 UTC."""
    day_ns = moment_ns(text[:10], shown)
    return day_ns - day_ns % DAY + _EXPIRY_HOUR * HOUR


def option_types(texts: Sequence[str], shown: str) -> F64:
    """+1 for calls, -1 for puts."""
    signs = {"call": 1.0, "c": 1.0, "put": -1.0, "p": -1.0}
    unknown = sorted({text for text in texts if text.lower() not in signs})
    if unknown:
        raise UsageError(f"{shown}: option type {sanitize(unknown[0], 20)!r}, call or put is expected")
    return np.array([signs[text.lower()] for text in texts])


def time_conflict(what: str, stated_ns: int, other: str, other_ns: int) -> list[str]:
    """A sentence where two times of one moment are more than an hour apart."""
    if abs(stated_ns - other_ns) <= _SAME_MOMENT_NS:
        return []
    return [f"{what} is {iso(stated_ns)[:16]}, {other} {iso(other_ns)[:16]}: one of the two is wrong"]


def expired_conflict(what: str, ts_ns: int, expiries_ns: Iterable[int]) -> list[str]:
    """A sentence where expiries are over at the time of the file."""
    over = sorted({ns for ns in expiries_ns if ns <= ts_ns})
    if not over:
        return []
    return [f"{what} is {iso(ts_ns)[:16]}, after the expiries {', '.join(map(expiry_label, over))}"]


def name_conflicts(
    names: Sequence[str], strike: F64, option_type: F64, expiries_ns: Sequence[int], shown: str
) -> list[str]:
    """A sentence where names of options contradict the columns beside them."""
    wrong = [
        name
        for name, own_strike, sign, ns in zip(names, strike.tolist(), option_type.tolist(), expiries_ns, strict=True)
        if (terms := _terms(name)) is not None
        and (terms.strike, terms.option_type, terms.expiry_ns) != (own_strike, sign, ns)
    ]
    if not wrong:
        return []
    return [f"{shown}: {len(wrong):,} options whose name has another expiry, strike or type, the first is {wrong[0]}"]


def _terms(name: str) -> OptionTerms | None:
    try:
        return parse_option_name(name)
    except BadCell:
        return None
