"""The settlement against the unwind of the same snapshot and against a simulation of the average."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from dfmon.core.pricing.settlement import WINDOW, YEAR_HOURS, delivery_price
from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.next_settlement import PIN_WIDTHS, settlement_of
from dfmon.model.snapshot import FlowSnapshot, from_json, to_json
from tests.chains import NOW, frame, market, trade_columns

HOURS = 1.0 / 24.0


def snapshot(model: str, hours: float) -> FlowSnapshot:
    prints = trade_columns(uid=[0, 3, 5, 9], side=[1, -1, 1, 1], size=[5.0, 4.0, 3.0, 2.0])
    chain = frame(days=(hours * HOURS, 7.0, 30.0), trades=prints)
    return step(FlowState.initial(), chain, market(), (), FlowParams(model), 1)[1]


@pytest.mark.parametrize("model", ["naive", "short-all", "flow"])
@pytest.mark.parametrize("hours", [10.0, 0.2])
def test_the_sums_are_the_unwind_of_the_snapshot(model: str, hours: float) -> None:
    made = snapshot(model, hours)
    found, unwind = settlement_of(made), made.unwind
    assert found is not None
    assert found.hedge == pytest.approx((unwind.value, unwind.lo, unwind.hi), rel=1e-9)
    assert sum(row.hedge for row in found.strikes) == pytest.approx(found.hedge.value, rel=1e-9)
    assert sum(row.at_window for row in found.strikes) == pytest.approx(found.at_window.value, rel=1e-9)
    if hours > 1.0:
        assert found.at_window.value == pytest.approx(unwind.at_window, rel=1e-9)
        assert found.left == 1.0
    else:
        assert found.hedge.value == pytest.approx(unwind.left, rel=1e-9)
        assert found.at_window.value * found.left == pytest.approx(found.hedge.value, rel=1e-9)
    assert found.expiry_ns == NOW + round(hours * 3600) * 10**9
    rest = (made.metrics.ngi.value or 0.0) - (made.by_expiry[0].ngi or 0.0)
    assert found.rest_ngi == pytest.approx(rest, rel=1e-9)


@pytest.mark.parametrize("minutes", [60.0, 18.0])
def test_the_delivery_price_is_that_of_a_simulated_average(minutes: float) -> None:
    rng, steps, forward, sigma = np.random.default_rng(4), 60, 90_000.0, 0.45
    tau, average = minutes / 60.0 / YEAR_HOURS, 89_700.0 if minutes < 30.0 else None
    window = min(tau, WINDOW)
    times = np.concatenate([[tau - window], np.full(steps, window / steps)])
    moves = rng.normal(0.0, sigma * np.sqrt(times), (20_000, steps + 1)).cumsum(axis=1)
    of_path = forward * np.exp(moves - 0.5 * sigma**2 * times.cumsum())[:, 1:].mean(axis=1)
    share = window / WINDOW
    delivered = (1.0 - share) * (average or 0.0) + share * of_path
    mean, sd = delivery_price(forward, sigma, tau, average)
    assert mean == pytest.approx(float(delivered.mean()), abs=4.0 * sd / 20_000**0.5)
    assert sd == pytest.approx(float(delivered.std()), rel=0.04)


def test_the_odds_are_those_of_one_distribution() -> None:
    found = settlement_of(snapshot("naive", 5.0))
    assert found is not None
    above = [row.above for row in found.strikes]
    assert above == sorted(above, reverse=True)
    mean, low, high = found.delivered
    assert low < mean < high
    for row in found.strikes:
        assert list(row.pin) == sorted(row.pin)
        near = (
            2.0
            * PIN_WIDTHS[0]
            * mean
            / (high - low)
            * 1.3123
            * np.exp(-0.5 * ((row.strike - mean) / (high - low) * 3.29) ** 2)
        )
        assert row.pin[0] == pytest.approx(near, rel=0.02, abs=1e-6)  # a normal density over a narrow range


def test_a_coin_of_two_dollars_is_as_likely_pinned_as_one_of_a_hundred_thousand() -> None:
    large = frame(days=(5.0 * HOURS, 7.0))
    small = replace(large, spot=2e-5 * large.spot, forward=2e-5 * large.forward, strike=2e-5 * large.strike)
    odds = []
    for chain in (large, small):
        found = settlement_of(step(FlowState.initial(), chain, market(), (), FlowParams("naive"), 1)[1])
        assert found is not None
        odds.append([row.pin for row in found.strikes])
    assert odds[1] == pytest.approx(np.array(odds[0]), rel=1e-9, abs=1e-12)
    assert 0.0 < max(odd[-1] for odd in odds[1]) < 0.2


def test_without_a_book_or_in_another_process_there_is_none() -> None:
    made = snapshot("naive", 5.0)
    assert settlement_of(from_json(to_json(made, "live"))) is None
    empty = step(FlowState.initial(), frame(days=()), market(), (), FlowParams("naive"), 1)[1]
    assert settlement_of(empty) is None
    assert settlement_of(msgspec.structs.replace(made, views=msgspec.UNSET)) is None
