"""Hedge trades in the snapshot: the outlook, the unwind at settlement, and the beta of volatility to spot."""

from __future__ import annotations

import msgspec


class OutlookRow(msgspec.Struct, frozen=True, rename={"case": "if"}):
    """Hedge trade of the book if spot moves, USD, + = dealers buy, with its 5-95 % band; `spot` the part of spot alone.

    `case`: "+1 %" and "-1 %" at once with the volatility that goes with the move, "+1 sd" and "-1 sd" of an hour within
    the hour, "1 h" at rest.
    """

    case: str
    value: float
    lo: float | None
    hi: float | None
    spot: float


class Unwind(msgspec.Struct, frozen=True):
    """Hedge that the settlements of the next 24 h lift, USD, + = dealers buy, with its 5-95 % band.

    `at_window` is the same when the averaging begins, if spot and volatility stay, with its band, and `until_window`
    the hedge trade up to then. Inside the window `left` is yet to be lifted, `per_minute` of it in each of the
    `minutes_left`; outside they are 0.
    """

    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    at_window: float | None = None
    at_window_lo: float | None = None
    at_window_hi: float | None = None
    until_window: float | None = None
    left: float | None = None
    per_minute: float | None = None
    minutes_left: float | None = None


class TenorBeta(msgspec.Struct, frozen=True):
    """Points of fixed-strike volatility per +1 % of spot, for options with `days_from` to live up to the next row's.

    With its 5-95 % band; `pairs` is the weight of the quarters of an hour that were measured against the prior.
    """

    days_from: float
    value: float
    lo: float
    hi: float
    pairs: float
