import math
from dataclasses import replace

import numpy as np
import pytest

from dfmon.core.scenario.buckets import Bucket, Scene
from dfmon.core.scenario.features import (
    BookSums,
    HourMarket,
    StrikeFeatures,
    book_features,
    flip_distances,
    strike_features,
)
from dfmon.core.scenario.rules import RuleThresholds, call_scene, is_material, member_share

NAN = math.nan
MARKET = HourMarket(
    volume=1.3e9, depth=180e6, sigma_pct=0.5, z=0.3, points=0.2, mean_z=0.8, mean_points=0.6, liquidated_up=2e6,
    liquidated_down=11e6,
)  # fmt: skip
BOOK = BookSums(ngi=-45e6, vss=15e6, chl_1h=-0.3e6, flip_distance=1.5)
STRIKES = StrikeFeatures(short_side=-1, expiry_hours=10.0, top_distance=0.3, top_share=0.25)


def test_phi_is_the_hedge_trade_of_an_hour_over_its_volume() -> None:
    found = book_features(MARKET, BOOK, None, STRIKES, -1e6, 0.9).inputs
    assert found.phi_gamma == pytest.approx(45e6 * 0.5 / 1.3e9)
    assert found.phi_vanna == pytest.approx(15e6 * 0.6 / 1.3e9)
    assert found.phi_charm == pytest.approx(0.3e6 / 1.3e9)
    assert found.psi == pytest.approx(-45e6 / 180e6)
    assert found.liquidations == pytest.approx(13e6 / 1.3e9)
    assert found.liquidation_sign == -1
    assert all(not isinstance(value, np.generic) for value in (found.phi_gamma, found.psi, found.liquidations))


@pytest.mark.parametrize("volume", [0.0, NAN])
def test_without_volume_nothing_is_material_and_nothing_is_immaterial(volume: float) -> None:
    found = book_features(replace(MARKET, volume=volume), BOOK, None, STRIKES, -1e6, 0.9).inputs
    assert is_material(found) is None
    assert call_scene(found, RuleThresholds(), None).bucket is None


def test_unknown_move_of_volatility_leaves_vanna_unknown() -> None:
    found = book_features(replace(MARKET, mean_points=NAN), BOOK, None, STRIKES, -1e6, 0.9).inputs
    assert math.isnan(float(found.phi_vanna))
    assert is_material(found) is True  # the gamma alone is


def members(ngi: np.ndarray, distance: np.ndarray) -> BookSums:
    return BookSums(ngi, np.full(ngi.size, 15e6), np.full(ngi.size, -0.3e6), distance)


@pytest.mark.parametrize(("near", "bucket"), [(64, Bucket.FLIP_ZONE), (63, Bucket.SQUEEZE)])
def test_flip_zone_is_half_of_the_members_whatever_the_mean_book_says(near: int, bucket: Bucket) -> None:
    distance = np.where(np.arange(128) < near, 0.25, 3.0)
    found = book_features(MARKET, BOOK, members(np.full(128, -45e6), distance), STRIKES, -1e6, 0.9)
    assert found.flip_zone_share == near / 128
    assert call_scene(found.inputs, RuleThresholds(), None).bucket is bucket
    assert found.members is not None
    assert member_share(found.members, RuleThresholds(), Scene(Bucket.FLIP_ZONE)) == near / 128


@pytest.mark.parametrize(("unstable", "called"), [(116, True), (115, False)])
def test_cascade_by_psi_takes_nine_tenths_of_the_members(unstable: int, called: bool) -> None:
    ngi = np.where(np.arange(128) < unstable, -100e6, -1e6)
    market = replace(MARKET, z=1.6)
    found = book_features(market, BOOK, members(ngi, np.full(128, np.inf)), replace(STRIKES, short_side=0), -1e6, 0.9)
    assert (call_scene(found.inputs, RuleThresholds(), None).bucket is Bucket.CASCADE) == called


def test_a_convention_is_in_the_zone_by_its_own_distance() -> None:
    for distance, share in ((0.25, 1.0), (0.26, 0.0), (math.inf, 0.0)):
        found = book_features(MARKET, replace(BOOK, flip_distance=distance), None, STRIKES, -1e6, 0.9)
        assert found.flip_zone_share == share


def test_distance_of_a_member_is_that_of_its_nearest_zero() -> None:
    level, member = np.array([90.0, 101.0, 99.5, 120.0]), np.array([0, 0, 2, 2])
    found = flip_distances(level, member, 4, 100.0, 0.02)
    assert found == pytest.approx([0.5, math.inf, 0.25, math.inf])
    assert np.isnan(flip_distances(level, member, 4, 100.0, NAN)).all()


def test_short_side_is_where_more_short_gamma_lies() -> None:
    ngi, strikes = np.array([-3.0, -1.0, 50.0, -2.0]), np.array([80.0, 90.0, 105.0, 110.0])
    assert strike_features(100.0, ngi, strikes, ngi, strikes, 100.0, 0.01, 5.0).short_side == -1
    assert strike_features(90.0, ngi, strikes, ngi, strikes, 100.0, 0.01, 5.0).short_side == -1  # at spot: below
    assert strike_features(85.0, ngi, strikes, ngi, strikes, 100.0, 0.01, 5.0).short_side == 0
    assert strike_features(79.0, ngi, strikes, ngi, strikes, 100.0, 0.01, 5.0).short_side == 1


def test_top_strike_of_the_nearest_expiry() -> None:
    ngi, strikes = np.array([1.0, -3.0, 2.0]), np.array([95.0, 101.0, 105.0])
    found = strike_features(100.0, ngi, strikes, ngi, strikes, 100.0, 0.02, 5.0)
    assert found.top_share == 0.5
    assert found.top_distance == pytest.approx(math.log(1.01) / 0.02)
    empty = strike_features(100.0, ngi, strikes, 0.0 * ngi, strikes, 100.0, 0.02, 5.0)
    assert math.isnan(empty.top_share)
    assert math.isnan(empty.top_distance)
