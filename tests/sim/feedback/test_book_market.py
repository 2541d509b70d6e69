"""Markets with an option book: gamma against the pricing of core, listing, regimes, and a clean null."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from dfmon.core.pricing.greek_calc import greeks
from dfmon.sim.feedback import BookSpec, simulate_book
from dfmon.sim.feedback.book_market import REGIMES, regime_names
from dfmon.sim.feedback.minute_path import DAY_MINUTES, MINUTES_A_YEAR
from dfmon.sim.feedback.option_columns import OptionColumns
from dfmon.sim.market.surface import Smile

SMILE = Smile(v0=0.25, v_inf=0.27)


def _columns() -> OptionColumns:
    columns = OptionColumns(5, 20, 1e5, SMILE)
    rng = np.random.default_rng(2)
    for row in range(200):
        columns.trade(row, float(rng.normal(0.0, 10.0)))
    return columns


@pytest.mark.parametrize("minute", [0, 700, 1_430])
def test_gamma_is_that_of_core(minute: int) -> None:
    columns, spot = _columns(), 101_000.0
    option_type, forward = np.resize([1.0, -1.0], 200), np.full(200, spot)
    years = (columns.expiry - minute) / MINUTES_A_YEAR
    priced = greeks(forward, columns.strike, columns.vol, years, option_type, settlement="average")
    unit = np.asarray(priced.gamma) * spot**2 * 0.01
    assert columns.gamma(minute, spot).net == pytest.approx(float(unit @ columns.position), rel=1e-9)


def test_expiries_are_two_dailies_and_fridays() -> None:
    columns = _columns()
    assert sorted(set(columns.expiry)) == [day * DAY_MINUTES for day in (1, 2, 4, 11, 18)]
    columns.roll(1, 1e5, SMILE)
    assert sorted(set(columns.expiry)) == [day * DAY_MINUTES for day in (2, 3, 4, 11, 18)]
    delivered = columns.expiry == 3 * DAY_MINUTES
    assert not columns.position[delivered].any()
    assert columns.position[~delivered].all()


def test_positions_of_a_day_before_know_no_later_trade() -> None:
    columns = _columns()
    for hour in range(1, 26):
        columns.reprice(60 * hour, 1e5, SMILE)
        columns.trade(150, 50.0)
    now = columns.gamma(25 * 60, 1e5)
    assert now.stale != now.net
    columns.position[150] -= 25 * 50.0
    assert columns.gamma(25 * 60, 1e5).net == pytest.approx(now.stale)


@pytest.mark.slow
def test_price_without_response_does_not_know_the_book() -> None:
    base, other = BookSpec(response=0.0), BookSpec(response=0.0, depth=1e8, order_size=3.0)
    first, second = simulate_book(base, 3, 2), simulate_book(other, 3, 2)
    assert np.array_equal(first.log_return, second.log_return)
    assert not np.array_equal(first.psi, second.psi)
    assert not np.array_equal(simulate_book(BookSpec(), 3, 2).log_return, first.log_return)


@pytest.mark.slow
def test_regimes_have_their_sign() -> None:
    path, names = simulate_book(BookSpec(regimes=REGIMES), 4, 13), regime_names(REGIMES, 13)
    psi = defaultdict(list)
    for name, value in zip(names, path.psi.reshape(-1, 60).mean(axis=1).tolist()):
        psi[name].append(value)
    mean = {name: float(np.mean(values)) for name, values in psi.items()}
    assert mean["long gamma"] > 0.05
    assert mean["pin"] > 0.05
    assert mean["short gamma"] < -0.05
    assert mean["thin depth"] < mean["volatility"] < 0.0
    assert abs(mean["forced orders"]) < 0.02
