"""Outlook against a second reprice, its bands, and the beta of volatility that it moves with."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dfmon.core.exposure.band_scales import BAND_SCALES
from dfmon.core.exposure.bands import NORMAL_95
from dfmon.core.exposure.desks import HedgeShares
from dfmon.core.exposure.outlook import BetaEstimate, Case, Outlook, outlook, outlook_cases, outlook_units
from dfmon.core.exposure.reprice import MarketState, Options
from dfmon.core.exposure.volatility_move import TENOR_BOUNDS, TENORS, tenor_of, volatility_move
from tests.core.exposure import reprices
from tests.core.exposure.reprices import HOUR, WINDOW, Market

F = 100_000.0
BETA = BetaEstimate(np.array([-0.4, -0.3, -0.2, -0.1]), np.full(TENORS, 0.2), np.zeros(TENORS))
TAU = np.repeat([0.2 * HOUR, 1.2 * HOUR, 20.0 * HOUR, 240.0 * HOUR, 2400.0 * HOUR], 4)
STRIKE = np.tile([97_000.0, 100_500.0, 100_500.0, 108_000.0], 5)
SIDE = np.tile([1.0, 1.0, -1.0, -1.0], 5)
SIGMA = 0.5 + 0.2 * np.abs(np.log(STRIKE / F))
POSITION = np.random.default_rng(4).normal(0.0, 30.0, 20)
OPTIONS = Options(STRIKE, SIDE, np.ones(20, np.bool_))
STATE = MarketState(np.full(20, F), SIGMA, TAU, np.full(20, np.nan))
FULL = (HedgeShares(),) * 5


def rows(position: np.ndarray = POSITION, members: np.ndarray | None = None, **options: float) -> list[Outlook]:
    cases = outlook_cases(0.5)
    return list(outlook(outlook_units(OPTIONS, STATE, cases, BETA), position, members, FULL, **options))


def repriced(move: float, points: np.ndarray | float, hours: float) -> float:
    now = Market(STATE.forward, SIGMA, TAU, STATE.forward)
    left = np.maximum(TAU - hours * HOUR, np.minimum(TAU, WINDOW))
    moved = Market(STATE.forward * (1.0 + move), SIGMA + np.asarray(points) / 100.0, left, STATE.forward)
    change = [reprices.delta_on_open_part(STRIKE, SIDE, market) for market in (now, moved)]
    open_part = reprices.open_part(TAU)
    return -float((POSITION * moved.forward * open_part * (change[1] - change[0])).sum())


SD = 0.5 * math.sqrt(HOUR)


@pytest.mark.parametrize(
    ("row", "name", "move", "hours"),
    [
        (0, "+1 %", 0.01, 0.0),
        (1, "-1 %", -0.01, 0.0),
        (2, "+1 sd", SD, 1.0),
        (3, "-1 sd", -SD, 1.0),
        (4, "1 h", 0.0, 1.0),
    ],
)
def test_every_case_is_a_full_reprice_with_the_volatility_that_goes_with_it(
    row: int, name: str, move: float, hours: float
) -> None:
    found = rows()[row]
    points = BETA.value[tenor_of(TAU)] * 100.0 * move
    assert found.name == name
    assert found.value == pytest.approx(repriced(move, points, hours), rel=1e-9)
    assert found.spot == pytest.approx(repriced(move, 0.0, 0.0) if move else 0.0, rel=1e-9)
    assert (found.lo, found.hi) == (None, None)


def test_the_band_is_that_of_the_members_and_of_the_beta() -> None:
    members = POSITION[:, None] + np.random.default_rng(5).normal(0.0, 10.0, (20, 128))
    mean = members.mean(axis=1)
    units = outlook_units(OPTIONS, STATE, outlook_cases(0.5), BETA)
    for i, found in enumerate(outlook(units, mean, members, FULL)):
        low, high = np.quantile(units.full[i] @ members, [0.05, 0.95])
        by_beta, scale = NORMAL_95 * float(units.beta_shift[i] @ mean), BAND_SCALES["outlook"]
        assert found.lo == pytest.approx(found.value - math.hypot(scale * (found.value - low), by_beta))
        assert found.hi == pytest.approx(found.value + math.hypot(scale * (high - found.value), by_beta))
    assert (units.beta_shift[4] == 0.0).all()
    assert np.abs(units.beta_shift[0]).max() > 0.0


def test_desks_that_do_not_hedge_a_move_hedge_its_volatility() -> None:
    half = (HedgeShares(0.0, 0.5),) * 5
    units = outlook_units(OPTIONS, STATE, outlook_cases(0.5), BETA)
    for traded, whole in zip(outlook(units, POSITION, None, half), rows()):
        assert traded.value == pytest.approx(0.5 * (whole.value - whole.spot))
        assert traded.spot == 0.0


def test_short_gamma_buys_a_rise_and_sells_a_fall() -> None:
    up, down, *_ = rows(-np.ones(20))
    assert up.value > 0.0 > down.value


def test_without_a_volatility_only_the_moves_in_per_cent() -> None:
    assert outlook_cases(math.nan) == (Case("+1 %", 0.01, False), Case("-1 %", -0.01, False), Case("1 h", 0.0, True))


# ---- volatility moves ------------------------------------------------------------------------------------------------


def test_the_move_of_volatility_by_tenor() -> None:
    tau = np.array([0.2 * WINDOW, TENOR_BOUNDS[0] - 1e-6, TENOR_BOUNDS[0], 0.5, 0.6])
    change = np.array([9.0, 1.0, 2.0, 3.0, np.nan]) / 100.0
    weight = np.array([1.0, 2.0, 1.0, 1.0, 1.0])
    sigma = np.full(5, 0.5)
    found = volatility_move((np.full(5, F), sigma), (np.full(5, 1.01 * F), sigma + change), tau, weight, 900.0)
    assert found is not None
    assert found.points == pytest.approx((2 * 1.0 + 2.0 + 3.0) / 4.0)
    np.testing.assert_allclose(found.by_tenor, [1.0, 2.0, np.nan, 3.0])
    assert found.log_return == pytest.approx(math.log(1.01))
    assert volatility_move((sigma, sigma), (sigma, sigma), tau, 0.0 * weight, 900.0) is None
