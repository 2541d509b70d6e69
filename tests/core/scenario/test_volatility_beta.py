"""Beta of volatility to spot: the prior without data, the slope with much of it, a band that is right."""

from __future__ import annotations

import numpy as np
import pytest

from dfmon.core.exposure.volatility_move import TENORS, VolatilityMove
from dfmon.core.scenario.volatility_beta import HALF_LIFE_NS, PRIOR_SD, VolatilityBeta
from dfmon.model.units import DAY, MINUTE
from tests.chains import NOW

QUARTER = 15 * MINUTE


def move(percent: float, points: np.ndarray, span_s: float = 900.0) -> VolatilityMove:
    return VolatilityMove(span_s, float(np.nanmean(points)), points, percent / 100.0)


def measured(betas: np.ndarray, pairs: int, seed: int = 0, noise: float = 0.3) -> VolatilityBeta:
    rng = np.random.default_rng(seed)
    state = VolatilityBeta.initial()
    for i in range(pairs):
        percent = rng.normal(0.0, 0.5)
        state = state.push(NOW + i * QUARTER, move(percent, betas * percent + rng.normal(0.0, noise, TENORS)))
    return state


@pytest.mark.parametrize(("underlying", "prior"), [("BTC", -0.24), ("ETH", -0.18), ("SOL", -0.2)])
def test_the_prior_stands_until_something_is_measured(underlying: str, prior: float) -> None:
    found = VolatilityBeta.initial().estimate(underlying)
    assert found.value.tolist() == pytest.approx([prior] * TENORS)
    assert found.sd.tolist() == pytest.approx([PRIOR_SD] * TENORS)
    assert found.pairs.tolist() == [0.0] * TENORS


def test_a_week_of_quarters_gives_the_slope_of_each_tenor() -> None:
    betas = np.array([-1.0, -0.5, -0.1, 0.2])
    found = measured(betas, 700).estimate("BTC")
    assert found.value == pytest.approx(betas, abs=0.12)
    assert (found.sd < 0.05).all()


def test_the_band_holds_the_slope() -> None:
    """Slopes drawn from the prior: nine in ten lie within 1.645 deviations."""
    rng, inside = np.random.default_rng(1), []
    for seed in range(60):
        betas = rng.normal(-0.24, PRIOR_SD, TENORS)
        found = measured(betas, 30, seed, noise=0.35).estimate("BTC")
        inside += (np.abs(betas - found.value) < 1.645 * found.sd).tolist()
    assert 0.84 < np.mean(inside) < 0.96


def test_quarters_do_not_overlap_and_partial_ones_and_missing_tenors_add_nothing() -> None:
    points = np.array([-0.2, -0.1, np.nan, 0.0])
    first = VolatilityBeta.initial().push(NOW, move(1.0, points))
    assert first.sums[:, 0].tolist() == [1.0, 1.0, 0.0, 1.0]
    assert first.push(NOW + QUARTER - 1, move(1.0, points)) is first
    assert first.push(NOW + QUARTER, move(1.0, points, 840.0)) is first
    assert first.push(NOW + QUARTER, None) is first
    assert first.push(NOW + HALF_LIFE_NS, move(1.0, points)).sums[:, 0] == pytest.approx([1.5, 1.5, 0.0, 1.5])
    assert HALF_LIFE_NS == 5 * DAY
