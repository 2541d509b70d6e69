import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.core.scenario.impact import Impact, impact
from dfmon.model.units import NAN

SIGMA = 0.025 * math.sqrt(365.0)  # 2.5 % a day


def measured(usd: float, depth: float = 3e8, volume: float = 2e10, sigma: float = SIGMA) -> Impact:
    result = impact(usd, depth, volume, sigma)
    assert result is not None
    return result


def test_laws_by_hand() -> None:
    result = measured(1e8)
    assert result.linear == pytest.approx(0.01 / 3)
    assert result.sqrt == pytest.approx(0.025 * math.sqrt(0.005))
    assert (result.by_law("linear"), result.by_law("sqrt")) == (result.linear, result.sqrt)


def test_example_of_a_deep_market_crosses_at_28_million() -> None:
    """D 300 M, 2.5 % a day, V 20 billion a day: (Y sigma_D D / 0.01)^2 / V = 28.1 M."""
    assert measured(1.0).crossing_usd == pytest.approx(28.125e6)


positive = st.floats(1e3, 1e12)


@given(usd=positive, depth=positive, volume=positive, sigma=st.floats(0.05, 3.0))
def test_square_root_is_larger_below_the_crossing_and_smaller_above(
    usd: float, depth: float, volume: float, sigma: float
) -> None:
    crossing = measured(usd, depth, volume, sigma).crossing_usd
    at, below, above = (measured(crossing * factor, depth, volume, sigma) for factor in (1.0, 0.5, 2.0))
    assert at.linear == pytest.approx(at.sqrt)
    assert below.linear < below.sqrt
    assert above.linear > above.sqrt


def test_sign_of_the_trade_does_not_matter() -> None:
    assert measured(-1e8) == measured(1e8)


@pytest.mark.parametrize("depth_volume_sigma", [(0.0, 1e9, 0.5), (NAN, 1e9, 0.5), (1e8, 0.0, 0.5), (1e8, 1e9, NAN)])
def test_no_impact_without_depth_volume_or_volatility(depth_volume_sigma: tuple[float, float, float]) -> None:
    assert impact(1e6, *depth_volume_sigma) is None
    assert impact(NAN, 1e8, 1e9, 0.5) is None
