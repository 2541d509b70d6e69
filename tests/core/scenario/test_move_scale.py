import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.core.scenario.dimensions import (
    DaysPerPercent,
    PointsPerHour,
    PointsPerPercent,
    UsdPerDay,
    UsdPerHour,
    UsdPerPercent,
    UsdPerPoint,
)
from dfmon.core.scenario.hpp_score import DEAD_BAND, pressure_terms, remembered_sign
from dfmon.core.scenario.move_scale import (
    PERSISTENCE_PRIOR,
    MoveScale,
    effective_hours,
    update_move_scale,
)
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.model.units import DAY, HOUR, MINUTE
from tests.chains import NOW

SIGMA_1H_PCT = 0.6


def hourly_moves(minutes: int, sd_return: float, sd_points: float, seed: int = 1) -> np.ndarray:
    """Moves over the hour before each minute, of two independent random walks."""
    steps = np.random.default_rng(seed).standard_normal((minutes + 60, 2)) / math.sqrt(60)
    walk = np.vstack([np.zeros(2), np.cumsum(steps, axis=0)])
    return np.asarray((walk[60:] - walk[:-60])[:minutes] * np.array([sd_return, sd_points]))


def filled(rows: np.ndarray) -> MoveScale:
    """A scale that has seen `rows`, one a minute up to now, and is not yet set."""
    times = NOW - MINUTE * np.arange(len(rows), 0, -1)
    unset = MoveScale.initial()
    window = RollingWindow(MINUTE, unset.window.rows, times, rows)
    return MoveScale(unset.alpha, unset.beta, 0.0, 0.0, 0.0, 0.0, 0, window)


def test_factors_are_the_prior_until_there_are_moves() -> None:
    scale = update_move_scale(MoveScale.initial(), NOW, SIGMA_1H_PCT, None, None)
    assert scale.alpha.value == pytest.approx(0.75 / 0.6)
    assert scale.beta.value == pytest.approx(1.0 / 24.0 / 0.6)
    assert (scale.status, scale.hours) == ("prior", 0.0)
    assert scale.mean_points == pytest.approx(0.75 * math.sqrt(2 / math.pi))
    assert scale.mean_return == pytest.approx(0.6 * math.sqrt(2 / math.pi))


def test_a_weight_that_rounds_to_nothing_is_the_prior() -> None:
    weights = {0.004: "prior", 0.006: "measured 1 %", 1.0: "measured 100 %"}
    assert {w: replace(MoveScale.initial(), weight=w).status for w in weights} == weights


def test_nothing_is_set_without_a_volatility() -> None:
    assert update_move_scale(MoveScale.initial(), NOW, math.nan, 0.1, 0.2).set_ns == 0


def test_factors_come_from_the_quartiles_of_the_moves_blended_with_the_prior() -> None:
    rows = hourly_moves(43_200, 0.4, 1.2)
    scale = update_move_scale(filled(rows), NOW, SIGMA_1H_PCT, None, None)
    q75, q25 = np.percentile(rows, 75, axis=0), np.percentile(rows, 25, axis=0)
    s = (q75 - q25) / 1.349
    w = scale.hours / (scale.hours + 30.0)
    assert w > 0.9
    assert scale.status == f"measured {100 * w:.0f} %"
    assert scale.alpha.value == pytest.approx((0.75 / 0.6) ** (1 - w) * (s[1] / s[0]) ** w)
    assert scale.beta.value == pytest.approx((1 / 24 / 0.6) ** (1 - w) * (1 / 24 / s[0]) ** w)
    assert scale.mean_points == pytest.approx(1.2 * math.sqrt(2 / math.pi), rel=0.15)


def test_a_market_that_stands_still_leaves_the_prior() -> None:
    scale = update_move_scale(filled(np.zeros((3_000, 2))), NOW, SIGMA_1H_PCT, 0.0, 0.0)
    assert scale.status == "prior"
    assert scale.alpha.value == pytest.approx(0.75 / 0.6)


def test_outliers_hardly_move_the_factors() -> None:
    calm = hourly_moves(20_000, 0.5, 0.7)
    wild = calm.copy()
    wild[::10, 1] = 1e6
    found = [update_move_scale(filled(rows), NOW, SIGMA_1H_PCT, None, None).alpha.value for rows in (calm, wild)]
    assert found[1] / found[0] == pytest.approx(1.0, abs=0.25)


def test_overlapping_hours_count_once() -> None:
    rows = np.random.default_rng(3).standard_normal((30_000, 2))
    assert effective_hours(rows) <= 500.0
    assert effective_hours(rows) > 0.85 * 500.0
    assert effective_hours(rows[:60]) == pytest.approx((1 - PERSISTENCE_PRIOR) / (1 + PERSISTENCE_PRIOR))
    assert effective_hours(rows[:0]) == 0.0


def test_clustered_moves_count_less() -> None:
    rng = np.random.default_rng(5)
    hours = np.exp(np.repeat(rng.standard_normal(60), 12))  # the size of moves changes every half day
    rows = rng.standard_normal((720 * 60, 2)) * np.repeat(hours, 60)[:, None]
    assert effective_hours(rows) < 0.8 * effective_hours(rng.standard_normal((720 * 60, 2)))


