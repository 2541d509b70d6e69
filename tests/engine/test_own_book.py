"""The own book beside the dealers', against Black-76 written out with the error function."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from dfmon.core.snapshot.build import BookResult
from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.forward_map import forward_map_of
from dfmon.engine.own_book import EXPOSURES, MOVES, OwnBook, own_book
from dfmon.model.snapshot import FlowSnapshot, from_json, to_json
from dfmon.model.units import YEAR
from tests.chains import frame, market

CHAIN = frame(days=(3.0, 9.0, 37.0))
BOOK = {CHAIN.names[3]: 120.0, CHAIN.names[18]: -80.0, CHAIN.names[30]: -60.0, CHAIN.names[41]: 25.0}
N = NormalDist()


def snapshot(model: str = "short-all") -> FlowSnapshot:
    return step(FlowState.initial(), CHAIN, market(), (), FlowParams(model), 1)[1]


def book_of(made: FlowSnapshot, positions: dict[str, float]) -> OwnBook:
    found = own_book(made, positions)
    assert found is not None
    return found


def result_of(made: FlowSnapshot) -> BookResult:
    found = made.views.result  # type: ignore[union-attr]
    assert isinstance(found, BookResult)
    return found


def black(forward: float, strike: float, sigma: float, tau: float, kind: int) -> tuple[float, float, float, float]:
    """Price, delta, gamma and vega of Black (1976)."""
    total = sigma * math.sqrt(tau)
    d1 = math.log(forward / strike) / total + total / 2
    price = kind * (forward * N.cdf(kind * d1) - strike * N.cdf(kind * (d1 - total)))
    return price, kind * N.cdf(kind * d1), N.pdf(d1) / (forward * total), forward * N.pdf(d1) * math.sqrt(tau)


def written_out(row: int, move: float, beta: float) -> tuple[float, float, float, float]:
    tau = (int(CHAIN.expiry_ns[row]) - CHAIN.venue_ns) / YEAR
    sigma = float(CHAIN.sigma[row]) + move * beta
    forward = float(CHAIN.forward[row]) * (1.0 + move)
    return black(forward, float(CHAIN.strike[row]), sigma, tau, int(CHAIN.option_type[row]))


def betas(made: FlowSnapshot) -> dict[int, float]:
    """Points of volatility per move of spot of each row of the book, by the table of the snapshot."""
    out = {}
    for name in BOOK:
        row = CHAIN.names.index(name)
        days = (int(CHAIN.expiry_ns[row]) - CHAIN.venue_ns) / YEAR * 365.0
        out[row] = [tenor.value for tenor in made.volatility_beta if tenor.days_from <= days][-1]
    return out


def test_greeks_and_profit_are_those_of_black_76() -> None:
    made = snapshot()
    found, beta = book_of(made, BOOK), betas(made)
    now = {row: written_out(row, 0.0, 0.0) for row in beta}
    sums = [0.0, 0.0, 0.0]
    for option in found.options:
        row = CHAIN.names.index(option.name)
        price, delta, gamma, vega = now[row]
        forward, coins = float(CHAIN.forward[row]), BOOK[option.name]
        assert option.price == pytest.approx(price, rel=1e-9)
        expected = (coins * forward * delta, coins * gamma * forward**2 * 0.01, coins * vega * 0.01)
        assert [option.exposures[name] for name in ("delta", "ngi", "vega")] == pytest.approx(expected, rel=1e-9)
        sums = [total + value for total, value in zip(sums, expected)]
    assert [found.mine[name] for name in ("delta", "ngi", "vega")] == pytest.approx(sums, rel=1e-9)
    for moved in found.moves:
        profit = hedge = delta_then = 0.0
        for name, coins in BOOK.items():
            row = CHAIN.names.index(name)
            price, delta, *_ = written_out(row, moved.move, beta[row])
            forward = float(CHAIN.forward[row]) * (1.0 + moved.move)
            profit += coins * (price - now[row][0])
            delta_then += coins * forward * delta
            hedge -= coins * forward * (delta - now[row][1])
        assert (moved.pnl, moved.delta, moved.hedge) == pytest.approx((profit, delta_then, hedge), rel=1e-8, abs=1e-3)


def test_a_book_like_the_dealers_has_their_greeks_and_their_hedges() -> None:
    made = snapshot("naive")
    tick = result_of(made).tick
    names = [tick.chain.names[row] for row in tick.cols.rows.tolist()]
    found = book_of(made, dict(zip(names, tick.cols.position.tolist())))
    gross = sum(abs(option.exposures["delta"]) for option in found.options)
    for name in EXPOSURES:
        assert found.mine[name] == pytest.approx(found.dealers[name], rel=1e-9, abs=1e-9 * gross)
    for name in ("ngi", "vss", "chl", "volg"):
        assert found.dealers[name] == pytest.approx(getattr(made.metrics, name).value, rel=1e-9)
    for moved in found.moves:
        assert moved.hedge == pytest.approx(moved.dealers[0], abs=3e-6 * gross)


def test_options_that_are_not_listed_are_named_and_other_coins_left_out() -> None:
    made = snapshot()
    found = book_of(made, {**BOOK, "BTC-1JAN31-90000-C": 4.0, "ETH-27FEB26-3000-P": 10.0, "BTC_USDC-1JAN31-1-P": 1.0})
    assert found.missing == ("BTC-1JAN31-90000-C", "BTC_USDC-1JAN31-1-P")
    assert found.others == ("ETH-27FEB26-3000-P",)
    assert [option.name for option in found.options] == list(BOOK)
    assert found.mine == book_of(made, BOOK).mine


def test_an_empty_book_is_flat_and_the_dealers_are_the_map() -> None:
    made = snapshot()
    found = book_of(made, {})
    assert set(found.mine.values()) == {0.0}
    assert {(moved.pnl, moved.delta, moved.hedge) for moved in found.moves} == {(0.0, 0.0, 0.0)}
    assert [moved.move for moved in found.moves] == list(MOVES)
    drawn = forward_map_of(made, np.array(MOVES), np.zeros(1))
    assert drawn is not None
    assert [moved.dealers[0] for moved in found.moves] == pytest.approx(drawn.trade[:, 0].tolist())


def test_a_snapshot_of_another_process_has_no_book() -> None:
    assert own_book(from_json(to_json(snapshot(), "live")), BOOK) is None
