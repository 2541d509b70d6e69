import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dfmon.core.scenario.hpp_score import (
    MIN_CALIBRATION_MINUTES,
    Scaling,
    hedge_pressure,
    move_sign,
    update_scaling,
)
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.model.units import HOUR, MINUTE
from tests.chains import NOW

ONE = np.ones(1)


def filled(values: np.ndarray, **state: Any) -> Scaling:
    """A scaling whose window already holds `values`, one row a minute up to now."""
    times = NOW - MINUTE * np.arange(len(values), 0, -1)
    return replace(Scaling.initial(), window=RollingWindow(MINUTE, 43_200, times, values), **state)


def samples(spread: tuple[float, float, float], n: int = MIN_CALIBRATION_MINUTES, centre: float = 0.0) -> np.ndarray:
    deviations: np.ndarray = np.linspace(-1.0, 1.0, n)[:, None] * np.array(spread)
    return centre + deviations


@pytest.mark.parametrize("move", [1, -1])
def test_short_gamma_dealers_buy_rallies_and_sell_falls(move: int) -> None:
    pressure = hedge_pressure(move, -5e6 * ONE, 0.0 * ONE, 0.0 * ONE, Scaling.initial())[0]
    assert math.copysign(1, pressure) == -move  # negative: dealers must buy


def test_long_gamma_dealers_sell_rallies() -> None:
    assert hedge_pressure(1, 5e6 * ONE, 0 * ONE, 0 * ONE, Scaling.initial())[0] == 5e6


def test_formula_holds_row_by_row() -> None:
    ngi, vss, chl = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    scaling = replace(Scaling.initial(), alpha=10.0, beta=100.0)
    assert hedge_pressure(-1, ngi, vss, chl, scaling).tolist() == [-1 + 30 + 500, -2 + 40 + 600]
    assert hedge_pressure(0, ngi, vss, chl, scaling).tolist() == [530, 640]


def test_factors_are_one_and_uncalibrated_until_there_is_a_day_of_samples() -> None:
    early = update_scaling(filled(samples((1, 2, 4), MIN_CALIBRATION_MINUTES - 2)), NOW, 0.0, 0.0, 0.0)
    assert (early.alpha, early.beta, early.calibrated) == (1.0, 1.0, False)


def test_factors_are_ratios_of_the_quartile_ranges_not_constants() -> None:
    set_now = update_scaling(filled(samples((8, 2, 4))), NOW, 0.0, 0.0, 0.0)
    assert set_now.calibrated
    assert set_now.alpha == pytest.approx(4.0, rel=1e-2)
    assert set_now.beta == pytest.approx(2.0, rel=1e-2)
    assert update_scaling(filled(samples((2, 2, 4))), NOW, 0.0, 0.0, 0.0).alpha == pytest.approx(1.0, rel=1e-2)


def test_outliers_do_not_move_the_factors() -> None:
    calm = samples((8, 2, 4))
    wild = calm.copy()
    wild[::10, 1] = 1e9
    ratio = update_scaling(filled(wild), NOW, 0, 0, 0).alpha / update_scaling(filled(calm), NOW, 0, 0, 0).alpha
    assert ratio == pytest.approx(1.0, abs=0.15)


def test_quartile_range_is_floored_at_a_share_of_the_typical_size() -> None:
    still = samples((8, 0, 4))
    still[:, 1] = 100.0
    assert update_scaling(filled(still), NOW, 0.0, 100.0, 0.0).alpha == pytest.approx(8.0 / (0.05 * 100.0), rel=1e-2)


def test_column_of_zeros_leaves_the_factors_alone() -> None:
    kept = update_scaling(filled(samples((8, 0, 4))), NOW, 0.0, 0.0, 0.0)
    assert (kept.alpha, kept.beta, kept.calibrated) == (1.0, 1.0, False)


def test_factors_are_read_anew_once_an_hour() -> None:
    held = filled(samples((8, 2, 4)), alpha=3.9, beta=1.9, calibrated=True, set_ns=NOW - HOUR + 1)
    assert update_scaling(held, NOW, 0.0, 0.0, 0.0).alpha == 3.9
    assert update_scaling(held, NOW + 1, 0.0, 0.0, 0.0).alpha == pytest.approx(4.0, rel=1e-2)


@pytest.mark.parametrize(("hours", "most"), [(1, 3 ** (1 / 24)), (12, 3**0.5), (24, 3.0), (240, 3.0)])
def test_factors_move_at_most_threefold_a_day(hours: int, most: float) -> None:
    held = filled(samples((8e3, 2, 4)), alpha=1.0, beta=1e9, calibrated=True, set_ns=NOW - hours * HOUR)
    moved = update_scaling(held, NOW, 0.0, 0.0, 0.0)
    assert moved.alpha == pytest.approx(most)
    assert moved.beta == pytest.approx(1e9 / most)


def test_samples_are_taken_once_a_minute() -> None:
    scaling = Scaling.initial()
    for second in range(0, 300, 5):
        scaling = update_scaling(scaling, NOW + second * 1_000_000_000, 1.0, 2.0, 3.0)
    assert scaling.window.values.tolist() == [[1.0, 2.0, 3.0]] * 5


@pytest.mark.parametrize("bad", [(math.nan, 0.5, 1.0), (0.1, math.nan, 1.0), (0.0, 0.5, 0.0)])
def test_move_that_is_unknown_or_none_has_no_sign(bad: tuple[float, float, float]) -> None:
    assert move_sign(*bad) == 0
