"""Unit exposures: trader units, the finite charm roll, expiring options, rows that cannot be priced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dfmon.core.exposure.unit_exposure import ExposureBuffers, UnitExposure, unit_exposures
from dfmon.core.exposure.vanna_charm_volga import totals
from dfmon.core.pricing.black import F64
from dfmon.core.pricing.greek_calc import Numeraire, greeks
from dfmon.core.pricing.settlement import YEAR_HOURS, Settlement
from dfmon.model.metrics import EXPOSURE_NAMES

F = 100_000.0


def unit(strike: float, days: float, th: float = 1.0, sigma: float = 0.5, **options: Any) -> UnitExposure:
    return unit_exposures(*(np.array([value]) for value in (F, strike, sigma, days / 365.0, th)), **options)


def book(n: int = 50, seed: int = 0) -> tuple[tuple[F64, F64, F64, F64, F64], F64]:
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
def test_charm_load_is_a_full_reprice(strike: float, days: float, rolled: float) -> None:
    load = unit(strike, days, settlement="instant").chl[0] / F
    assert load == pytest.approx(rolled, rel=0.02)
    assert unit(strike, days, th=-1.0, settlement="instant").chl[0] / F == pytest.approx(load, rel=1e-9)


def delta_of(strike: float, hours: float, th: float = 1.0, **options: Any) -> float:
    columns = (np.array([x]) for x in (F, strike, 0.5, hours / YEAR_HOURS, th))
    return float(greeks(*columns, **options).delta[0])


@pytest.mark.parametrize("th", [1.0, -1.0])
@pytest.mark.parametrize("strike", [99_000.0, 101_000.0, F])
@pytest.mark.parametrize("hours", [0.5, 1.2, 7.2, 21.6, 24.0])
def test_an_expiring_option_goes_to_its_delta_at_the_window_and_unwinds_there(
    strike: float, th: float, hours: float
) -> None:
    now, at_window = (delta_of(strike, at, th, settlement="average") for at in (hours, 0.5))
    exposure = unit(strike, hours / 24.0, th)
    assert exposure.chl[0] == pytest.approx(F * (at_window - now), abs=1e-8)
    assert exposure.unwind[0] == pytest.approx(F * now, rel=1e-12)
    assert exposure.column("unwind_at_window")[0] == pytest.approx(F * at_window, rel=1e-12)
    assert exposure.column("unwind_left")[0] == 0.0
    in_hour = delta_of(strike, max(hours - 1.0, 0.5), th, settlement="average")
    assert exposure.column("chl_1h")[0] == pytest.approx(F * (in_hour - now), abs=1e-8)


@pytest.mark.parametrize("th", [1.0, -1.0])
@pytest.mark.parametrize("minutes", [29.0, 12.0, 0.5])
def test_inside_its_window_an_option_unwinds_and_has_no_charm_load(th: float, minutes: float) -> None:
    exposure, now = unit(99_990.0, minutes / 1440.0, th), delta_of(99_990.0, minutes / 60.0, th, settlement="average")
    assert (exposure.chl[0], exposure.column("chl_1h")[0]) == (0.0, 0.0)
    for name in ("unwind", "unwind_at_window", "unwind_left"):
        assert exposure.column(name)[0] == pytest.approx(F * now, rel=1e-12), name


@pytest.mark.parametrize("hours", [24.0 + 1 / 60, 24.25, 24.49, 24.5, 26.0, 29.0, 40.0])
@pytest.mark.parametrize("settlement", ["average", "instant"])
def test_a_day_on_the_settlement_treatment_holds_and_time_stops_at_the_window(
    hours: float, settlement: Settlement
) -> None:
    now, later = (delta_of(99_000.0, at, -1.0, settlement=settlement) for at in (hours, max(hours - 24.0, 0.5)))
    put, call = (unit(99_000.0, hours / 24.0, th, settlement=settlement) for th in (-1.0, 1.0))
    assert put.chl[0] == pytest.approx(F * (later - now), rel=1e-9)
    assert call.chl[0] == pytest.approx(put.chl[0], rel=1e-9)
    assert (put.unwind[0], put.column("unwind_at_window")[0]) == (0.0, 0.0)


@pytest.mark.parametrize("hours", [25.0, 24.5, 24.0, 6.0, 3.0, 1.5, 1.0, 0.5])
@pytest.mark.parametrize("name", ["chl", "chl_1h"])
def test_no_charm_load_jumps_on_the_way_to_settlement(name: str, hours: float) -> None:
    before, after = (unit(99_800.0, (hours + shift) / 24.0).column(name)[0] for shift in (1e-7, -1e-7))
    assert after == pytest.approx(before, abs=F * 1e-6)


def test_coin_numeraire() -> None:
    usd, coin = unit(105_000.0, 20.0, sigma=0.6), unit(105_000.0, 20.0, sigma=0.6, numeraire="coin")
    assert coin.ngi[0] / usd.ngi[0] == pytest.approx(2.378 / 2.733, rel=1e-3)
    assert coin.vega[0] == usd.vega[0]
    expiring = unit(95_000.0, 0.5, numeraire="coin")
    now, later = (delta_of(95_000.0, at, numeraire="coin", settlement="average") for at in (12.0, 0.5))
    assert expiring.chl[0] == pytest.approx(F * (later - now), rel=1e-9)
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


@pytest.mark.slow
@settings(max_examples=200)
@given(
    hnp.arrays(float, st.tuples(st.just(5), st.integers(0, 5)), elements=oddities),
    st.sampled_from(["instant", "average"]),
    st.sampled_from(["usd", "coin"]),
)
def test_nothing_raises_or_warns(columns: F64, settlement: Settlement, numeraire: Numeraire) -> None:
    u = unit_exposures(*columns, settlement=settlement, numeraire=numeraire)
    assert np.isfinite(u.matrix).all()


@pytest.mark.parametrize("th", [1.0, -1.0])
def test_of_an_expired_option_nothing_is_left(th: float) -> None:
    expired = unit(90_000.0 if th > 0.0 else 110_000.0, 0.0, th)
    assert not expired.matrix.any()
