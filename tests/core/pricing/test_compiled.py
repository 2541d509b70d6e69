"""The compiled kernels against numpy: the same oracles, the same numbers, the same masks, the same zeros."""

from __future__ import annotations

import builtins
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dfmon.core.exposure.surface_grid import scatter, stencil
from dfmon.core.exposure.unit_exposure import COMPILED_EXPOSURES, unit_exposures
from dfmon.core.exposure.vanna_charm_volga import roll_up
from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.flip.gamma_profile import StickyStrike
from dfmon.core.flip.grid import flip_inputs, log_spot_nodes
from dfmon.core.flip.scan import (
    DIP_SHARE,
    FLAT_SHARE,
    ROUNDING_SHARE,
    _find_dips,
    _flat,
    brackets,
    gamma_signs,
)
from dfmon.core.pricing import compiled
from dfmon.core.pricing.greek_buffers import COLUMNS, GreekBuffers, Greeks
from dfmon.core.pricing.greek_calc import greeks
from dfmon.core.pricing.settlement import YEAR_HOURS
from dfmon.model.metrics import EXPOSURE_NAMES
from tests.core.exposure import test_surface_grid
from tests.core.flip import test_gamma_flip
from tests.core.pricing import test_greek_calc, test_greek_oracles, test_orderly_chain

pytestmark = pytest.mark.slow

GREEK_NAMES = COLUMNS[1:]
NUMBA_MISSING = "numba is not installed: pip install 'dfmon[fast]'"


@pytest.fixture(scope="module")
def kernels() -> Iterator[Any]:
    """The compiled kernels, in use unless a test says otherwise."""
    if not compiled.select_kernels():
        pytest.skip(NUMBA_MISSING)
    yield compiled.active_kernels()
    compiled.select_kernels(False)


class CountingKernels:
    """The kernels, and how often each of them did what it was asked to."""

    def __init__(self, kernels: Any) -> None:
        self._kernels, self.done = kernels, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            result = getattr(self._kernels, name)(*arguments)
            self.done[name] += result is not False
            return result

        return call


@pytest.fixture
def counted(kernels: Any, monkeypatch: pytest.MonkeyPatch) -> CountingKernels:
    counting = CountingKernels(kernels)
    monkeypatch.setattr(compiled, "_process_kernels", counting)
    return counting


# ---- the oracles -----------------------------------------------------------------------------------------------------


def test_every_published_value(counted: CountingKernels) -> None:
    test_greek_oracles.test_every_published_value()
    assert counted.done["fill_priced"] > 150


def test_every_high_precision_row(counted: CountingKernels) -> None:
    for name in GREEK_NAMES:
        test_greek_oracles.test_the_one_pass_variant_is_as_exact(name)
    assert counted.done["fill_greeks"] == len(GREEK_NAMES)
    for name in COLUMNS:
        for layout in (None, test_orderly_chain.adjacent, test_orderly_chain.halves):
            test_orderly_chain.test_every_high_precision_row_that_these_nodes_price(2, layout, name)
    assert counted.done["fill_priced"] == 3 * len(COLUMNS)


def test_the_tests_of_pairs(counted: CountingKernels) -> None:
    for layout in (test_orderly_chain.adjacent, test_orderly_chain.halves):
        for first in (1.0, -1.0):
            test_orderly_chain.test_pairs_are_priced_as_their_options(layout, first)
        for column in range(4):
            test_orderly_chain.test_a_pair_that_differs_in_the_last_digits_is_not_priced_once(layout, column, 1)
            test_orderly_chain.test_a_bad_pair_is_masked_in_its_place(layout, column, np.nan)
            test_orderly_chain.test_a_bad_row_is_masked_in_its_place(layout, column, np.inf)
    test_orderly_chain.test_pairs_of_many_tiles()
    test_orderly_chain.test_the_price_is_that_of_the_scaled_tails()
    test_orderly_chain.test_no_price_is_below_zero_where_the_density_is_subnormal()
    test_orderly_chain.test_numbers_that_fit_no_quadrature_are_priced_all_the_same()
    assert counted.done["fill_priced"] > 300


def test_the_tests_of_flips(counted: CountingKernels) -> None:
    for seed in range(8):
        test_gamma_flip.test_roots_are_those_of_brentq_on_all_options(seed)
    for name, test in vars(test_gamma_flip).items():
        if name.startswith("test_") and not hasattr(test, "pytestmark"):
            test()
    assert all(counted.done[name] for name in ("profile", "gamma_derivatives", "polish", "flip_inputs", "scan_profile"))


