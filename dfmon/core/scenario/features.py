"""Features of one book: its expected hedge flows against the volume of the hour, and where spot and strikes stand.

phi is the expected hedge trade of an hour as a share of the hourly volume of the hedging venues, so one threshold fits
thin and deep markets. An input that cannot be computed is NaN here, and None with a reason in the snapshot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.core.scenario.rules import FLIP_SIGMAS, RuleInputs
from dfmon.model.frames import F64
from dfmon.model.units import NAN

FLIP_SHARE: Final = 0.5  # of the members: so many must change sign for a flip zone
UNSTABLE_SHARE: Final = 0.9  # of the members: so many must be unstable for a cascade by psi


@dataclass(frozen=True, slots=True)
class HourMarket:
    """Inputs that all books share, NaN where not known.

    `volume` is the expected hourly volume, USD, `sigma_pct` the volatility of an hour in %.
    `z` and `points` are the return of the hour in sigmas and the volatility move of the hour at fixed strikes in
    points, `mean_z` and `mean_points` their mean sizes; `liquidated_up` and `liquidated_down` the forced orders of the
    hour that pushed spot up and down, USD.
    """

    volume: float
    depth: float
    sigma_pct: float
    z: float
    points: float
    mean_z: float
    mean_points: float
    liquidated_up: float
    liquidated_down: float


@dataclass(frozen=True, slots=True)
class BookSums:
    """Roll-ups of a book (floats), or of its members (M,): USD per 1 %, per point, per hour.

    `flip_distance` is that of the nearest change of sign of NGI, in daily sigmas, infinite without one.
    """

    ngi: float | F64
    vss: float | F64
    chl_1h: float | F64
    flip_distance: float | F64


@dataclass(frozen=True, slots=True)
class StrikeFeatures:
    """Strikes of the mean book: `short_side` +1 where the heavier short strikes are above spot, -1 below.

    `top_distance` (in sigma sqrt(T)) and `top_share` (of |gamma|) are those of the top strike of the nearest expiry.
    """

    short_side: int
    expiry_hours: float
    top_distance: float
    top_share: float


@dataclass(frozen=True, slots=True)
class BookFeatures:
    """Inputs of the rules for the book and for each member of its ensemble; `members` is None for a convention.

    `flip_zone_share` is the share of the members whose NGI changes sign within a quarter of a daily sigma of spot.
    """

    inputs: RuleInputs
    members: RuleInputs | None
    flip_zone_share: float


def book_features(
    market: HourMarket,
    book: BookSums,
    members: BookSums | None,
    strikes: StrikeFeatures,
    hedge_flow: float,
    slow_share: float,
) -> BookFeatures:
    """The inputs of the rules. The strikes, the measured hedge flow and the slow share are those of the mean book.

    Units: as the classes. Shapes: members (M,). Domain: NaN for anything that is not known.
    """
    if members is None:
        inputs = _inputs(market, book, strikes, hedge_flow, slow_share)
        return BookFeatures(inputs, None, _share_within(np.array([book.flip_distance]), FLIP_SIGMAS[0]))
    distances = np.asarray(members.flip_distance)
    of_members = _inputs(market, members, strikes, hedge_flow, slow_share)
    inputs = _inputs(
        market,
        BookSums(book.ngi, book.vss, book.chl_1h, _not_exceeded(distances, FLIP_SHARE)),
        strikes,
        hedge_flow,
        slow_share,
        psi=_not_exceeded(np.asarray(of_members.psi), UNSTABLE_SHARE),
    )
    return BookFeatures(inputs, of_members, _share_within(distances, FLIP_SIGMAS[0]))


def _inputs(
    market: HourMarket,
    book: BookSums,
    strikes: StrikeFeatures,
    hedge_flow: float,
    slow_share: float,
    psi: float | None = None,
) -> RuleInputs:
    per_volume = 1.0 / market.volume if market.volume > 0.0 else NAN
    ngi: Any = book.ngi
    vss: Any = book.vss
    chl_1h: Any = book.chl_1h
    return RuleInputs(
        ngi=ngi,
        vss=vss,
        phi_gamma=abs(ngi) * (market.sigma_pct * per_volume),
        phi_vanna=abs(vss) * (market.mean_points * per_volume),
        phi_charm=abs(chl_1h) * per_volume,
        flip_distance=book.flip_distance,
        psi=(ngi * (1.0 / market.depth) if market.depth > 0.0 else NAN) if psi is None else psi,
        z=market.z,
        points=market.points,
        mean_z=market.mean_z,
        mean_points=market.mean_points,
        liquidations=(market.liquidated_up + market.liquidated_down) * per_volume,
        liquidation_sign=float(np.sign(market.liquidated_up - market.liquidated_down)),
        short_side=float(strikes.short_side),
        hedge_flow=hedge_flow,
        slow_share=slow_share,
        expiry_hours=strikes.expiry_hours,
        top_distance=strikes.top_distance,
        top_share=strikes.top_share,
    )


def _not_exceeded(values: F64, share: float) -> float:
    """The smallest of the values that at least `share` of them do not exceed; NaN if any of them is NaN."""
    rank = math.ceil(share * values.size) - 1
    return NAN if np.isnan(values).any() else float(np.partition(values, rank)[rank])


def _share_within(distances: F64, limit: float) -> float:
    return NAN if np.isnan(distances).any() else float(np.mean(distances <= limit))


def flip_distances(level: F64, member: NDArray[np.intp], size: int, spot: float, daily_sigma: float) -> F64:
    """Distance of each member's nearest zero of NGI from spot, infinite for a member without one.

    Units: USD; `daily_sigma` a share of spot; -> daily sigmas. Shapes: zeros (r,) with the index of their member (r,)
    -> (size,). Domain: NaN throughout without a volatility.
    """
    distances = np.full(size, np.inf)
    np.minimum.at(distances, member, np.abs(level / spot - 1.0))
    return np.asarray(distances / daily_sigma if daily_sigma > 0.0 else np.full(size, NAN))


def strike_features(
    spot: float,
    ngi_by_strike: F64,
    strikes: F64,
    nearest_ngi: F64,
    nearest_strikes: F64,
    nearest_forward: float,
    nearest_sd: float,
    expiry_hours: float,
) -> StrikeFeatures:
    """Places the strikes of a book: its short gamma against spot, and the top strike of the nearest expiry.

    Units: USD; `nearest_sd` is sigma sqrt(T) of the nearest expiry. Shapes: (k,) by strike, (j,) by strike of the
    nearest expiry. Domain: without gamma there is no top strike.
    """
    short = np.minimum(ngi_by_strike, 0.0)
    above = strikes > spot
    short_side = int(np.sign(short[~above].sum() - short[above].sum()))
    weight = np.abs(nearest_ngi)
    total = float(weight.sum()) if weight.size else 0.0
    if not (total > 0.0 and nearest_sd > 0.0):
        return StrikeFeatures(short_side, expiry_hours, NAN, NAN)
    top = int(np.argmax(weight))
    distance = abs(math.log(float(nearest_strikes[top]) / nearest_forward)) / nearest_sd
    return StrikeFeatures(short_side, expiry_hours, distance, float(weight[top]) / total)
