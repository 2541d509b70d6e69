"""The one pass over an orderly chain: calls and puts priced together against one by one, and when it is taken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.pricing import compiled
from dfmon.core.pricing.black import F64, black_price
from dfmon.core.pricing.greek_buffers import COLUMNS, TILE, GreekBuffers, Greeks
from dfmon.core.pricing.greek_calc import greeks
from dfmon.core.pricing.orderly_chain import call_put_sides
from dfmon.core.pricing.workspace import MAX_LOG_MONEYNESS, NODES, sizes_in_domain
from tests.core.pricing.test_greek_oracles import grid, scaled_errors

Columns = list[F64]
Layout = Callable[..., Columns]
POINTS = 41


def points(n: int = POINTS, seed: int = 2) -> Columns:
    """Forward, strike, sigma and tau."""
    rng = np.random.default_rng(seed)
    forward = np.full(n, 1e5)
    return [forward, forward * rng.uniform(0.3, 3.0, n), rng.uniform(0.2, 2.0, n), rng.uniform(1e-5, 1.5, n)]


def adjacent(columns: Columns, first: float = 1.0) -> Columns:
    return [*(np.repeat(column, 2) for column in columns), np.tile([first, -first], columns[0].size)]


def halves(columns: Columns, first: float = 1.0) -> Columns:
    return [*(np.tile(column, 2) for column in columns), np.repeat([first, -first], columns[0].size)]


def one_by_one(columns: Columns) -> Greeks:
    """Each option in a chain of its own."""
    rows = [greeks(*(column[i : i + 1] for column in columns)) for i in range(columns[0].size)]
    joined = {name: np.concatenate([getattr(row, name) for row in rows]) for name in (*COLUMNS, "valid")}
    return Greeks(**joined, invalid=sum(row.invalid for row in rows))


def assert_same(found: Greeks, expected: Greeks) -> None:
    assert found.invalid == expected.invalid
    np.testing.assert_array_equal(found.valid, expected.valid)
    for name in COLUMNS:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-11, atol=1e-300, err_msg=name)


def test_the_end_of_a_cache_line_takes_no_more_nodes_than_the_options() -> None:
    forward, strike, _, _ = points()
    buffers = GreekBuffers(2 * POINTS)
    greeks(*adjacent([forward, strike, np.full(POINTS, 0.3), np.full(POINTS, 0.1)]), out=buffers)
    scratch = buffers.scratch.pairs(POINTS)
    sizes = sizes_in_domain(scratch.inputs[2], scratch.work)
    assert sizes is not None
    assert sizes.nodes == NODES[0][2]


@pytest.mark.parametrize("layout", [adjacent, halves])
@pytest.mark.parametrize("first", [1.0, -1.0])
def test_pairs_are_priced_as_their_options(layout: Layout, first: float) -> None:
    columns = layout(points(), first)
    buffers = GreekBuffers(2 * POINTS)
    found = greeks(*columns, out=buffers)
    assert buffers.single_pass
    assert_same(found, one_by_one(columns))
    shuffled = np.random.default_rng(0).permutation(2 * POINTS)
    in_another_order = greeks(*(column[shuffled] for column in columns))
    for name in COLUMNS:
        np.testing.assert_allclose(getattr(in_another_order, name), getattr(found, name)[shuffled], rtol=1e-12)


@pytest.mark.parametrize("layout", [adjacent, halves])
@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("row", [0, 1, POINTS, 2 * POINTS - 1])
def test_a_pair_that_differs_in_the_last_digits_is_not_priced_once(layout: Layout, column: int, row: int) -> None:
    columns = layout(points())
    columns[column][row] *= 1.0 + 1e-9
    assert_same(greeks(*columns), one_by_one(columns))


@pytest.mark.slow
@pytest.mark.parametrize("layout", [adjacent, halves])
@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e308, 5e-324, 20.5])
def test_a_bad_row_is_masked_in_its_place(layout: Layout, column: int, value: float) -> None:
    columns = layout(points())
    columns[column][3] = value
    assert_same(greeks(*columns), one_by_one(columns))


@pytest.mark.parametrize("layout", [adjacent, halves])
@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0, 20.5])
def test_a_bad_pair_is_masked_in_its_place(layout: Layout, column: int, value: float) -> None:
    few = points()
    few[column][3] = value
    columns = layout(few)
    assert_same(greeks(*columns), one_by_one(columns))


@pytest.mark.parametrize(("types", "sides"), [
    ([1, -1], (slice(0, None, 2), slice(1, None, 2))),
    ([-1, 1, -1, 1], (slice(1, None, 2), slice(0, None, 2))),
    ([1, 1, -1, -1], (slice(0, 2), slice(2, None))),
    ([-1, -1, 1, 1], (slice(2, None), slice(0, 2))),
    ([], None), ([1], None), ([1, -1, 1], None), ([1, 1], None), ([1, -1, -1, 1], None), ([1, -1, 1, 2], None),
])  # fmt: skip
def test_where_calls_and_puts_are(types: list[float], sides: tuple[slice, slice] | None) -> None:
    assert call_put_sides(np.array(types, dtype=float)) == sides


def test_pairs_of_many_tiles() -> None:
    columns = adjacent(points(TILE + 5))
    assert_same(greeks(*columns), greeks(*columns, out=GreekBuffers(columns[0].size)))
    shuffled = np.random.default_rng(0).permutation(columns[0].size)
    found, other = greeks(*columns), greeks(*(column[shuffled] for column in columns))
    np.testing.assert_allclose(other.price, found.price[shuffled], rtol=1e-12, atol=1e-290)


@pytest.mark.parametrize("limits", range(len(NODES)))
@pytest.mark.parametrize("layout", [None, adjacent, halves])
@pytest.mark.parametrize("name", COLUMNS)
def test_every_high_precision_row_that_these_nodes_price(limits: int, layout: Layout | None, name: str) -> None:
    inputs, known = grid()
    forward, strike, sigma, tau, _ = inputs
    largest_w, largest_x, _ = NODES[limits]
    fits = (sigma * np.sqrt(2.0 * tau) <= largest_w) & (np.abs(np.log(forward / strike)) <= largest_x)
    assert fits.sum() > 400
    inputs, known = [column[fits] for column in inputs], {key: column[fits] for key, column in known.items()}
    columns = inputs if layout is None else layout(inputs[:4])
    buffers = GreekBuffers(columns[0].size)
    g = greeks(*columns, out=buffers)
    assert buffers.single_pass
    if layout is not None:
        pairs = inputs[0].size
        first, second = (
            (slice(0, None, 2), slice(1, None, 2)) if layout is adjacent else (slice(pairs), slice(pairs, None))
        )
        column = np.where(inputs[4] > 0.0, getattr(g, name)[first], getattr(g, name)[second])
        g = g._replace(**{name: column})
    assert scaled_errors(inputs, known, g, name).max() < 16.0


@pytest.mark.slow
@settings(max_examples=300)
@given(
    st.floats(-MAX_LOG_MONEYNESS, MAX_LOG_MONEYNESS), st.floats(0.02, 5.0), st.floats(1e-9, 3.0),
    st.sampled_from([1.0, -1.0]),
)  # fmt: skip
def test_the_price_is_that_of_the_scaled_tails(x: float, sigma: float, tau: float, th: float) -> None:
    strike = 100.0
    columns = [np.array([value]) for value in (strike * np.exp(0.999 * x), strike, sigma, tau, th)]
    exact = black_price(columns[0], columns[1], sigma * np.sqrt(columns[3]), columns[4])
    d = (abs(x) / (sigma * np.sqrt(tau)) + sigma * np.sqrt(tau)) ** 2
    np.testing.assert_allclose(greeks(*columns).price, exact, rtol=float(1e-14 * (1.0 + d)), atol=1e-290)


def test_no_price_is_below_zero_where_the_density_is_subnormal() -> None:
    sd = np.linspace(36.0, 40.0, 400)
    columns = adjacent([np.full(400, 100.0), 100.0 * np.exp(0.01 * sd), np.full(400, 0.1), np.full(400, 0.01)])
    g = greeks(*columns)
    assert (g.price >= 0.0).all()
    assert g.invalid == 0


def test_numbers_that_fit_no_quadrature_are_priced_all_the_same() -> None:
    columns = adjacent([np.full(2, 100.0), np.array([100.0, 6000.0]), np.full(2, 5.0), np.full(2, 4.0)])
    buffers = GreekBuffers(4)
    g = greeks(*columns, out=buffers)
    assert buffers.single_pass == (compiled.active_kernels() is not None)
    assert g.invalid == 0
    forward, strike, sigma, tau, option_type = columns
    exact = black_price(forward, strike, sigma * np.sqrt(tau), option_type)
    np.testing.assert_allclose(g.price, exact, rtol=1e-12)