# ---- the same numbers ------------------------------------------------------------------------------------------------

moneyness = st.floats(-3.0, 3.0)
rows = st.tuples(
    st.floats(0.01, 1e6), moneyness, st.floats(0.02, 8.0), st.floats(1e-5, 3.0), st.sampled_from([1.0, -1.0])
)


def columns_of(few: list[tuple[float, ...]]) -> list[np.ndarray]:
    forward, apart, sigma, tau, option_type = (np.array(column) for column in zip(*few))
    return [forward, forward * np.exp(apart), sigma, tau, option_type]


def scales(columns: list[np.ndarray], plain: Greeks) -> dict[str, np.ndarray]:
    """What each greek's error is measured by, with the conditioning of exp(-d^2/2) in it (see test_greek_oracles)."""
    F, K, vol, T, _ = columns
    v = vol * np.sqrt(T)
    h, t = np.abs(np.log(F / K) / v), v / 2
    density = np.exp(-0.5 * (np.log(F / K) / v + t) ** 2) / np.sqrt(2 * np.pi)
    scale = {name: np.abs(getattr(plain, name)) for name in GREEK_NAMES}
    scale["vanna"], scale["charm"] = density * (h + t) / vol, density * (h + t) / (2 * T)
    scale["volga"] = plain.vega * (h + t) ** 2 / vol
    return {name: column * np.maximum(1.0, (h + t) ** 2 / 100.0) for name, column in scale.items()}


@settings(max_examples=200)
@given(st.lists(rows, min_size=1, max_size=20))
def test_the_same_numbers(kernels: Any, few: list[tuple[float, ...]]) -> None:
    columns = columns_of(few)
    fast, priced = greeks(*columns, with_price=False), greeks(*columns)
    with compiled.kernels_for_step(False):
        plain, plain_priced = greeks(*columns, with_price=False), greeks(*columns)
    for name, scale in scales(columns, plain).items():
        tolerance = 1e-12 * scale + 1e-290
        assert (np.abs(getattr(fast, name) - getattr(plain, name)) <= tolerance).all(), name
        assert (np.abs(getattr(priced, name) - getattr(plain_priced, name)) <= tolerance).all(), name
    width = np.log(columns[0] / columns[1]) / columns[2] / np.sqrt(columns[3])
    scale = plain_priced.price * np.maximum(1.0, width**2 / 100.0)
    assert (np.abs(priced.price - plain_priced.price) <= 1e-12 * scale + 1e-290).all()
    assert fast.valid.all() == plain.valid.all() == priced.valid.all()


@settings(max_examples=150)
@given(hnp.arrays(float, st.tuples(st.just(5), st.integers(0, 6)), elements=test_greek_calc.oddities))
def test_bad_rows_are_masked_alike(kernels: Any, columns: np.ndarray) -> None:
    fast = greeks(*columns, with_price=False)
    with compiled.kernels_for_step(False):
        plain = greeks(*columns, with_price=False)
    assert fast.invalid == plain.invalid
    assert (fast.valid == plain.valid).all()
    assert (np.isnan(fast.gamma) == np.isnan(plain.gamma)).all()


@pytest.mark.parametrize("bad", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e308, -1e308, 5e-324, 20.5])
def test_one_bad_row_spares_the_others(kernels: Any, bad: int, value: float) -> None:
    columns = [np.linspace(90.0, 110.0, 50), np.full(50, 100.0), np.full(50, 0.5), np.full(50, 0.1), np.ones(50)]
    whole = greeks(*columns, with_price=False)
    columns[bad][17] = value
    fast = greeks(*columns, with_price=False)
    with compiled.kernels_for_step(False):
        plain = greeks(*columns, with_price=False)
    assert fast.invalid == plain.invalid
    assert (fast.valid == plain.valid).all()
    others = np.arange(50) != 17
    np.testing.assert_allclose(fast.vanna[others], whole.vanna[others], rtol=1e-11)


def test_columns_of_any_layout_and_kind_are_taken(counted: CountingKernels) -> None:
    columns = np.array([(100.0, 90.0, 0.5, 0.25, 1.0), (100.0, 120.0, 0.75, 0.5, -1.0)] * 3)
    contiguous = greeks(*np.ascontiguousarray(columns.T), with_price=False)
    strided = greeks(*columns.T, with_price=False)
    np.testing.assert_array_equal(strided.volga, contiguous.volga)
    whole = [column.astype(np.float32) for column in columns.T]
    np.testing.assert_array_equal(greeks(*whole, with_price=False).volga[1::2], contiguous.volga[1::2])
    frozen = np.ascontiguousarray(columns.T)
    frozen.flags.writeable = False
    np.testing.assert_array_equal(greeks(*frozen, with_price=False).volga, contiguous.volga)
    assert counted.done["fill_greeks"] == 4


