"""Ages of the inputs against their limits, in the snapshot."""

from __future__ import annotations

import msgspec


class InputAge(msgspec.Struct, frozen=True):
    """Age of one input, s, None before its first data, and the age up to which it is fresh."""

    age_s: float | None
    limit_s: float
    fresh: bool


class Freshness(msgspec.Struct, frozen=True):
    """Age of each input. Marks, forwards and open interest are as old as their newest sweep over the board.

    `absent_options` counts options that the last ten sweeps left out. `stale` is why the snapshot is stale, empty while
    it is not: spot or marks are over their limits. Any other input over its limit marks the numbers that rest on it.
    """

    spot: InputAge
    marks: InputAge
    forwards: InputAge
    open_interest: InputAge
    depth: InputAge
    volumes: InputAge
    absent_options: int = 0
    stale: str = ""
