"""The scenario and the inputs of its rules, as the snapshot publishes them."""

from __future__ import annotations

from typing import Literal

import msgspec

HedgeSide = Literal["buy", "sell", "two-sided", "unsure", "none"]


class Scenario(msgspec.Struct, frozen=True):
    """The bucket that holds, None before the first one. `overlay` is "UNKNOWN" and the reason while it is only kept.

    Inputs are stale, missing or thin then. `side` is that of the hedges of the next hour, "unsure" where a band holds
    0. `material` is None where a missing share of volume could make it true. `confidence` is the share of the ensemble
    in the bucket; None while there is no call, and for a convention. `armed` marks a squeeze that has not begun.
    """

    bucket: int | None
    name: str
    side: HedgeSide
    material: bool | None
    age_s: float
    since: str
    confidence: float | None
    reasons: tuple[str, ...]
    overlay: str
    armed: bool = False


class ScenarioChange(msgspec.Struct, frozen=True):
    """One change of the scenario of a position model: what decided it, and the features of then.

    `before` is None at the first one.
    """

    ts: str
    model: str
    before: str | None
    after: str
    reasons: tuple[str, ...]
    features: dict[str, float | None]


class Feature(msgspec.Struct, frozen=True):
    """An input of the scenario rules."""

    value: float | None = None


class ShareOfVolume(Feature, frozen=True):
    """An input of the scenario rules with its adaptive thresholds; all are shares of the hourly volume."""

    lo: float | None = None
    mid: float | None = None
    hi: float | None = None


class Features(msgspec.Struct, frozen=True):
    """The inputs of the scenario rules.

    phi_* and `liquidations` have thresholds, phi_gamma those of the sign of NGI. `top_strike_share` and
    `flip_zone_share` are shares of gamma and of the ensemble, `slow_share` one of the hour, negative where dealers had
    to buy. `z` is in sigmas, the distances in daily sigmas and sigma sqrt(T), `dsigma` the volatility move of the hour
    in points, `hedge_flow` the measured hedge of the hour in USD.
    """

    phi_gamma: ShareOfVolume = ShareOfVolume()
    phi_vanna: ShareOfVolume = ShareOfVolume()
    phi_charm: ShareOfVolume = ShareOfVolume()
    z: Feature = Feature()
    psi: Feature = Feature()
    liquidations: ShareOfVolume = ShareOfVolume()
    top_strike_share: Feature = Feature()
    top_strike_distance: Feature = Feature()
    flip_distance: Feature = Feature()
    flip_zone_share: Feature = Feature()
    dsigma: Feature = Feature()
    slow_share: Feature = Feature()
    hedge_flow: Feature = Feature()