def test_a_chain_of_many_tiles(kernels: Any) -> None:
    columns = [np.tile(column, 40) for column in columns_of([(1e5, m / 100, 0.6, 0.1, 1.0) for m in range(-150, 150)])]
    out = GreekBuffers(12_000)
    fast = greeks(*columns, with_price=False, out=out).gamma.copy()
    with compiled.kernels_for_step(False):
        plain = greeks(*columns, with_price=False, out=out).gamma
    np.testing.assert_allclose(fast, plain, rtol=1e-11)


widths = st.floats(5e-4, 2.0)
bumps = st.tuples(st.floats(-0.6, 0.6), widths, st.floats(-100.0, 100.0))
strikes_between = st.lists(st.floats(-0.19, 0.19), max_size=6)


@settings(max_examples=100)
@given(st.lists(bumps, min_size=1, max_size=30), strikes_between, st.booleans())
def test_the_same_profile(kernels: Any, few: list[tuple[float, ...]], between: list[float], sorted_down: bool) -> None:
    few = sorted(few, key=lambda bump: -bump[1]) if sorted_down else few
    place, width, exposure = (np.array(column) for column in zip(*few))
    book = StickyStrike.from_options(np.full(place.shape, 1e5), 1e5 * np.exp(place), width, np.ones_like(width))
    both = np.stack([exposure, np.abs(exposure)], axis=1)
    grid = log_spot_nodes(100_003.0, 0.2, np.unique(between))
    for y in (grid, np.linspace(-0.35, 0.35, 201), np.delete(grid, slice(40, 160)), grid[:5], grid[::-1].copy()):
        fast, one = book.profile(y, both), book.profile(y, exposure[:, None])
        d2 = np.multiply.outer(book.a, y) + book.b[:, None]
        cells = book.height[:, None] * np.exp(-0.5 * d2 * d2)
        tolerance = 1e-12 * (np.abs(exposure) * book.height).max() * len(few) + 1e-290
        assert (np.abs(fast - both.T @ cells) <= tolerance).all()
        np.testing.assert_array_equal(fast[:1], one)


@pytest.mark.parametrize("seed", range(6))
def test_the_same_zeros(kernels: Any, seed: int) -> None:
    columns = test_gamma_flip.book(seed)
    fast = find_flip(test_gamma_flip.SPOT, *columns)
    with compiled.kernels_for_step(False):
        plain = find_flip(test_gamma_flip.SPOT, *columns)
    assert [root.rising for root in fast.roots] == [root.rising for root in plain.roots]
    assert [root.level for root in fast.roots] == pytest.approx([root.level for root in plain.roots], rel=1e-12)
    assert (fast.sign, fast.searched) == (plain.sign, plain.searched)
    np.testing.assert_allclose(fast.ngi, plain.ngi, atol=1e-12 * np.abs(columns[-1]).sum() * 1e5)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("apart", [0.0, 0.06])
def test_the_same_changes_of_sign_and_dips(kernels: Any, seed: int, apart: float) -> None:
    """Sharp bumps, with places between them where nothing is left, and sums that cancel to rounding."""
    rng = np.random.default_rng(seed)
    place, exposure = np.sort(rng.uniform(-0.2, 0.2, 6)) + apart, rng.normal(0.0, 5.0, 6)
    book = StickyStrike.from_options(
        np.full(6, 1e5), 1e5 * np.exp(place), rng.uniform(0.001, [0.02, 0.002][seed % 2], 6), np.ones(6)
    )
    y = np.linspace(-0.2, 0.2, 81)
    if seed % 3 == 0:
        x, total_sd, height, a, b = (
            np.repeat(getattr(book, name), 2) for name in ("x", "total_sd", "height", "a", "b")
        )
        book = StickyStrike(x, total_sd, height, a, b)
        exposure = np.stack([exposure, -exposure * (1.0 + 1e-13)], axis=1).ravel()
    bumps = book.a, book.b, book.height
    net, gross, signs, low, high, flat, dips = kernels.scan_profile(
        *bumps, exposure, y, ROUNDING_SHARE, 0.0, DIP_SHARE, FLAT_SHARE
    )
    assert flat == _flat(net, gross) == (seed % 3 == 0)
    np.testing.assert_array_equal(signs, gamma_signs(net, gross))
    coarse = kernels.scan_profile(*bumps, exposure, y, ROUNDING_SHARE, 1e-3, DIP_SHARE, FLAT_SHARE)[2]
    np.testing.assert_array_equal(coarse, gamma_signs(net, gross, 1e-3 * float(book.height @ np.abs(exposure))))
    assert (coarse == 0.0).sum() > (signs == 0.0).sum() or not signs.any()
    np.testing.assert_array_equal((low, high), brackets(signs))
    assert dips == bool(_find_dips(y, net[None], signs[None])[0].size)