@pytest.mark.parametrize(("hours", "most"), [(1, 3 ** (1 / 24)), (12, 3**0.5), (24, 3.0), (2_400, 3.0)])
def test_factors_move_at_most_threefold_a_day(hours: int, most: float) -> None:
    scale = update_move_scale(MoveScale.initial(), NOW, 0.001, None, None)
    moved = update_move_scale(scale, NOW + hours * HOUR, 100.0, None, None)
    assert moved.alpha.value == pytest.approx(scale.alpha.value / most)
    assert moved.beta.value == pytest.approx(scale.beta.value / most)


def test_factors_are_set_once_an_hour() -> None:
    scale = update_move_scale(MoveScale.initial(), NOW, 0.6, None, None)
    assert update_move_scale(scale, NOW + HOUR - 1, 0.5, None, None).alpha == scale.alpha
    assert update_move_scale(scale, NOW + HOUR, 0.5, None, None).alpha.value > scale.alpha.value
    assert update_move_scale(scale, NOW - HOUR, 0.5, None, None).alpha == scale.alpha


def test_samples_are_taken_once_a_minute_and_only_whole() -> None:
    scale = MoveScale.initial()
    for second in range(0, 300, 5):
        points = None if 60 <= second < 120 else 0.2
        scale = update_move_scale(scale, NOW + second * 1_000_000_000, SIGMA_1H_PCT, 0.1, points)
    assert scale.window.values.tolist() == [[0.1, 0.2]] * 4


def test_samples_older_than_thirty_days_do_not_count() -> None:
    scale = filled(hourly_moves(3_000, 0.5, 0.7))
    assert update_move_scale(scale, NOW + 31 * DAY, SIGMA_1H_PCT, None, None).status == "prior"


# ---- the sign of the move --------------------------------------------------------------------------------------------


def test_sign_is_remembered_until_the_opposite_edge_of_the_dead_band() -> None:
    quarter_hour, edge = 15 / 525_600, DEAD_BAND * 0.5 * math.sqrt(15 / 525_600)
    sign, signs = 0, []
    for move in (0.9, 1.1, 0.5, -0.5, -1.0, -1.01, 0.0, 1.0, 1.01):
        sign = remembered_sign(sign, move * edge, 0.5, quarter_hour)
        signs.append(sign)
    assert signs == [0, 1, 1, 1, 1, -1, -1, -1, 1]
    assert remembered_sign(1, None, 0.5, quarter_hour) == 0


# ---- units ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unlike", [UsdPerPoint(1.0), UsdPerDay(1.0), UsdPerHour(1.0), PointsPerHour(1.0)])
def test_unlike_units_never_add_up(unlike: object) -> None:
    with pytest.raises(TypeError, match="unlike units"):
        UsdPerPercent(1.0) + unlike  # type: ignore[operator]
    with pytest.raises(TypeError, match="unlike units"):
        unlike + UsdPerPercent(1.0)  # type: ignore[operator]


sizes = st.floats(-1e9, 1e9)
factors = st.floats(1e-3, 1e3)


def scale_of(alpha: float, beta: float) -> MoveScale:
    window = MoveScale.initial().window
    return MoveScale(PointsPerPercent(alpha), DaysPerPercent(beta), 0.0, 0.0, 0.0, 0.0, NOW, window)


@given(ngi=sizes, vss=sizes, chl=sizes, alpha=factors, beta=factors, k=st.sampled_from([0.01, 24.0, 1440.0]))
def test_hpp_does_not_depend_on_the_units_of_volatility_and_time(
    ngi: float, vss: float, chl: float, alpha: float, beta: float, k: float
) -> None:
    terms = pressure_terms(-1, UsdPerPercent(ngi), UsdPerPoint(vss), UsdPerDay(chl), scale_of(alpha, beta))
    rescaled = pressure_terms(
        -1, UsdPerPercent(ngi), UsdPerPoint(vss * k), UsdPerDay(chl / k), scale_of(alpha / k, beta * k)
    )
    assert rescaled.total.value == pytest.approx(terms.total.value, rel=1e-9, abs=1e-3)
    assert terms.total.value == pytest.approx(-ngi + alpha * vss + beta * chl, rel=1e-9, abs=1e-3)


@pytest.mark.parametrize("move", [1, -1])
def test_short_gamma_dealers_buy_a_rise_and_sell_a_fall(move: int) -> None:
    terms = pressure_terms(move, UsdPerPercent(-5e6), UsdPerPoint(0.0), UsdPerDay(0.0), scale_of(1.0, 1.0))
    assert math.copysign(1.0, terms.total.value) == -move


def test_slow_flow_is_in_usd_an_hour() -> None:
    flow = UsdPerDay(24e6).per_hour() + UsdPerPoint(2e6).per_hour(PointsPerHour(-0.5))
    assert flow == UsdPerHour(0.0)
