"""Coefficients and errors against numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtrit

from dfmon.evidence.regression import (
    INSUFFICIENT,
    block_sums,
    bootstrap,
    estimate,
    resample_counts,
    solve,
    t_quantile,
)

F64 = np.typing.NDArray[np.float64]


def _sample(days: int = 150, a_day: int = 30, seed: int = 3) -> tuple[F64, F64, np.typing.NDArray[np.int64]]:
    """Errors with a common part of each day."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), a_day)
    x = np.stack([np.ones(day.size), rng.standard_normal(day.size), np.repeat(rng.standard_normal(days), a_day)], 1)
    y = x @ [0.1, 0.5, -0.2] + rng.standard_normal(day.size) + np.repeat(rng.standard_normal(days), a_day)
    return y, x, day


def test_coefficients_are_those_of_least_squares() -> None:
    y, x, day = _sample()
    assert solve(block_sums(y, x, day)) == pytest.approx(np.linalg.lstsq(x, y, rcond=None)[0], rel=1e-10)


def test_error_is_the_wider_sandwich_of_days_and_weeks() -> None:
    y, x, day = _sample()
    found = estimate(block_sums(y, x, day), 2)
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    bread = np.linalg.inv(x.T @ x)

    def half_width(block: np.typing.NDArray[np.int64]) -> float:
        n = block.max() + 1
        scores = np.stack([np.bincount(block, x[:, k] * residual, n) for k in range(3)], 1)
        variance = bread @ scores.T @ scores @ bread * n / (n - 1)
        return float(np.sqrt(variance[2, 2]) * stdtrit(n - 1, 0.975))

    assert found is not None
    assert found.high - found.value == pytest.approx(max(half_width(day), half_width(day // 7)), rel=1e-4)
    assert (found.rows, found.days, found.weeks) == (4_500, 150, 22)


def test_instruments_take_out_what_a_regressor_shares_with_the_error() -> None:
    rng = np.random.default_rng(5)
    common, exogenous = rng.standard_normal((2, 60_000))
    x, y = exogenous + common, -1.0 * (exogenous + common) + 2.0 * common + rng.standard_normal(60_000)
    columns, moments = np.stack([np.ones(60_000), x], 1), np.stack([np.ones(60_000), exogenous], 1)
    day = np.arange(60_000) // 300
    naive, found = estimate(block_sums(y, columns, day), 1), estimate(block_sums(y, columns, day, moments), 1)
    assert naive is not None
    assert found is not None
    assert naive.low > -0.5
    assert found.low < -1.0 < found.high


def test_rows_that_are_not_finite_are_left_out() -> None:
    y, x, day = _sample(20)
    x[7, 1], y[11] = np.nan, np.inf
    good = np.setdiff1d(np.arange(y.size), [7, 11])
    found, expected = block_sums(y, x, day), block_sums(y[good], x[good], day[good])
    assert found.rows == expected.rows == y.size - 2
    assert solve(found) == pytest.approx(solve(expected))


def test_columns_that_depend_on_one_another_have_no_estimate() -> None:
    y, x, day = _sample(20)
    assert estimate(block_sums(y, np.column_stack([x, x[:, 1]]), day), 1) is None
    assert estimate(block_sums(y, x, np.zeros_like(day)), 1) is None


def test_bootstrap_agrees_with_the_sandwich() -> None:
    y, x, day = _sample(140)
    sums = block_sums(y, x, day)
    found = estimate(sums, 1)
    assert found is not None
    assert float(bootstrap(sums, 1).std()) == pytest.approx(found.se, rel=0.35)
    assert found.boot_low < found.value < found.boot_high
    assert np.array_equal(bootstrap(sums, 1, seed=4), bootstrap(sums, 1, seed=4))


def test_resamples_keep_the_number_of_days() -> None:
    counts = resample_counts(30, 1, 500)
    assert (counts.sum(axis=1) == 30.0).all()
    assert counts.mean() == pytest.approx(1.0)


def test_few_weeks_have_no_verdict() -> None:
    few, enough = (estimate(block_sums(*_sample(days)), 1) for days in (133, 140))
    assert few is not None
    assert enough is not None
    assert (few.verdict, enough.verdict) == (INSUFFICIENT, "significant")
    assert few.rejects_zero
    assert few.mde == pytest.approx(2.8 * few.se)


@pytest.mark.parametrize("df", [5, 19, 149])
def test_students_t_is_that_of_scipy(df: int) -> None:
    assert t_quantile(df) == pytest.approx(stdtrit(df, 0.975), abs=1e-3)
