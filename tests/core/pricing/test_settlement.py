"""Settlement on a 30-minute average: published numbers, continuity, and a small Monte Carlo of the fixings."""

from __future__ import annotations

import numpy as np
import pytest

from dfmon.core.pricing.greek_buffers import Greeks
from dfmon.core.pricing.greek_calc import greeks
from dfmon.core.pricing.settlement import DAY, EUROPEAN_ABOVE, WINDOW, YEAR_HOURS, settlement_terms, time_at_end

MINUTE = 1.0 / (YEAR_HOURS * 60.0)


def one(*values: float) -> list[np.ndarray]:
    return [np.array([value]) for value in values]


def average_greeks(
    forward: float, strike: float, minutes: float, known: float | None = None, th: float = 1.0
) -> Greeks:
    average = None if known is None else np.array([known])
    return greeks(*one(forward, strike, 0.6, minutes * MINUTE, th), settlement="average", average=average)


@pytest.mark.parametrize(("strike", "minutes", "known", "delta", "gamma"), [
    (1e5, 30.0, None, None, 1.52e-3),
    (1.002e5, 30.0, None, 0.223, None),
    (100030.0, 15.0, 100050.0, 0.2394, 1.08e-3),
    (100030.0, 5.0, 100050.0, 0.1240, 5.02e-4),
])  # fmt: skip
def test_known_numbers(
    strike: float, minutes: float, known: float | None, delta: float | None, gamma: float | None
) -> None:
    g = average_greeks(1e5, strike, minutes, known)
    if delta is not None:
        assert g.delta[0] == pytest.approx(delta, abs=6e-4)
    if gamma is not None:
        assert g.gamma[0] == pytest.approx(gamma, rel=6e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("minutes", "known"), [(45.0, None), (30.0, None), (15.0, 100050.0), (5.0, 100050.0)])
def test_monte_carlo_of_the_fixings(minutes: float, known: float | None) -> None:
    """300 fixings of 6 s; delta from the path derivative, gamma from the density of the average at the strike."""
    rng = np.random.default_rng(11)
    paths, strike, vol = 60_000, 100030.0, 0.6
    fixings = round(min(minutes, 30.0) * 10)
    wait = max(minutes - 30.0, 0.0) * MINUTE
    dt = 0.1 * MINUTE
    level = np.full(paths, 1e5) * np.exp(vol * np.sqrt(wait) * rng.normal(size=paths) - 0.5 * vol**2 * wait)
    total = np.zeros(paths)
    for _ in range(fixings):
        level *= np.exp(vol * np.sqrt(dt) * rng.normal(size=paths) - 0.5 * vol**2 * dt)
        total += level
    share = fixings / 300.0
    average = total / 300.0 + (1.0 - share) * (known or 0.0)
    own_part = total / 300.0 / 1e5  # d average / d spot
    exercised = average > strike
    g = average_greeks(1e5, strike, minutes, known)
    standard_error = own_part.std() + share * 0.5 / np.sqrt(paths)
    assert g.delta[0] == pytest.approx((own_part * exercised).mean(), abs=5 * standard_error + 0.004 * share)
    assert g.price[0] == pytest.approx(np.maximum(average - strike, 0.0).mean(), rel=0.03)
    band = 0.15 * average.std()
    density = (np.abs(average - strike) < band).mean() / (2 * band)
    assert g.gamma[0] == pytest.approx(share**2 * density, rel=0.06)


def test_both_settlements_are_one_from_six_hours_up() -> None:
    columns = one(1e5, 1.01e5, 0.6, EUROPEAN_ABOVE, 1.0)
    instant, average = (greeks(*columns, settlement=kind) for kind in ("instant", "average"))
    assert average.gamma[0] == instant.gamma[0]
    assert average.price[0] == instant.price[0]


def test_effective_time() -> None:
    hours = np.array([24.0, 6.0, 4.5, 3.0, 0.5])
    level = np.full(5, 1e5)
    terms = settlement_terms(level, level, hours / YEAR_HOURS)
    assert (terms.tau * YEAR_HOURS * 60).tolist() == pytest.approx([1440.0, 360.0, 260.0, 160.0, 10.0])
    assert terms.share.tolist() == [1.0] * 5
    alone = settlement_terms(level[:1], level[:1], np.array([5.0 / YEAR_HOURS]))
    assert alone.tau * YEAR_HOURS * 60 == pytest.approx(300.0 - 20.0 / 3.0)


@pytest.mark.parametrize("hours", [6.0, 3.0])
def test_no_step_where_the_average_is_blended_in(hours: float) -> None:
    level = np.full(2, 1e5)
    minutes = settlement_terms(level, level, np.array([hours - 1e-9, hours + 1e-9]) / YEAR_HOURS).tau / MINUTE
    assert minutes[0] == pytest.approx(minutes[1], abs=1e-6)


def test_time_stops_where_the_window_begins_and_inside_it() -> None:
    hours = np.array([48.0, 24.5, 24.2, 0.5, 0.3, 0.0, np.nan])
    at_end = time_at_end(hours / YEAR_HOURS, DAY) * YEAR_HOURS
    np.testing.assert_allclose(at_end, [24.0, 0.5, 0.5, 0.5, 0.3, 0.0, np.nan], atol=1e-12)


def test_no_jump_where_the_window_opens() -> None:
    before, inside = (average_greeks(1e5, 100100.0, 30.0 + shift) for shift in (1e-6, -1e-6))
    for name in ("price", "delta", "gamma", "vega", "theta", "vanna"):
        assert getattr(inside, name)[0] == pytest.approx(getattr(before, name)[0], rel=1e-5)


def test_gamma_dies_with_the_square_root_of_the_time_left() -> None:
    long, short = (average_greeks(1e5, 1e5, minutes).gamma[0] for minutes in (4.0, 1.0))
    assert long / short == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(("th", "delta"), [(1.0, 0.1), (-1.0, 0.0)])
def test_a_strike_the_average_has_left_behind(th: float, delta: float) -> None:
    g = average_greeks(1e5, 5e4, 3.0, known=1e5, th=th)  # even fixings of zero could not bring it back
    assert g.delta[0] == pytest.approx(delta, abs=1e-15)
    assert (g.gamma[0], g.vega[0], g.theta[0]) == (0.0, 0.0, 0.0)
    assert g.price[0] == pytest.approx(5e4 if th > 0 else 0.0, rel=1e-12)
    assert g.invalid == 0


def test_the_clock_inside_the_window_is_the_price_s_own() -> None:
    """As time passes at a constant spot, the average takes in fixings at spot: theta is the total derivative."""
    dt = 0.01
    known = 100050.0
    now = average_greeks(1e5, 100030.0, 10.0, known)
    done, more = 20.0, dt
    later_known = (done * known + more * 1e5) / (done + more)
    later = average_greeks(1e5, 100030.0, 10.0 - dt, later_known)
    assert (later.price[0] - now.price[0]) / (dt * MINUTE) == pytest.approx(now.theta[0], rel=5e-3)


def test_less_than_a_second_is_settled_and_nan_average_means_unknown() -> None:
    g = greeks(*one(1e5, 99_000.0, 0.6, 0.5 / 3600 / YEAR_HOURS, 1.0), settlement="average")
    assert g.gamma[0] == 0.0
    plain = average_greeks(1e5, 100030.0, 10.0)
    unknown = average_greeks(1e5, 100030.0, 10.0, known=np.nan)
    assert plain.delta[0] == unknown.delta[0]
    assert pytest.approx(30 * MINUTE) == WINDOW
