import math

import pytest

from dfmon.core.scenario.dimensions import UsdPerHour, UsdPerPoint
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.core.scenario.slow_flow import HourOfFlow, empty_flow_window, measure_hour, slow_flow
from dfmon.model.units import MINUTE
from tests.chains import NOW


def window(slow: list[float], hedges: list[float] | None = None) -> RollingWindow:
    """One row a minute, the last one now."""
    rows = empty_flow_window()
    for i, value in enumerate(slow):
        hedge = hedges[i] if hedges else 0.0
        rows = rows.push(NOW - (len(slow) - 1 - i) * MINUTE, (value, hedge))
    return rows


@pytest.mark.parametrize(
    ("slow", "sign", "share"),
    [
        ([1.0] * 60, 1, 1.0),
        ([-2.0] * 48 + [3.0] * 12, -1, 0.8),
        ([-2.0] * 47 + [3.0] * 13, -1, 47 / 60),
        ([5.0] * 30 + [-1.0] * 90, -1, 1.0),  # only the last hour counts
        ([1.0] * 48, 1, 1.0),
        ([1.0] * 47, 1, None),
        ([1.0] * 48 + [math.nan] * 12, 1, 1.0),
        ([1.0] * 47 + [math.nan] * 13, 1, None),
        ([0.0] * 60, 0, 0.0),
    ],
)
def test_share_of_the_hour_with_one_sign(slow: list[float], sign: int, share: float | None) -> None:
    hour = measure_hour(window(slow), NOW)
    assert (hour.slow_sign, hour.slow_share) == (sign, share)


def test_hedge_flow_of_the_hour_is_that_of_its_four_quarters() -> None:
    hedges = [float(minute) for minute in range(61)]
    assert measure_hour(window([1.0] * 61, hedges), NOW).hedge_flow == 60.0 + 45.0 + 30.0 + 15.0
    assert measure_hour(window([1.0] * 45, hedges[:45]), NOW).hedge_flow is None
    assert measure_hour(window([1.0] * 61, [*hedges[:30], math.nan, *hedges[31:]]), NOW).hedge_flow is None


def test_a_gap_leaves_the_hour_unknown() -> None:
    assert measure_hour(window([1.0] * 60), NOW + 20 * MINUTE) == HourOfFlow(1, None, None)
    assert measure_hour(empty_flow_window(), NOW) == HourOfFlow(0, None, None)


def test_a_quarter_is_known_if_its_end_is_less_than_two_minutes_old() -> None:
    full = window([1.0] * 61, [7.0] * 61)
    assert measure_hour(full, NOW + 2 * MINUTE - 1).hedge_flow == 28.0
    assert measure_hour(full, NOW + 2 * MINUTE).hedge_flow is None


def test_slow_flow_adds_charm_and_vanna_in_usd_an_hour() -> None:
    assert slow_flow(UsdPerPoint(4e6), UsdPerHour(-1e6), 0.5) == UsdPerHour(1e6)
    assert slow_flow(UsdPerPoint(4e6), UsdPerHour(-1e6), None) is None


def test_sign_is_not_that_of_unlike_units() -> None:
    """Vanna of +60M a point and charm of -90M a day have the sign of the vanna at half a point an hour."""
    flow = slow_flow(UsdPerPoint(60e6), UsdPerHour(-90e6 / 24), 0.5)
    assert flow is not None
    assert flow.value > 0.0 > 60e6 - 90e6
