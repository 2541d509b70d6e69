"""Pairs against the same options one by one, in order and out of order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dfmon.core.pricing.closed_forms import StrikeTimeTerms
from dfmon.core.pricing.greek_buffers import COLUMNS
from dfmon.core.pricing.greek_calc import greeks
from dfmon.core.pricing.pair_greeks import PairBuffers, PairedChain, pair_greeks
from tests.core.pricing.test_greek_oracles import grid, scaled_errors

SHARED = COLUMNS[2:]


def chain(n: int = 300):
    rng = np.random.default_rng(2)
    forward = np.full(n, 1e5)
    return forward, forward * rng.uniform(0.3, 3.0, n), rng.uniform(0.2, 4.0, n), rng.uniform(1e-3, 2.0, n)


def test_a_pair_is_its_call_and_its_put() -> None:
    columns = chain()
    one = np.ones(300)
    pair, call, put = pair_greeks(*columns), greeks(*columns, one), greeks(*columns, -one)
    np.testing.assert_allclose(pair.call_delta, call.delta, rtol=1e-12)
    np.testing.assert_allclose(pair.put_delta, put.delta, rtol=1e-12)
    for name in SHARED:
        np.testing.assert_allclose(getattr(pair, name), getattr(call, name), rtol=1e-11)


def test_every_high_precision_row_keeps_its_digits() -> None:
    inputs, known = grid()
    near = inputs[0] > 0.021 * inputs[1]
    columns = [np.ascontiguousarray(column[near]) for column in inputs]
    known = {key: column[near] for key, column in known.items()}
    pair = pair_greeks(*columns[:4])
    delta = np.where(columns[4] > 0.0, pair.call_delta, pair.put_delta)
    result = greeks(*columns)._replace(delta=delta, **{name: getattr(pair, name) for name in SHARED})
    for name in ("delta", *SHARED):
        assert scaled_errors(columns, known, result, name).max() < 64.0, name


def test_a_point_out_of_order_is_masked_and_spares_the_others() -> None:
    columns = [column[:5].copy() for column in chain()]
    columns[2][3] = np.nan
    columns[3][1] = 0.0
    pair = pair_greeks(*columns, out=PairBuffers(5))
    call, put = (greeks(*columns, np.full(5, th)) for th in (1.0, -1.0))
    assert pair.invalid == 1
    np.testing.assert_allclose(pair.call_delta, call.delta, rtol=1e-12)
    np.testing.assert_allclose(pair.put_delta, put.delta, rtol=1e-12)
    np.testing.assert_allclose(pair.volga, call.volga, rtol=1e-11)


def test_prepared_columns_serve_several_repricings() -> None:
    forward, strike, sigma, tau = chain()
    strike_time, out = StrikeTimeTerms(300).fill(strike, tau), PairBuffers(300)
    for move in (1.0, 1.01):
        again = pair_greeks(forward * move, strike, sigma, tau, strike_time=strike_time, out=out)
        assert (again.gamma == pair_greeks(forward * move, strike, sigma, tau).gamma).all()
        flat = greeks(forward * move, strike, sigma, tau, np.ones(300), with_price=False, strike_time=strike_time)
        assert (flat.vega == again.vega).all()


def flat_columns(points: int = 40):
    """Call, put, call, put …: forward, strike, sigma, tau, option type."""
    columns = [np.repeat(column, 2) for column in chain(points)]
    return (*columns, np.tile([1.0, -1.0], points))


def read(paired: PairedChain, pair, name: str, option_type: np.ndarray) -> np.ndarray:
    """A column of the points, as one of the options."""
    if name == "delta":
        both = pair.call_delta[paired.points.point], pair.put_delta[paired.points.point]
        return np.where(option_type > 0.0, *both)
    return getattr(pair, name)[paired.points.point]


def test_a_listing_priced_in_pairs_gives_every_option_its_greeks_also_out_of_order_and_with_pairs_that_differ() -> None:
    columns = flat_columns()
    for order in (np.arange(80), np.random.default_rng(5).permutation(80)):
        forward, strike, sigma, tau, option_type = (column[order] for column in columns)
        paired = PairedChain(strike, tau, option_type).set_tau(tau)
        one = np.where(np.arange(80) == 7, 1.0 + 1e-9, 1.0)
        for at, vol, points in (
            (forward, sigma, 40),
            (forward, sigma * one, 41),
            (forward, sigma * 1.1, 40),
            (forward * one, sigma, 41),
        ):
            pair = paired.greeks(at, vol)
            assert paired.points.option.size == points
            each = greeks(at, strike, vol, tau, option_type)
            for name in ("delta", *SHARED):
                np.testing.assert_allclose(read(paired, pair, name, option_type), getattr(each, name), rtol=1e-11)


def test_times_that_differ_within_a_pair_keep_it_apart() -> None:
    forward, strike, sigma, tau, option_type = flat_columns()
    other = np.where(np.arange(80) == 3, tau * 1.01, tau)
    paired = PairedChain(strike, tau, option_type).set_tau(other)
    pair = paired.greeks(forward, sigma)
    assert paired.points.option.size == 41
    each = greeks(forward, strike, sigma, other, option_type)
    np.testing.assert_allclose(read(paired, pair, "theta", option_type), each.theta, rtol=1e-11)
    assert paired.set_tau(tau).greeks(forward, sigma).gamma.size == 40


@settings(max_examples=150)
@given(hnp.arrays(float, st.tuples(st.just(4), st.integers(0, 5)), elements=st.floats(width=64)))
def test_nothing_raises_or_warns(columns) -> None:
    pair = pair_greeks(*columns)
    assert pair.invalid == np.count_nonzero(np.isnan(pair.gamma))
