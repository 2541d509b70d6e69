"""Identities, limits and bad input of the greeks; the published and high-precision values are in test_greek_oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import ndtr

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.greek_buffers import COLUMNS, TILE, GreekBuffers, Greeks
from dfmon.core.pricing.greek_calc import Numeraire, delta_only, greeks
from dfmon.core.pricing.settlement import WINDOW, YEAR_HOURS, Settlement

GREEKS = COLUMNS[1:]
forwards = st.floats(0.01, 1e6)
ratios = st.floats(0.2, 5.0)
sigmas = st.floats(0.02, 8.0)
taus = st.floats(1e-5, 3.0)
signs = st.sampled_from([1.0, -1.0])
anything = st.floats(allow_nan=True, allow_infinity=True, width=64)
oddities = st.one_of(anything, st.sampled_from([0.0, -0.0, 1.0, -1.0, 100.0, 5e-324, 1e308, 20.0, 20.1]))


def one(*values: float) -> list[np.ndarray]:
    return [np.array([value]) for value in values]


def price_all(forward: float, strike: float, sigma: float, tau: float, th: float = 1.0, **options: Any) -> Greeks:
    return greeks(*one(forward, strike, sigma, tau, th), **options)


@given(forwards, ratios, sigmas, taus)
def test_calls_and_puts(forward: float, ratio: float, sigma: float, tau: float) -> None:
    call, put = (price_all(forward, forward * ratio, sigma, tau, th) for th in (1.0, -1.0))
    room = 1e-13 * forward * (1 + ratio)
    assert call.price[0] - put.price[0] == pytest.approx(forward - forward * ratio, abs=room)
    assert call.delta[0] - put.delta[0] == pytest.approx(1.0, abs=1e-15)
    for name in ("gamma", "vega", "theta", "vanna", "charm", "volga"):
        assert getattr(call, name)[0] == getattr(put, name)[0]
    assert 0.0 <= call.delta[0] <= 1.0
    assert call.gamma[0] >= 0.0
    assert call.theta[0] <= 0.0
    assert max(forward - forward * ratio, 0.0) - room <= call.price[0] <= forward * (1 + 1e-14)


@pytest.mark.slow
@given(forwards, ratios, sigmas, taus, signs, st.sampled_from([0.125, 0.5, 4.0, 1024.0]))
def test_homogeneity(forward: float, ratio: float, sigma: float, tau: float, th: float, scale: float) -> None:
    g = price_all(forward, forward * ratio, sigma, tau, th)
    big = price_all(forward * scale, forward * ratio * scale, sigma, tau, th)
    powers = {"price": 1, "delta": 0, "gamma": -1, "vega": 1, "theta": 1, "vanna": 0, "charm": 0, "volga": 1}
    for name, power in powers.items():
        assert getattr(big, name)[0] == pytest.approx(getattr(g, name)[0] * scale**power, rel=1e-12, abs=1e-300)


@given(forwards, ratios, sigmas, taus, signs)
def test_identities(forward: float, ratio: float, sigma: float, tau: float, th: float) -> None:
    g = price_all(forward, forward * ratio, sigma, tau, th)
    v = sigma * np.sqrt(tau)
    assert g.theta[0] == pytest.approx(-0.5 * sigma**2 * forward**2 * g.gamma[0], rel=1e-12, abs=1e-300)
    assert g.vega[0] == pytest.approx(forward**2 * g.gamma[0] * sigma * tau, rel=1e-12, abs=1e-300)
    assert g.charm[0] == pytest.approx(-g.vanna[0] * sigma / (2.0 * tau), rel=1e-12, abs=1e-300)
    d1 = np.log(1.0 / ratio) / v + v / 2
    # one unit of the subnormal doubles, in the density or in a product, and what follows from it
    unit = 2.0**-1074
    lost = unit * (1.0 + forward * np.sqrt(tau) * (1.0 + abs(d1)) * (1.0 + abs(d1 - v)) * (1.0 + 1.0 / sigma))
    room = 1e-9 * g.vega[0] + 4.0 * lost
    assert g.volga[0] == pytest.approx(-g.vanna[0] * d1 * forward * np.sqrt(tau), rel=1e-9, abs=room)
    other_density = forward * ratio * np.exp(-0.5 * (d1 - v) ** 2) / np.sqrt(2 * np.pi) * np.sqrt(tau)
    assert g.vega[0] == pytest.approx(other_density, rel=1e-9, abs=1e-300)  # F phi(d1) = K phi(d2)


@pytest.mark.slow
@given(st.floats(0.5, 2.0), st.floats(0.2, 2.0), st.floats(0.02, 2.0), signs)
def test_each_greek_is_the_difference_of_the_one_below(ratio: float, sigma: float, tau: float, th: float) -> None:
    F = 100.0
    K, up, down = F * ratio, 1.0 + 2e-5, 1.0 - 2e-5
    g = price_all(F, K, sigma, tau, th)

    def slope(name: str, vary: str) -> float:
        high, low = (
            price_all(
                F * (move if vary == "forward" else 1.0),
                K,
                sigma * (move if vary == "sigma" else 1.0),
                tau * (move if vary == "tau" else 1.0),
                th,
            )
            for move in (up, down)
        )
        width = {"forward": F, "sigma": sigma, "tau": tau}[vary] * (up - down)
        return float((getattr(high, name)[0] - getattr(low, name)[0]) / width)

    v = sigma * np.sqrt(tau)
    for name, below, vary, sign, size in (
        ("delta", "price", "forward", 1, 1.0),
        ("gamma", "delta", "forward", 1, 1 / (F * v)),
        ("vega", "price", "sigma", 1, F * np.sqrt(tau)),
        ("theta", "price", "tau", -1, F * sigma / np.sqrt(tau)),
        ("vanna", "delta", "sigma", 1, 1 / sigma),
        ("charm", "delta", "tau", -1, 1 / tau),
        ("volga", "vega", "sigma", 1, F * np.sqrt(tau) / sigma),
    ):
        tolerance = 2e-6 * (1.0 + abs(np.log(ratio)) / v) ** 2
        assert getattr(g, name)[0] == pytest.approx(sign * slope(below, vary), abs=tolerance * size), name


def test_limits() -> None:
    far = price_all(100.0, 100.0, 8.0, 300.0)  # v -> infinity: a call is worth the forward
    assert far.price[0] == pytest.approx(100.0, rel=1e-12)
    assert far.gamma[0] == pytest.approx(0.0, abs=1e-12)
    near = price_all(110.0, 100.0, 0.5, 1e-12)
    assert (near.price[0], near.delta[0], near.gamma[0]) == (10.0, 1.0, 0.0)


@pytest.mark.parametrize(("th", "forward", "price", "delta"), [
    (1.0, 110.0, 10.0, 1.0), (1.0, 90.0, 0.0, 0.0), (1.0, 100.0, 0.0, 0.5),
    (-1.0, 110.0, 0.0, 0.0), (-1.0, 90.0, 10.0, -1.0), (-1.0, 100.0, 0.0, -0.5),
])  # fmt: skip
@pytest.mark.parametrize("settlement", ["instant", "average"])
def test_no_time_left(th: float, forward: float, price: float, delta: float, settlement: Settlement) -> None:
    g = price_all(forward, 100.0, 0.5, 0.0, th, settlement=settlement)
    assert (g.price[0], g.delta[0]) == (price, delta)
    assert [getattr(g, name)[0] for name in GREEKS[1:]] == [0.0] * 6
    assert g.invalid == 0


@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0, -1.0, 20.5])
@pytest.mark.parametrize("with_price", [True, False])
def test_a_bad_row_is_masked_and_counted_and_spares_the_others(column: int, bad: float, with_price: bool) -> None:
    good = one(100.0, 110.0, 0.6, 0.1, -1.0)
    columns = [np.repeat(value, 3) for value in good]
    columns[column][1] = bad
    allowed = {(0, 20.5), (1, 20.5), (3, 0.0), (3, 20.5), (4, -1.0)}
    g = greeks(*columns, with_price=with_price)
    assert g.invalid == ((column, bad) not in allowed)
    assert g.valid.tolist() == [True, (column, bad) in allowed, True]
    alone = greeks(*good, with_price=with_price)
    for name in GREEKS:
        assert np.isnan(getattr(g, name)[1]) == (not g.valid[1])
        assert getattr(g, name)[[0, 2]] == pytest.approx(getattr(alone, name)[0], rel=1e-14)


@pytest.mark.slow
@settings(max_examples=300)
@given(
    hnp.arrays(float, st.tuples(st.just(5), st.integers(0, 6)), elements=oddities),
    st.sampled_from(["instant", "average"]),
    st.sampled_from(["usd", "coin"]),
    st.booleans(),
)
def test_nothing_raises_or_warns(columns: F64, settlement: Settlement, numeraire: Numeraire, with_price: bool) -> None:
    g = greeks(*columns, settlement=settlement, numeraire=numeraire, with_price=with_price)
    assert g.invalid == np.count_nonzero(~g.valid)
    for name in COLUMNS if with_price else GREEKS:
        assert np.isfinite(getattr(g, name)[g.valid]).all()
        assert np.isnan(getattr(g, name)[~g.valid]).all()
    alone = delta_only(*columns, settlement=settlement, numeraire=numeraire)
    both = g.valid & np.isfinite(alone)
    np.testing.assert_allclose(alone[both], g.delta[both], rtol=1e-12, atol=1e-300)


def test_the_cheap_variants_agree_with_the_full_one() -> None:
    rng = np.random.default_rng(3)
    n = 400
    forward = np.full(n, 1e5)
    columns = (
        forward,
        forward * rng.uniform(0.5, 2, n),
        rng.uniform(0.2, 4, n),
        rng.uniform(1e-3, 2, n),
        np.resize([1.0, -1.0], n),
    )
    full, quick = greeks(*columns), greeks(*columns, with_price=False)
    for name in GREEKS:
        np.testing.assert_allclose(getattr(quick, name), getattr(full, name), rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(delta_only(*columns), full.delta, rtol=1e-12)


@pytest.mark.parametrize("minutes", [10.0, 45.0, 200.0])
def test_the_delta_alone_is_that_of_an_average_too(minutes: float) -> None:
    columns = [*one(1e5, 100_050.0, 0.6, minutes / 60.0 / YEAR_HOURS, 1.0)]
    delta = greeks(*columns, settlement="average").delta
    assert delta_only(*columns, settlement="average") == pytest.approx(delta, rel=1e-12)
    assert delta[0] != pytest.approx(greeks(*columns).delta[0], rel=1e-3)


@pytest.mark.parametrize("numeraire", ["usd", "coin"])
def test_a_chain_of_many_tiles_is_priced_as_its_parts(numeraire: Numeraire) -> None:
    rng = np.random.default_rng(6)
    n = 2 * TILE + 77
    columns = [
        np.full(n, 1e5),
        1e5 * rng.uniform(0.5, 2, n),
        rng.uniform(0.2, 4, n),
        rng.uniform(1e-5, 2, n),
        rng.choice([1.0, -1.0], n),
    ]
    columns[2][TILE + 5] = np.nan
    average, inverse = 1e5 * rng.uniform(0.99, 1.01, n), rng.random(n) < 0.5
    settling = np.array([0, TILE - 1, TILE, 2 * TILE, n - 1])
    columns[1][settling], columns[3][settling] = 1.001e5, 0.5 * WINDOW
    buffers = GreekBuffers(n)
    variants: tuple[dict[str, Any], ...] = (
        {"with_price": False, "numeraire": numeraire, "inverse": inverse},
        {"settlement": "average", "average": average, "numeraire": numeraire, "inverse": inverse},
        {"with_price": False},
    )
    for options in variants:
        g = greeks(*columns, **options, out=buffers)
        assert g.invalid == 1 == np.count_nonzero(~g.valid)
        for row in (0, TILE - 1, TILE, TILE + 5, 2 * TILE, n - 1):
            at = slice(row, row + 1)
            same: dict[str, Any] = {k: v[at] if isinstance(v, np.ndarray) else v for k, v in options.items()}
            alone = greeks(*(column[at] for column in columns), **same)
            for name in COLUMNS:
                np.testing.assert_allclose(getattr(g, name)[row], getattr(alone, name)[0], rtol=1e-11)
    delta = delta_only(*columns, out=GreekBuffers(n))
    np.testing.assert_allclose(delta, greeks(*columns).delta, rtol=1e-12)


def test_buffers_are_reused_and_their_size_is_checked() -> None:
    columns = one(100.0, 110.0, 0.6, 0.1, -1.0)
    buffers = GreekBuffers(1)
    g = greeks(*columns, out=buffers)
    assert np.shares_memory(g.gamma, buffers.columns)
    first = float(g.gamma[0])
    greeks(*one(100.0, 100.0, 0.6, 0.1, -1.0), out=buffers)
    assert g.gamma[0] != first
    with pytest.raises(ValueError, match="buffers hold 1 options, the chain has 2"):
        greeks(*(np.repeat(column, 2) for column in columns), out=buffers)


@pytest.mark.slow
@given(forwards, ratios, sigmas, taus, signs)
def test_premium_adjustment(forward: float, ratio: float, sigma: float, tau: float, th: float) -> None:
    usd, coin = (price_all(forward, forward * ratio, sigma, tau, th, numeraire=unit) for unit in ("usd", "coin"))
    assert coin.delta[0] == pytest.approx(usd.delta[0] - usd.price[0] / forward, abs=1e-13 * (1 + ratio))
    v = sigma * np.sqrt(tau)
    exercised = ndtr(th * (np.log(1 / ratio) / v - v / 2))
    assert coin.delta[0] == pytest.approx(th * ratio * exercised, rel=1e-8, abs=1e-300)
    assert coin.gamma[0] == pytest.approx(usd.gamma[0] - coin.delta[0] / forward, rel=1e-12, abs=1e-300)
    for name in ("vega", "theta", "volga"):
        assert getattr(coin, name)[0] == getattr(usd, name)[0]
    size = (abs(np.log(ratio)) / v + v) ** 2
    assert coin.price[0] == pytest.approx(usd.price[0], rel=1e-14 * (1.0 + size), abs=1e-290)


def test_premium_adjusted_numbers_and_linear_options_left_alone() -> None:
    columns = [np.repeat(value, 2) for value in one(1e5, 1.05e5, 0.6, 20 / 365, 1.0)]
    g = greeks(*columns, numeraire="coin", inverse=np.array([True, False]))
    assert g.gamma == pytest.approx([2.378e-5, 2.733e-5], rel=1e-3)
    up, down = (greeks(columns[0] * m, *columns[1:], numeraire="coin") for m in (1 + 1e-5, 1 - 1e-5))
    assert (up.delta - down.delta)[0] / 2.0 == pytest.approx(g.gamma[0], rel=1e-6)
    forward, strike, sigma, tau, th = columns
    up, down = (greeks(forward, strike, sigma * m, tau, th, numeraire="coin") for m in (1 + 1e-5, 1 - 1e-5))
    assert (up.delta - down.delta)[0] / 1.2e-5 == pytest.approx(g.vanna[0], rel=1e-6)
    up, down = (greeks(forward, strike, sigma, tau * m, th, numeraire="coin") for m in (1 + 1e-5, 1 - 1e-5))
    assert -(up.delta - down.delta)[0] / (2e-5 * tau[0]) == pytest.approx(g.charm[0], rel=1e-6)


def test_a_forward_far_below_the_strike_keeps_its_digits_without_a_price() -> None:
    columns = one(1.0 + 1e-9, 997.3, 8.0, 1.0, 1.0)
    full, quick = greeks(*columns), greeks(*columns, with_price=False)
    for name in GREEKS:
        assert getattr(quick, name)[0] == getattr(full, name)[0] != 0.0
