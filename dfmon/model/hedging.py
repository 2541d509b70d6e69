"""Hedge trades in the snapshot: outlook, unwind at settlement, beta of volatility to spot; and the verbs of a trade."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from dfmon.model.positions import Positions

Hedge: TypeAlias = tuple[float | None, float | None, float | None]
"""A trade with its band, USD, + = dealers buy."""

FLAT_SHARE: Final = 1e-3  # of the depth of 1 %: what moves the mid by a thousandth of a per cent


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
    the hedge trade up to then, with its own. Inside the window `left` is yet to be lifted, `per_minute` of it in each
    of the `minutes_left`; outside they are 0.
    """

    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    at_window: float | None = None
    at_window_lo: float | None = None
    at_window_hi: float | None = None
    until_window: float | None = None
    until_window_lo: float | None = None
    until_window_hi: float | None = None
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


def holds_zero(low: float | None, high: float | None) -> bool:
    """True for a band with 0 in it."""
    return low is not None and high is not None and low <= 0.0 <= high


def flat_limit(depth_1pct_usd: float | None) -> float:
    """The size up to which a hedge is flat, USD, in a market of this depth; 0 where the depth is unknown."""
    return FLAT_SHARE * (depth_1pct_usd or 0.0)


def hedge_verb(value: float | None, low: float | None, high: float | None, flat_usd: float) -> str:
    """`buy`, `sell`, `unsure` where the band holds 0, `flat` up to `flat_usd`; USD, + = dealers buy.

    A band that reaches further than that to both sides of 0 is no flat one.
    """
    if value is None:
        return "n/a"
    if holds_zero(low, high):
        reach = max(abs(low or 0.0), abs(high or 0.0), abs(value))
        return "flat" if reach <= flat_usd else "unsure"
    if abs(value) <= flat_usd:
        return "flat"
    return "buy" if value > 0.0 else "sell"


def with_doubt(positions: Positions, value: float | None, low: float | None, high: float | None) -> Hedge:
    """A hedge with its band; one to both sides of 0 while this board does not show the sign of its positions."""
    if value is None or not positions.sign_caveat:
        return value, low, high
    size = abs(value)
    return value, min(-size, low or 0.0), max(size, high or 0.0)


def settlement_hedge(unwind: Unwind) -> Hedge:
    """The hedge that the settlement lifts with its band; a band to both sides of 0 where its sign hangs on spot.

    That is so where the hedge held now has another sign than the one at the beginning of the window, if spot stays.
    """
    value, low, high = unwind.at_window, unwind.at_window_lo, unwind.at_window_hi
    if value is None or unwind.value is None or value * unwind.value >= 0.0:
        return value, low, high
    bounds = [bound for bound in (value, unwind.value, low, high) if bound is not None]
    return value, min(bounds), max(bounds)
