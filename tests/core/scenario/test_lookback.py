import math

import pytest

from dfmon.core.scenario.lookback import SpotMoves, empty_spot_path, measure_moves
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.model.units import HOUR, MINUTE, NAN, SECOND
from tests.chains import NOW, SPOT


def path_of(spots: dict[float, float], sigma: float = 0.5) -> RollingWindow:
    """Samples at minutes after NOW."""
    path = empty_spot_path()
    for minute, spot in spots.items():
        path = path.push(NOW + round(minute * MINUTE), (spot, sigma))
    return path


def test_session_younger_than_a_minute_has_no_move() -> None:
    measured = measure_moves(path_of({0: SPOT}), NOW + 59 * SECOND, 1.1 * SPOT, 0.5)
    assert measured == SpotMoves(0, 59.0, None, None, None)
    assert measure_moves(empty_spot_path(), NOW, SPOT, 0.5) == SpotMoves(0, 0.0, None, None, None)


@pytest.mark.parametrize(("spot", "sigma"), [(NAN, 0.5), (0.0, 0.5), (SPOT, NAN)])
def test_no_move_without_spot_or_volatility(spot: float, sigma: float) -> None:
    assert measure_moves(path_of({0: SPOT}), NOW + 5 * MINUTE, spot, sigma).ret_15m is None


def test_move_is_taken_over_fifteen_minutes() -> None:
    path = path_of({m: SPOT + m for m in range(40)}, sigma=0.48)
    measured = measure_moves(path, NOW + 40 * MINUTE, 1.02 * SPOT, 0.5)
    assert measured.span_s == 900.0
    assert measured.ret_15m == pytest.approx(math.log(1.02 * SPOT / (SPOT + 25)))
    assert measured.sign == 1


def test_sign_of_the_move_is_not_tick_by_tick() -> None:
    path = path_of({m: SPOT * (1 + 0.0002 * m) for m in range(15)})
    last_tick_fell = SPOT * (1 + 0.0002 * 13.5)
    assert measure_moves(path, NOW + 15 * MINUTE, last_tick_fell, 0.5).sign == 1


@pytest.mark.parametrize(("share_of_band", "sign"), [(0.99, 0), (1.01, 1), (-0.99, 0), (-1.01, -1), (0.0, 0)])
def test_sign_has_a_dead_band_of_a_quarter_of_a_standard_deviation(share_of_band: float, sign: int) -> None:
    band = 0.25 * 0.5 * math.sqrt(15.0 / 525_600.0)
    measured = measure_moves(path_of({0: SPOT}), NOW + 15 * MINUTE, SPOT * math.exp(share_of_band * band), 0.5)
    assert measured.sign == sign


def test_after_a_gap_there_is_no_move_rather_than_one_of_hours() -> None:
    path = path_of({0: SPOT, 1: SPOT})
    after = NOW + 180 * MINUTE
    assert measure_moves(path, after, 1.1 * SPOT, 0.5).ret_15m is None
    path = path.push(after, (1.1 * SPOT, 0.5))
    measured = measure_moves(path, after + 2 * MINUTE, 1.1 * SPOT, 0.5)
    assert (measured.ret_15m, measured.span_s, measured.ret_1h) == (0.0, 120.0, None)


def test_hour_is_known_after_an_hour_and_scaled_to_standard_deviations() -> None:
    measured = measure_moves(path_of({0: SPOT, 50: SPOT}), NOW + HOUR, SPOT * math.exp(0.01), 0.5)
    assert measured.ret_1h == pytest.approx(0.01)
    assert measured.z_1h == pytest.approx(0.01 / (0.5 * math.sqrt(1 / 8760)))
    assert measure_moves(path_of({0: SPOT}), NOW + HOUR - MINUTE - SECOND, SPOT, 0.5).z_1h is None
