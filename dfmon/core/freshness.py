"""Age of every input of a tick against its limit, and what follows from it.

Comes first in a step: without fresh spot and marks the numbers describe a market that may be gone, so the snapshot is
stale and decisions are held. Any other input that is too old marks the numbers that rest on it.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from dfmon.model.frames import ChainFrame, MarketFrame
from dfmon.model.freshness import Freshness, InputAge
from dfmon.model.units import SECOND

NEVER: Final = math.inf  # age of an input without data
INPUTS: Final = ("spot", "marks", "forwards", "open_interest", "depth", "volumes")
BOOK_INPUTS: Final = ("spot", "marks", "forwards", "open_interest")  # of every number of the book


class FreshnessLimits(msgspec.Struct, frozen=True):
    """The age up to which each input is fresh, s.

    Spot and marks are streams. Forwards and open interest are polled every half minute, and the index carries the
    forwards in between: they allow for one poll that fails and for three.
    """

    spot_s: float = 5.0
    marks_s: float = 15.0
    forwards_s: float = 75.0
    open_interest_s: float = 120.0
    depth_s: float = 10.0
    volumes_s: float = 600.0


def measure_freshness(chain: ChainFrame, market: MarketFrame, limits: FreshnessLimits) -> Freshness:
    """The age of each input at the tick of `chain`, counted from our receipt of its newest data.

    Depth and volumes are as old as the newest of all markets; a market that is older than the others is missing from
    the sum instead. Domain: total; an age equal to its limit is fresh.
    """
    received, ts_ns = chain.received, chain.ts_ns
    books = [row.book_age_s for row in market.markets if math.isfinite(row.depth_usd)]
    volumes = [row.volume_age_s for row in market.markets if math.isfinite(row.volume_usd)]
    spot = _input_age(_age_s(received.spot_ns, ts_ns), limits.spot_s)
    marks = _input_age(_age_s(received.marks_ns, ts_ns), limits.marks_s)
    return Freshness(
        spot=spot,
        marks=marks,
        forwards=_input_age(_age_s(received.forwards_ns, ts_ns), limits.forwards_s),
        open_interest=_input_age(_age_s(received.open_interest_ns, ts_ns), limits.open_interest_s),
        depth=_input_age(min(books, default=NEVER), limits.depth_s),
        volumes=_input_age(min(volumes, default=NEVER), limits.volumes_s),
        absent_options=len(chain.absent_rows),
        stale=_stale_texts(spot, marks),
    )


def aged(freshness: Freshness, seconds: float) -> Freshness:
    """The freshness of spot and marks some seconds later if nothing more has arrived; the other inputs as they were."""
    spot, marks = (
        _input_age(NEVER if age.age_s is None else age.age_s + seconds, age.limit_s)
        for age in (freshness.spot, freshness.marks)
    )
    return msgspec.structs.replace(freshness, spot=spot, marks=marks, stale=_stale_texts(spot, marks))


def are_fresh(freshness: Freshness, names: tuple[str, ...]) -> bool:
    """True where each of the named inputs is within its limit."""
    return all(getattr(freshness, name).fresh for name in names)


def format_age(seconds: float) -> str:
    """An age in words.

    >>> format_age(6.4), format_age(89.6), format_age(150.0), format_age(5400.0)
    ('6 s', '90 s', '2 min', '1 h 30 min')
    """
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60.0)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _age_s(recv_ns: int, ts_ns: int) -> float:
    return max(ts_ns - recv_ns, 0) / SECOND if recv_ns else NEVER


def _input_age(age_s: float, limit_s: float) -> InputAge:
    return InputAge(age_s if math.isfinite(age_s) else None, limit_s, age_s <= limit_s)


def _stale_texts(spot: InputAge, marks: InputAge) -> str:
    return ", ".join(filter(None, (_stale_text("spot", spot), _stale_text("marks", marks))))


def _stale_text(name: str, age: InputAge) -> str:
    if age.fresh:
        return ""
    return f"no {name} yet" if age.age_s is None else f"{name} {format_age(age.age_s)} old"