def board(seed: int, size: int = 120) -> list[np.ndarray]:
    """A chain with options that settle within the day, calls and puts mixed."""
    rng = np.random.default_rng(seed)
    tau = rng.choice([0.6 / 24, 3.0 / 24, 4.4 / 24, 0.9, 1.0, 1.01, 1.5, 9.0, 200.0], size) / 365.0
    forward = 1e5 * np.exp(0.05 * tau)
    strike = np.round(forward * np.exp(rng.normal(0.0, 1.5, size) * 0.6 * np.sqrt(tau)), -1)
    return [forward, strike, rng.uniform(0.2, 1.5, size), tau, rng.choice([1.0, -1.0], size)]


@pytest.mark.parametrize("settlement", ["average", "instant"])
@pytest.mark.parametrize("seed", range(4))
def test_the_same_exposures_and_sums(counted: CountingKernels, settlement: Any, seed: int) -> None:
    columns, rng = board(seed), np.random.default_rng(seed)
    held, cell = rng.normal(0.0, 10.0, 120), rng.integers(0, 12, 120)
    fast = unit_exposures(*columns, settlement=settlement)
    sums = roll_up(fast, held, cell, 3, 4)
    assert counted.done["exposures"] == (EXPOSURE_NAMES == COMPILED_EXPOSURES)  # else from the greeks
    assert counted.done["roll_up"] == 1
    with compiled.kernels_for_step(False):
        plain = unit_exposures(*columns, settlement=settlement)
        exact = roll_up(plain, held, cell, 3, 4)
    assert fast.invalid == plain.invalid == 0
    assert fast.unwind.any()
    for name, quick, slow in zip(EXPOSURE_NAMES, fast.matrix, plain.matrix):
        assert np.abs(quick - slow).max() <= 1e-12 * np.abs(slow).max(), name
    for quick, slow in zip((*sums[1:], sums.totals.to_array()), (*exact[1:], exact.totals.to_array())):
        assert np.abs(quick - slow).max() <= 1e-12 * np.abs(slow).max()


IN_WINDOW_TAUS = [hours / YEAR_HOURS for hours in (0.1, 25.0 / 60.0, 24.1, 24.0 + 25.0 / 60.0)]
"""In the window of the average, or about a day before it."""


@pytest.mark.parametrize("bad", range(5))
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0, 1e308, *IN_WINDOW_TAUS])
def test_exposures_out_of_order_are_masked_alike(kernels: Any, bad: int, value: float) -> None:
    columns = board(0)
    columns[bad][5] = value
    fast = unit_exposures(*columns)
    with compiled.kernels_for_step(False):
        plain = unit_exposures(*columns)
    assert fast.invalid == plain.invalid
    assert (fast.valid == plain.valid).all()
    np.testing.assert_allclose(fast.matrix, plain.matrix, rtol=1e-10, atol=1e-12 * np.abs(plain.matrix).max())


sizes = st.tuples(st.integers(1, 5), st.integers(1, 9))


@settings(max_examples=80)
@given(sizes, st.integers(0, 2**32 - 1), st.sampled_from(["log-moneyness", "node"]))
def test_the_same_heat_map(kernels: Any, size: tuple[int, int], seed: int, metric: Any) -> None:
    (expiries, strikes), rng = size, np.random.default_rng(seed)
    tau, strike = np.cumsum(rng.uniform(0.001, 0.5, expiries)), np.cumsum(rng.uniform(1.0, 20.0, strikes)) + 50.0
    forward, sigma = rng.uniform(80.0, 120.0, expiries), rng.uniform(0.2, 2.0, expiries)
    mass = rng.normal(0.0, 1.0, (3, expiries, strikes)) * (rng.random((expiries, strikes)) < 0.7)
    listed = rng.random((expiries, strikes)) < 0.8

    def smoothed() -> tuple[np.ndarray, ...]:
        kernel = stencil(strike, forward, tau, sigma, metric)
        return kernel.weights, scatter(kernel, mass, listed), scatter(kernel, mass[0])

    fast = smoothed()
    with compiled.kernels_for_step(False):
        plain = smoothed()
    for quick, slow in zip(fast, plain):
        np.testing.assert_allclose(quick, slow, rtol=1e-12, atol=1e-12 * max(np.abs(slow).max(), 1e-300))
    assert fast[1].sum() == pytest.approx(mass.sum(), abs=1e-12 * np.abs(mass).sum())


