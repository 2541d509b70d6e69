"""Unit exposures: trader units, the finite charm roll, expiring options, rows that cannot be priced."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dfmon.core.exposure.unit_exposure import ExposureBuffers, unit_exposures
from dfmon.core.exposure.vanna_charm_volga import totals
from dfmon.core.pricing.greek_calc import greeks
from dfmon.core.pricing.settlement import DAY, YEAR_HOURS
from dfmon.model.metrics import EXPOSURE_NAMES

F = 100_000.0


def unit(strike, days, th=1.0, sigma=0.5, **options):
    return unit_exposures(*(np.array([value]) for value in (F, strike, sigma, days / 365.0, th)), **options)


def book(n=50, seed: int = 0):
    rng = np.random.default_rng(seed)
    forward = np.full(n, F)
    strike = F * rng.uniform(0.6, 1.6, n)
    tau = rng.choice([0.5, 3.0, 10.0, 100.0], n) / 365.0
    return (forward, strike, rng.uniform(0.3, 1.0, n), tau, rng.choice([1.0, -1.0], n)), rng.normal(0, 50, n)


def test_a_hundred_calls_at_the_money() -> None:
    sums = totals(unit(F, 7.0), np.array([100.0]))
    assert sums.ngi == pytest.approx(575_807, abs=1)
    assert sums.vega == pytest.approx(5_521, abs=1)
    assert sums.theta == pytest.approx(-19_719, abs=1)
    assert sums.vss == pytest.approx(2_761, abs=1)
    assert sums.unwind == 0.0


def test_a_hundred_calls_above_the_money() -> None:
    sums = totals(unit(1.1 * F, 7.0), np.array([100.0]))
    assert sums.vss == pytest.approx(45_762, abs=1)
    assert sums.chl == pytest.approx(-169_470, abs=5)
    assert sums.volg == pytest.approx(85.0, abs=0.05)


@pytest.mark.parametrize(("strike", "days", "rolled"), [
    (102_000.0, 30.0, -0.00142), (102_000.0, 7.0, -0.0098), (102_000.0, 3.0, -0.037),
    (102_000.0, 2.0, -0.074), (102_000.0, 1.25, -0.188), (110_000.0, 2.0, -0.0051),
])  # fmt: skip
def test_charm_load_is_a_full_reprice(strike, days, rolled) -> None:
    load = unit(strike, days, settlement="instant").chl[0] / F
    assert load == pytest.approx(rolled, rel=0.02)
    assert unit(strike, days, th=-1.0, settlement="instant").chl[0] / F == pytest.approx(load, rel=1e-9)


@pytest.mark.parametrize(("strike", "th", "at_settlement"), [
    (99_000.0, 1.0, 1.0), (101_000.0, 1.0, 0.0), (99_000.0, -1.0, 0.0), (101_000.0, -1.0, -1.0), (F, 1.0, 0.0),
])  # fmt: skip
@pytest.mark.parametrize("days", [0.3, 0.9, 1.0])
def test_expiring_options_go_to_their_settlement_delta_and_unwind(strike, th, at_settlement, days) -> None:
    now = greeks(*(np.array([value]) for value in (F, strike, 0.5, days / 365.0, th)), settlement="average").delta[0]
    exposure = unit(strike, days, th)
    assert exposure.chl[0] == pytest.approx(F * (at_settlement - now), rel=1e-12)
    assert exposure.unwind[0] == pytest.approx(F * now, rel=1e-12)


def test_settlement_treatment_at_both_ends() -> None:
    hours = 26.0  # a day on, two hours are left: the average matters
    columns = [np.array([value]) for value in (F, 101_000.0, 0.5, hours / YEAR_HOURS, 1.0)]
    now = greeks(*columns).delta[0]
    columns[3] = columns[3] - DAY
    later = greeks(*columns, settlement="average").delta[0]
    assert unit(101_000.0, hours / 24.0).chl[0] == pytest.approx(F * (later - now), rel=1e-12)
    assert later != greeks(*columns).delta[0]
    assert unit(101_000.0, hours / 24.0, settlement="instant").chl[0] != unit(101_000.0, hours / 24.0).chl[0]


def test_a_day_on_inside_the_settlement_window() -> None:
    hours = 24.0 + 1.0 / 6.0  # a day on, ten minutes are left: half the average is known
    columns = [np.array([value]) for value in (F, 100_030.0, 0.5, hours / YEAR_HOURS, 1.0)]
    now = greeks(*columns).delta[0]
    columns[3] = columns[3] - DAY
    later = greeks(*columns, settlement="average").delta[0]
    assert unit(100_030.0, hours / 24.0).chl[0] == pytest.approx(F * (later - now), rel=1e-9)
    assert later < 1.0 / 3.0


def test_coin_numeraire() -> None:
    usd, coin = unit(105_000.0, 20.0, sigma=0.6), unit(105_000.0, 20.0, sigma=0.6, numeraire="coin")
    assert coin.ngi[0] / usd.ngi[0] == pytest.approx(2.378 / 2.733, rel=1e-3)
    assert coin.vega[0] == usd.vega[0]
    expiring = unit(95_000.0, 0.5, numeraire="coin")
    now = greeks(*(np.array([x]) for x in (F, 95_000.0, 0.5, 0.5 / 365, 1.0)), numeraire="coin").delta[0]
    assert expiring.chl[0] == pytest.approx(F * (0.95 - now), rel=1e-9)
    linear = unit(95_000.0, 0.5, numeraire="coin", inverse=np.array([False]))
    assert linear.chl[0] == unit(95_000.0, 0.5).chl[0]


def test_units_follow_from_the_greeks() -> None:
    columns, _ = book()
    g = greeks(*columns, settlement="average")
    u = unit_exposures(*columns)
    np.testing.assert_allclose(u.ngi, g.gamma * F**2 * 0.01, rtol=1e-12)
    np.testing.assert_allclose(u.vss, g.vanna * F * 0.01, rtol=1e-12)
    np.testing.assert_allclose(u.volg, g.volga * 1e-4, rtol=1e-12)
    np.testing.assert_allclose(u.vega, g.vega * 0.01, rtol=1e-12)
    np.testing.assert_allclose(u.theta, g.theta / 365, rtol=1e-12)


def test_bad_rows_add_nothing_and_are_counted() -> None:
    columns, exposure = book()
    clean = totals(unit_exposures(*(column[1:] for column in columns)), exposure[1:])
    columns[2][0] = np.nan
    u = unit_exposures(*columns)
    assert u.invalid == 1
    assert not u.valid[0]
    assert (u.matrix[:, 0] == 0.0).all()
    dirty = totals(u, exposure)
    for name in EXPOSURE_NAMES:
        assert getattr(dirty, name) == pytest.approx(getattr(clean, name), rel=1e-12)


def test_the_same_input_gives_the_same_bits() -> None:
    columns, exposure = book(seed=5)
    first = totals(unit_exposures(*columns, out=ExposureBuffers(50)), exposure)
    again = totals(unit_exposures(*(column.copy() for column in columns)), exposure.copy())
    assert first == again


oddities = st.one_of(st.floats(width=64), st.sampled_from([0.0, 1.0, -1.0, 100.0, 1e-3, 0.5, 5e-324]))


@settings(max_examples=200)
@given(
    hnp.arrays(float, st.tuples(st.just(5), st.integers(0, 5)), elements=oddities),
    st.sampled_from(["instant", "average"]),
    st.sampled_from(["usd", "coin"]),
)
def test_nothing_raises_or_warns(columns, settlement, numeraire) -> None:
    u = unit_exposures(*columns, settlement=settlement, numeraire=numeraire)
    assert np.isfinite(u.matrix).all()
