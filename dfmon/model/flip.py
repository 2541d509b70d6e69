"""Values of a snapshot about the sign of net gamma: its zeros, by horizon, and the regime at spot."""

from __future__ import annotations

from typing import Literal

import msgspec

Quality = Literal["ok", "partial", "stale", "absent"]


class FlipRoot(msgspec.Struct, frozen=True):
    """A zero of the profile: "up" where net gamma turns from negative to positive as spot rises."""

    level: float
    direction: Literal["up", "down"]


class HorizonFlip(msgspec.Struct, frozen=True):
    """The flip of the options that expire within a horizon: "today" (24 hours), "week" or "all".

    `net` is the sign of net gamma at spot, 0 where the horizon has no gamma.
    """

    horizon: Literal["today", "week", "all"]
    level: float | None
    direction: Literal["up", "down"] | None
    net: int


class Flip(msgspec.Struct, frozen=True):
    """The nearest zero of the net gamma profile, its band over the position ensemble, and all zeros found.

    `lo` and `hi` are over the members that have this zero, `p_none` is the chance that it does not exist, by those
    without it; where there is no zero, by those that have none. `net` is the sign that holds throughout where there is
    no zero, else the sign at spot.
    """

    level: float | None
    lo: float | None
    hi: float | None
    p_none: float | None
    distance_usd: float | None
    distance_pct: float | None
    distance_sigma: float | None
    roots: tuple[FlipRoot, ...]
    searched: tuple[float, float] | None
    net: int
    quality: Quality
    age_s: float | None
    by_horizon: tuple[HorizonFlip, ...] = ()


class RegimeEdge(msgspec.Struct, frozen=True):
    """A zero of net gamma beside spot, its 5-95 % band, and its chance by the members that have it."""

    level: float
    lo: float | None
    hi: float | None
    direction: Literal["up", "down"]
    p: float | None


class Regime(msgspec.Struct, frozen=True):
    """The side of net gamma at spot, its chance by the members that agree, and the nearest edge on either side."""

    side: Literal["long", "short"] | None = None
    agree: float | None = None
    below: RegimeEdge | None = None
    above: RegimeEdge | None = None