def test_the_tests_of_the_grid(counted: CountingKernels) -> None:
    for name, test in vars(test_surface_grid).items():
        if name.startswith("test_") and not hasattr(test, "pytestmark"):
            test()
    assert counted.done["scatter"] > 5
    assert counted.done["stencil"] > 5


@pytest.mark.parametrize("seed", range(4))
def test_the_same_derivatives(counted: CountingKernels, seed: int) -> None:
    columns, y = test_gamma_flip.book(seed), np.array([-0.11, 0.0, 0.07])
    book = StickyStrike.from_options(*columns[:4])
    gamma_derivatives = book.gamma_derivatives(y, columns[4])
    assert counted.done["gamma_derivatives"] == 1
    with compiled.kernels_for_step(False):
        exact = book.gamma_derivatives(y, columns[4])
    sizes = np.abs(columns[4]) @ (book.height * book.a**2)
    for quick, slow in zip(gamma_derivatives, exact):
        assert np.abs(quick - slow).max() <= 1e-12 * sizes


@settings(max_examples=150)
@given(hnp.arrays(float, st.tuples(st.just(5), st.integers(0, 8)), elements=test_greek_calc.oddities))
def test_the_same_options_count_with_the_same_bumps(kernels: Any, columns: np.ndarray) -> None:
    fast = flip_inputs(*columns)
    with compiled.kernels_for_step(False):
        plain = flip_inputs(*columns)
    if fast is None or plain is None:
        assert fast is plain
        return
    order = np.argsort(plain.rows)
    np.testing.assert_array_equal(fast.rows, plain.rows[order])
    np.testing.assert_allclose(fast.extra_nodes, plain.extra_nodes, rtol=1e-12, atol=1e-15)
    for name in ("x", "total_sd", "height", "a", "b"):
        quick, slow = getattr(fast.book, name), getattr(plain.book, name)[order]
        np.testing.assert_allclose(quick, slow, rtol=1e-12, atol=1e-13, err_msg=name)


def test_no_option_beyond_the_bounds_counts(kernels: Any) -> None:
    one = np.ones(3)
    base = flip_inputs(100.0 * one, 100.0 * one, np.array([0.5, 20.0, 20.1]), 0.1 * one, one)
    assert base is not None
    assert base.rows.tolist() == [0, 1]


# ---- the choice ------------------------------------------------------------------------------------------------------


def test_a_step_prices_by_its_own_choice(kernels: Any) -> None:
    with compiled.kernels_for_step(False):
        assert compiled.active_kernels() is None
        with compiled.kernels_for_step(True):
            assert compiled.active_kernels() is kernels
        assert compiled.active_kernels() is None
    assert compiled.active_kernels() is kernels


def test_without_numba_numpy_goes_on_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def none(name: str, *rest: Any, **named: Any) -> Any:
        if name.split(".")[0] == "numba":
            raise ImportError(name)
        return found(name, *rest, **named)

    for name in [name for name in sys.modules if name.startswith("dfmon.core.pricing.compiled.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(compiled, "kernels", raising=False)
    monkeypatch.setattr(builtins, "__import__", none)
    compiled.load_kernels.cache_clear()
    try:
        before = compiled._process_kernels
        assert not compiled.select_kernels()
        with compiled.kernels_for_step(True):
            assert compiled.active_kernels() is None
        compiled._process_kernels = before
    finally:
        compiled.load_kernels.cache_clear()


def test_exposures_beyond_those_compiled_come_from_compiled_greeks(
    counted: CountingKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = board(5)
    fused, calls = unit_exposures(*columns, settlement="instant"), counted.done.copy()
    monkeypatch.setattr("dfmon.core.exposure.unit_exposure.COMPILED_EXPOSURES", COMPILED_EXPOSURES[:-1])
    by_kernel = unit_exposures(*columns, settlement="instant")
    assert (counted.done - calls)["fill_greeks"] == 1
    assert counted.done["exposures"] == calls["exposures"]
    for name, quick, slow in zip(EXPOSURE_NAMES, by_kernel.matrix, fused.matrix):
        assert np.abs(quick - slow).max() <= 1e-12 * np.abs(slow).max(), name
