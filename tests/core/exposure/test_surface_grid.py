"""The 3 x 2 Gaussian: what gather and scatter keep, and what they leave alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dfmon.core.exposure.surface_grid import MIN_CONFIDENCE, Stencil, StencilMetric, gather, scatter, stencil
from dfmon.core.pricing.black import F64, Mask

STRIKES = np.array([80.0, 90.0, 95.0, 100.0, 105.0, 115.0])
TAUS = np.array([1.0, 2.0, 7.0, 30.0]) / 365.0
SHAPE = (TAUS.size, STRIKES.size)
EVERYWHERE = np.ones(SHAPE)


def kernel(metric: StencilMetric = "log-moneyness", strikes: F64 = STRIKES, taus: F64 = TAUS) -> Stencil:
    return stencil(strikes, np.full(taus.size, 100.0), taus, np.full(taus.size, 0.8), metric)


fields = hnp.arrays(float, SHAPE, elements=st.floats(-1e6, 1e6, allow_subnormal=False))
metrics = st.sampled_from(["log-moneyness", "node"])


def test_weights_of_the_node_metric() -> None:
    six = kernel("node").weights[:, :, 1, 2]
    six = six / six.sum()
    assert six.sum(axis=0) == pytest.approx([0.27407, 0.45186, 0.27407], abs=5e-6)
    assert six.sum(axis=1) == pytest.approx([0.62246, 0.37754], abs=5e-6)


def test_weights_of_the_log_moneyness_metric() -> None:
    weights = kernel().weights
    scale = 0.5 * 0.8 * np.sqrt(TAUS[2])
    across = np.exp(-0.5 * (np.log(95.0 / 100.0) / scale) ** 2)
    along = np.exp(-0.5 * (np.log(30.0 / 7.0) / np.log(2.0)) ** 2)
    assert weights[0, 1, 2, 3] == 1.0
    assert weights[0, 0, 2, 3] == pytest.approx(across, rel=1e-12)
    assert weights[1, 1, 2, 3] == pytest.approx(along, rel=1e-12)
    assert weights[1, 0, 2, 3] == pytest.approx(across * along, rel=1e-12)


def test_forwards_enter_the_distance() -> None:
    shifted = stencil(STRIKES, np.array([100.0, 105.0]), TAUS[2:], np.full(2, 0.8))
    scale = 0.5 * 0.8 * np.sqrt(TAUS[2])
    along = np.exp(-0.5 * (np.log(30.0 / 7.0) / np.log(2.0)) ** 2)
    assert shifted.weights[1, 2, 0, 3] == pytest.approx(along, rel=1e-12)  # 105 on F = 105 is as far as 100 on 100
    assert shifted.weights[1, 1, 0, 3] == pytest.approx(along * np.exp(-0.5 * (np.log(1.05) / scale) ** 2), rel=1e-12)


def test_the_last_expiry_looks_back() -> None:
    assert kernel().neighbour.tolist() == [1, 2, 3, 2]


@given(st.floats(-1e3, 1e3), metrics)
def test_gather_keeps_constants(value: float, metric: StencilMetric) -> None:
    smoothed, confidence = gather(kernel(metric), np.full(SHAPE, value), EVERYWHERE)
    np.testing.assert_allclose(smoothed, value, rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(confidence, 1.0, rtol=1e-14)


@given(fields, metrics)
def test_gather_stays_between_its_extremes(field: F64, metric: StencilMetric) -> None:
    smoothed, _ = gather(kernel(metric), field, EVERYWHERE)
    room = 1e-12 * np.abs(field).max() + 1e-300
    assert smoothed.min() >= field.min() - room
    assert smoothed.max() <= field.max() + room


@pytest.mark.slow
@given(fields, st.integers(0, 23), st.floats(width=64), metrics)
def test_a_hole_is_a_node_that_is_not_there(field: F64, at: int, rubbish: float, metric: StencilMetric) -> None:
    certainty = EVERYWHERE.copy()
    certainty.flat[at] = 0.0
    spoilt = field.copy()
    spoilt.flat[at] = rubbish
    plain, spoiled = (gather(kernel(metric), values, certainty) for values in (field, spoilt))
    np.testing.assert_array_equal(plain[0], spoiled[0])
    missing = field.copy()
    missing.flat[at] = np.nan
    np.testing.assert_array_equal(gather(kernel(metric), missing, EVERYWHERE)[0], plain[0])
    np.testing.assert_allclose(plain[0], by_hand(kernel(metric), field, certainty), rtol=1e-10, atol=1e-9)


def by_hand(k: Stencil, field: F64, certainty: F64) -> F64:
    """The definition with loops."""
    out = np.full(SHAPE, np.nan)
    for j in range(SHAPE[0]):
        for i in range(SHAPE[1]):
            top = bottom = total_weight = 0.0
            for along, row in enumerate((j, k.neighbour[j])):
                for across in (-1, 0, 1):
                    if 0 <= i + across < SHAPE[1]:
                        w = k.weights[along, across + 1, j, i]
                        top += w * certainty[row, i + across] * field[row, i + across]
                        bottom += w * certainty[row, i + across]
                        total_weight += w
            if bottom >= MIN_CONFIDENCE * total_weight:
                out[j, i] = top / bottom
    return out


def test_little_confidence_is_nan() -> None:
    certainty = np.zeros(SHAPE)
    certainty[2, 3] = 1.0
    smoothed, confidence = gather(kernel("node"), np.ones(SHAPE), certainty)
    assert np.isnan(smoothed[0, 0])
    assert confidence[0, 0] == 0.0
    assert confidence[2, 3] == pytest.approx(0.45186 * 0.62246, abs=1e-5)
    assert smoothed[2, 3] == 1.0
    assert np.isnan(smoothed[1, 2])  # seen only from the next expiry and a strike away
    assert 0.0 < confidence[1, 2] < MIN_CONFIDENCE


@pytest.mark.slow
@given(fields, fields, st.floats(-10, 10), metrics)
def test_both_are_linear(one: F64, other: F64, factor: float, metric: StencilMetric) -> None:
    k = kernel(metric)
    room = 1e-11 * (1.0 + np.abs(one).max() + np.abs(factor * other).max())
    operations: tuple[Callable[[F64], F64], ...] = (lambda f: gather(k, f, EVERYWHERE)[0], lambda f: scatter(k, f))
    for operation in operations:
        np.testing.assert_allclose(
            operation(one + factor * other), operation(one) + factor * operation(other), atol=room
        )


@pytest.mark.slow
@given(fields, metrics)
def test_scatter_keeps_the_sum(exposure: F64, metric: StencilMetric) -> None:
    spread = scatter(kernel(metric), exposure)
    assert spread.sum() == pytest.approx(exposure.sum(), abs=1e-12 * np.abs(exposure).sum() + 1e-300)
    positive = scatter(kernel(metric), np.abs(exposure))
    assert (positive >= 0.0).all()


@pytest.mark.slow
@given(fields, hnp.arrays(bool, SHAPE), metrics)
def test_scatter_gives_nothing_to_what_is_not_listed(exposure: F64, listed: Mask, metric: StencilMetric) -> None:
    held = np.where(listed, exposure, np.nan)
    spread = scatter(kernel(metric), held, listed)
    assert (spread[~listed] == 0.0).all()
    assert spread.sum() == pytest.approx(np.nansum(held), abs=1e-12 * np.nansum(np.abs(held)) + 1e-300)


def test_an_exposure_at_an_unlisted_node_is_not_lost() -> None:
    exposure = np.zeros(SHAPE)
    exposure[1, 1] = 7.0
    assert scatter(kernel(), exposure, np.zeros(SHAPE, dtype=bool)).sum() == pytest.approx(7.0, rel=1e-12)


@pytest.mark.parametrize("metric", ["log-moneyness", "node"])
def test_symmetric_input_stays_symmetric(metric: StencilMetric) -> None:
    strikes = 100.0 * np.exp(np.array([-0.2, -0.1, 0.0, 0.1, 0.2]))
    k = kernel(metric, strikes)
    field = np.abs(np.arange(-2.0, 3.0)) + TAUS[:, None]
    for smoothed in (gather(k, field, np.ones_like(field))[0], scatter(k, field)):
        np.testing.assert_allclose(smoothed, smoothed[:, ::-1], rtol=1e-12)


def test_expiries_far_apart_do_not_mix() -> None:
    taus = np.array([1.0, 9.0, 90.0]) / 365.0  # ln 9 and ln 10 are more than three doublings
    k = kernel(taus=taus)
    assert (k.weights[1] == 0.0).all()
    field = np.random.default_rng(0).normal(size=(3, STRIKES.size))
    for row in range(3):
        alone = kernel(taus=taus[row : row + 1])
        np.testing.assert_allclose(
            gather(k, field, np.ones_like(field))[0][row], gather(alone, field[[row]], np.ones((1, 6)))[0][0]
        )
        np.testing.assert_allclose(scatter(k, field)[row], scatter(alone, field[[row]])[0])


def test_one_node_alone_is_left_as_it_is() -> None:
    k = stencil(np.array([100.0]), np.array([100.0]), np.array([0.1]), np.array([0.5]))
    assert gather(k, np.array([[3.0]]), np.ones((1, 1)))[0].tolist() == [[3.0]]
    assert scatter(k, np.array([[3.0]])).tolist() == [[3.0]]


def test_smoothing_moves_mass_only_to_the_neighbours() -> None:
    exposure = np.zeros(SHAPE)
    exposure[2, 3] = 1.0
    spread = scatter(kernel("node"), exposure)
    touched = np.argwhere(spread > 0.0)
    assert {tuple(node) for node in touched} == {(row, i) for row in (1, 2, 3) for i in (2, 3, 4)}


@pytest.mark.slow
@given(hnp.arrays(float, SHAPE, elements=st.floats(width=64)), hnp.arrays(float, SHAPE, elements=st.floats(0, 1)))
def test_nothing_raises_or_warns(field: F64, certainty: F64) -> None:
    gather(kernel(), np.clip(field, -1e300, 1e300), certainty)
    scatter(kernel(), np.clip(field, -1e300, 1e300))
